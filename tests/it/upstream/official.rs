//! The official registry's snapshot, served by one program and taken over by another.

use super::{downstream, entries, point_at, run, sync};
use crate::support::{TestApp, shared};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// A program that serves the snapshot.
async fn upstream() -> Option<TestApp> {
    let file = shared()?.join("corpus/mcp-servers/official-snapshot-2025-12-12.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let app = TestApp::start().await;
    let request = app.admin().request(reqwest::Method::POST, "/api/v1/import");
    let report =
        app.admin().send(request.header("content-type", "application/x-ndjson").body(text)).await.expect(200).json();
    println!(
        "upstream: {} registered, {} updated, {} rejected",
        report["registered"], report["updated"], report["rejectedTotal"]
    );
    Some(app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_snapshot_is_taken_over_whole_and_then_kept_up_to_date() {
    let Some(there) = upstream().await else { return };
    let here = downstream().await;
    point_at(&here, &there.url, json!({})).await;
    let expected = entries(&there, false).await;

    // Stopped before it could begin, it goes on; then a second time, from the page it had reached.
    let stop = CancellationToken::new();
    let upstreams = here.handles.upstreams.clone();
    let stopping = stop.clone();
    let stopper = async {
        while super::last_run(&here).await["pages"].as_i64().unwrap_or(0) < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stopping.cancel();
    };
    let (ran, ()) = tokio::join!(upstreams.run_due(&stop), stopper);
    ran.unwrap();
    let interrupted = super::last_run(&here).await;
    assert_eq!(interrupted["state"], "interrupted", "{interrupted}");
    let rest = run(&here).await;
    assert_eq!((&rest["state"], &rest["resumed"]), (&json!("succeeded"), &json!(true)), "{rest}");
    println!("interrupted after {} pages, then {} pages", interrupted["pages"], rest["pages"]);
    assert_eq!(
        interrupted["pages"].as_i64().unwrap() + rest["pages"].as_i64().unwrap(),
        (entries(&there, true).await.len() as i64 + 99) / 100,
        "no page was read twice"
    );
    assert_eq!(entries(&here, false).await, expected);
    println!("{} entries taken over", expected.len());

    // The same again changes nothing.
    let changes = here.stranger().get("/v0.1/x/changes?limit=1").await.json()["metadata"]["mark"].clone();
    let again =
        here.admin().post("/api/v1/workspaces/default/upstreams/official/sync", &json!({"everything": true})).await;
    again.expect(202);
    let again = run(&here).await;
    assert_eq!(again["unchanged"], expected.len(), "{again}");
    assert_eq!((&again["registered"], &again["updated"]), (&json!(0), &json!(0)));
    let marks = here.stranger().get("/v0.1/x/changes?limit=1").await.json()["metadata"]["mark"].clone();
    assert_eq!(marks, changes);

    // A deletion arrives, and a return.
    let (name, version, _) = expected.iter().find(|(name, ..)| name.starts_with("io.github")).unwrap().clone();
    let path = format!("/v0.1/servers/{}/versions/{version}/status", name.replace('/', "%2F"));
    there.admin().patch(&path, &json!({"status": "deleted"})).await.expect(200);
    let deletion = sync(&here).await;
    assert_eq!(deletion["deleted"], 1, "{deletion}");
    assert_eq!(entries(&here, false).await, entries(&there, false).await);
    there.admin().patch(&path, &json!({"status": "active"})).await.expect(200);
    sync(&here).await;
    assert_eq!(entries(&here, false).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_rule_approves_waits_and_what_the_filter_leaves_out_does_not_come() {
    let there = TestApp::start().await;
    for (name, owner) in [("com.acme/files", "acme"), ("com.acme/mail", "acme"), ("org.other/files", "other")] {
        let document = json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": name, "description": "Reads", "version": "1.0.0",
            "repository": {"url": format!("https://github.com/{owner}/x"), "source": "github"}});
        there.admin().post("/v0.1/publish", &document).await.expect(200);
    }
    let here = downstream().await;
    let more =
        json!({"filter": {"namespaces": ["com.*"]}, "approve": [{"publisher": "acme", "namespace": "com.other"}]});
    point_at(&here, &there.url, more).await;

    let first = run(&here).await;
    assert_eq!(
        (&first["registered"], &first["waiting"], &first["passedOver"]),
        (&json!(2), &json!(2), &json!(1)),
        "{first}"
    );
    assert_eq!(entries(&here, false).await, [], "nobody outside sees what waits");
    let seen = here.admin().get("/v0.1/servers").await.json();
    assert_eq!(seen["metadata"]["count"], 2);

    // By a rule that fits, a new version is shown at once; the asset itself still waits for somebody.
    let patch = json!({"approve": [{"publisher": "acme"}], "filter": {}});
    here.admin().patch("/api/v1/workspaces/default/upstreams/official", &patch).await.expect(200);
    let second = run(&here).await;
    assert_eq!(
        (&second["registered"], &second["waiting"], &second["unchanged"]),
        (&json!(1), &json!(1), &json!(2)),
        "{second}"
    );

    // What people registered here is never overwritten.
    here.admin().delete("/api/v1/workspaces/default/upstreams/official").await.expect(204);
    point_at(&here, &there.url, json!({})).await;
    let third = run(&here).await;
    assert_eq!(third["rejected"], 3, "{third}");
    assert!(third["rejections"][0]["reason"].as_str().unwrap().contains("not overwritten"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_governs_the_workspace_deals_with_its_upstreams() {
    let app = downstream().await;
    point_at(&app, "http://127.0.0.1:1/", json!({"isPaused": true})).await;
    let path = "/api/v1/workspaces/default/upstreams";

    app.stranger().get(path).await.expect(401);
    let publisher = app.member(wharfinger::auth::Role::Publisher, "default").await;
    publisher.get(path).await.expect(403);
    publisher.post(&format!("{path}/official/sync"), &json!({})).await.expect(403);
    publisher.post(&format!("{path}/official/sync"), &json!({"maxDeletions": 9})).await.expect(403);
    let elsewhere = app.member(wharfinger::auth::Role::Administrator, "elsewhere").await;
    assert!([403, 404].contains(&elsewhere.get(&format!("{path}/official")).await.status));
    assert_eq!(app.admin().get(path).await.expect(200).json()["items"][0]["name"], "official");
    app.admin().post(path, &json!({"name": "official", "url": "http://127.0.0.1:1/"})).await.expect(409);
    // As people send it who have nothing to say: without a body, and without a word about its type.
    let bare = app.admin().request(reqwest::Method::POST, &format!("{path}/official/sync"));
    let due = app.admin().send(bare).await.expect(202).json();
    assert_eq!(due["isPaused"], false, "{due}");
    for bad in [
        json!({"name": "x"}),
        json!({"name": "x", "url": "file:///etc/passwd"}),
        json!({"name": "x", "url": "http://a.b", "everyMinutes": 0}),
    ] {
        app.admin().post(path, &bad).await.expect(422);
    }
}
