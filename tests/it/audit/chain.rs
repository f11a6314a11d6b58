//! Whoever changes the record behind our back is found out, and the place is named.

use super::{register, tamper, verdict};
use crate::support::TestApp;
use serde_json::json;
use std::time::Duration;
use wharfinger::audit::chain::Tampering;
use wharfinger::auth::Actor;

/// A record of some lines, sealed in two parts.
async fn a_record() -> TestApp {
    let app = TestApp::start().await;
    register(&app, &["a", "b", "c"]).await;
    app.handles.audit_trail.tend(false).await.unwrap();
    register(&app, &["d", "e", "f"]).await;
    app.handles.audit_trail.tend(false).await.unwrap();
    app
}

async fn sequence_of(app: &TestApp, subject: &str) -> i64 {
    sqlx::query_scalar("select sequence from audit where subject = $1")
        .bind(format!("default/{subject}"))
        .fetch_one(&app.handles.db.read)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_thousand_concurrent_writes_the_chain_verifies() {
    let app = TestApp::start().await;
    let sealing = async {
        for _ in 0..40 {
            app.handles.audit_trail.tend(false).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let writing = async {
        use futures::StreamExt;
        let mut answers = futures::stream::iter(0..1_000)
            .map(|number| {
                let app = &app;
                async move {
                    let name = format!("asset-{number}");
                    let body = json!({"name": name, "title": name, "kind": "rest"});
                    app.admin().post("/api/v1/workspaces/default/assets", &body).await.status
                }
            })
            .buffer_unordered(64);
        let (mut made, mut busy) = (0_u64, 0);
        while let Some(status) = answers.next().await {
            match status {
                201 => made += 1,
                503 => busy += 1,
                other => panic!("{other}"),
            }
        }
        (made, busy)
    };

    let (made, busy) = tokio::join!(writing, sealing).0;
    app.handles.audit_trail.tend(false).await.unwrap();

    let verdict = verdict(&app).await;
    let recorded: i64 = sqlx::query_scalar("select count(*) from audit where verb = 'asset.register'")
        .fetch_one(&app.handles.db.read)
        .await
        .unwrap();
    println!("{made} made, {busy} told to wait, {recorded} recorded: {verdict:?}");
    assert!(verdict.intact && verdict.waiting == 0, "{verdict:?}");
    assert_eq!(u64::try_from(recorded).unwrap(), made, "every deed has its line");
    assert_eq!(made + busy, 1_000);
    assert!(made >= 900, "{made}");
}

#[tokio::test]
async fn an_altered_line_is_named() {
    let app = a_record().await;
    assert!(verdict(&app).await.intact);
    let sequence = sequence_of(&app, "b").await;

    tamper(&app, &format!("update audit set actor = 'somebody else' where sequence = {sequence}")).await;

    let finding = verdict(&app).await.finding.unwrap();
    assert_eq!((finding.what, finding.sequence), (Tampering::Altered, Some(sequence)), "{finding:?}");
    // With its digest made anew the link does not fit any more.
    tamper(&app, &format!("update audit set digest = audit_digest(audit) where sequence = {sequence}")).await;
    let finding = verdict(&app).await.finding.unwrap();
    assert_eq!(finding.sequence, Some(sequence), "{finding:?}");
}

#[tokio::test]
async fn a_removed_line_is_named_also_without_its_link() {
    let app = a_record().await;
    let sequence = sequence_of(&app, "d").await;

    tamper(&app, &format!("delete from audit where sequence = {sequence}")).await;
    let finding = verdict(&app).await.finding.unwrap();
    assert_eq!((finding.what, finding.sequence), (Tampering::Removed, Some(sequence)), "{finding:?}");

    tamper(&app, &format!("delete from audit_link where sequence = {sequence}")).await;
    let gone = verdict(&app).await.finding.unwrap();
    assert_eq!((gone.what, gone.position), (Tampering::Removed, finding.position), "{gone:?}");
}

#[tokio::test]
async fn lines_that_changed_places_are_named() {
    let app = a_record().await;
    let (a, c) = (sequence_of(&app, "a").await, sequence_of(&app, "c").await);

    // Swapped in the chain: two deeds seem to have happened the other way round.
    tamper(
        &app,
        &format!(
            "update audit_link set sequence = -1 where sequence = {a};
             update audit_link set sequence = {a} where sequence = {c};
             update audit_link set sequence = {c} where sequence = -1"
        ),
    )
    .await;

    let finding = verdict(&app).await.finding.unwrap();
    assert_eq!((finding.what, finding.sequence), (Tampering::Reordered, Some(c)), "{finding:?}");
}

#[tokio::test]
async fn a_chain_made_anew_carries_no_signature_of_ours() {
    let app = a_record().await;
    let sequence = sequence_of(&app, "e").await;

    // Everything that somebody without the key can make anew.
    tamper(
        &app,
        &format!(
            "update audit set actor = 'somebody else' where sequence = {sequence};
             update audit set digest = audit_digest(audit) where sequence = {sequence};
             do $$ declare
                 one record;
                 before bytea := decode(repeat('00', 32), 'hex');
             begin
                 for one in select l.position, a.digest from audit_link l join audit a using (sequence) order by 1 loop
                     before := sha256(before || int8send(one.position) || one.digest);
                     update audit_link set link = before where position = one.position;
                     update audit_head set link = before where position = one.position;
                 end loop;
             end $$"
        ),
    )
    .await;

    let finding = verdict(&app).await.finding.unwrap();
    assert_eq!(finding.what, Tampering::Unsigned, "{finding:?}");
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_missed() {
    let app = a_record().await;
    let cut = sequence_of(&app, "e").await;

    let position: i64 = sqlx::query_scalar("select position from audit_link where sequence = $1")
        .bind(cut)
        .fetch_one(&app.handles.db.read)
        .await
        .unwrap();
    tamper(
        &app,
        &format!(
            "delete from audit where sequence >= {cut};
             delete from audit_link where position >= {position};
             delete from audit_head where position >= {position}"
        ),
    )
    .await;

    let finding = verdict(&app).await.finding.unwrap();
    assert_eq!((finding.what, finding.position), (Tampering::Cut, position), "{finding:?}");
}

#[tokio::test]
async fn old_lines_are_dropped_as_a_whole_and_the_rest_verifies_on() {
    let app = TestApp::start().await;
    register(&app, &["a", "b"]).await;
    app.handles.audit_trail.tend(false).await.unwrap();
    app.clock.advance(Duration::from_secs(40 * 86_400));
    register(&app, &["c"]).await;
    app.handles.audit_trail.tend(false).await.unwrap();
    let system = Actor::system("retention");

    let dropped = app.handles.audit_trail.drop_older(&system, Duration::from_secs(30 * 86_400)).await.unwrap();
    app.handles.audit_trail.tend(false).await.unwrap();

    assert!(dropped >= 2, "{dropped}");
    let verdict = verdict(&app).await;
    assert!(verdict.intact && verdict.begins_after > 0, "{verdict:?}");
    let left = app.admin().get("/api/v1/audit?verb=asset").await.expect(200).json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "{left}");
    let told = app.admin().get("/api/v1/audit?verb=audit.drop").await.expect(200).json();
    assert_eq!(told["items"][0]["after"]["lines"], dropped);
    // A checkpoint that somebody else made does not excuse what is missing.
    tamper(&app, "update audit_checkpoint set signature = sha256('x')").await;
    assert_eq!(super::verdict(&app).await.finding.unwrap().what, Tampering::Unsigned);
}

#[tokio::test]
async fn the_database_refuses_the_program_itself_what_would_change_the_record() {
    let app = a_record().await;
    for statement in [
        "update audit set actor = 'x'",
        "delete from audit",
        "truncate audit",
        "update audit_link set link = 'x'",
        "delete from audit_link",
        "update audit_head set link = 'x'",
        "delete from audit_head",
        "truncate audit_head",
        "delete from audit_checkpoint",
    ] {
        let outcome = sqlx::query(statement).execute(&app.handles.db.write).await;
        let refused = outcome.as_ref().err().is_some_and(|error| error.to_string().contains("only added to"));
        // An empty table has no row to refuse.
        assert!(refused || outcome.is_ok_and(|done| done.rows_affected() == 0), "{statement}");
    }
    assert!(verdict(&app).await.intact);
}
