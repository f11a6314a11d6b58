//! The prompt log: who reads which prompts, how, and that it stands in the audit record.

use crate::support::TestApp;
use serde_json::Value;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wharfinger::auth::{Actor, Role};
use wharfinger::base::{Slug, WorkspaceId};
use wharfinger::gateway::usage::PromptRecord;

/// Five prompts, the oldest first: of `ours`, of `theirs` and of nobody in turn; the last is expired.
async fn kept() -> TestApp {
    let app = TestApp::start().await;
    for name in ["ours", "theirs"] {
        let slug = Slug::parse(name).unwrap();
        app.handles.catalog.ensure_workspace(&Actor::system("test"), &slug, name).await.unwrap();
    }
    let ids: Vec<(String, WorkspaceId)> =
        sqlx::query_as("select name, workspace_id from workspace").fetch_all(&app.handles.db.read).await.unwrap();
    let id = |name: &str| ids.iter().find(|(one, _)| one == name).map(|(_, id)| *id);
    let now = app.clock.now();
    let of = ["ours", "theirs", "nobody", "ours", "ours"];
    for (number, workspace) in of.into_iter().enumerate() {
        let at = now - Duration::from_secs(3_600 * (5 - number as u64));
        let expires_at = if number == 4 { now } else { now + Duration::from_secs(60) };
        app.handles.ledger.keep_prompt(PromptRecord {
            at,
            request_id: format!("request-{number}"),
            workspace_id: id(workspace),
            key_name: format!("key-{}", number % 2),
            route: "chat".to_owned(),
            model: "fast".to_owned(),
            prompt: Some(format!("What is {number}?\n")),
            answer: (number != 2).then(|| "A number.".to_owned()),
            expires_at,
        });
    }
    let stop = CancellationToken::new();
    stop.cancel();
    // What expired is not told, whether it is removed yet or not.
    app.handles.ledger.clone().run(stop).await;
    app
}

fn told(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|one| one["requestId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn prompts_are_read_page_by_page_and_narrowed() {
    let app = kept().await;
    let admin = app.admin();
    let get = async |query: &str| admin.get(&format!("/api/v1/gateway/prompts{query}")).await.expect(200).json();

    let first = get("?limit=3").await;
    assert_eq!(told(&first), ["request-3", "request-2", "request-1"]);
    let second = get(&format!("?limit=3&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((told(&second), &second["next"]), (vec!["request-0"], &Value::Null));
    let one = &first["items"][2];
    assert_eq!(
        (&one["workspace"], &one["key"], &one["route"], &one["model"], &one["prompt"], &one["answer"]),
        (
            &"theirs".into(),
            &"key-1".into(),
            &"chat".into(),
            &"fast".into(),
            &"What is 1?\n".into(),
            &"A number.".into()
        )
    );
    assert_eq!(first["items"][1]["answer"], Value::Null);

    let format = &time::format_description::well_known::Rfc3339;
    let from = (app.clock.now() - Duration::from_secs(4 * 3_600)).format(format).unwrap();
    for (query, expected) in [
        ("?key=key-1", vec!["request-3", "request-1"]),
        ("?workspace=ours", vec!["request-3", "request-0"]),
        ("?requestId=request-2", vec!["request-2"]),
        ("?route=another", vec![]),
        (&format!("?from={from}&model=fast"), vec!["request-3", "request-2", "request-1"]),
        (&format!("?to={from}"), vec!["request-0"]),
    ] {
        assert_eq!(told(&get(query).await), expected, "{query}");
    }
    admin.get("/api/v1/gateway/prompts?cursor=none").await.expect(422);
    admin.get("/api/v1/gateway/prompts?from=yesterday").await.expect(422);
}

#[tokio::test]
async fn compliance_of_a_workspace_reads_its_prompts_and_others_none() {
    let app = kept().await;
    let (ours, publisher) = (app.member(Role::Compliance, "ours").await, app.member(Role::Publisher, "ours").await);

    assert_eq!(told(&ours.get("/api/v1/gateway/prompts").await.expect(200).json()), ["request-3", "request-0"]);
    let theirs = ours.get("/api/v1/gateway/prompts?workspace=theirs").await.expect(200).json();
    assert!(told(&theirs).is_empty());
    for path in ["/api/v1/gateway/prompts", "/api/v1/gateway/prompts/export", "/gateway/prompts"] {
        publisher.get(path).await.expect(403);
        app.stranger().get(path).await.expect(401);
    }
}

#[tokio::test]
async fn all_are_exported_a_line_each_and_each_reading_is_recorded() {
    let app = kept().await;

    let answer = app.admin().get("/api/v1/gateway/prompts/export?key=key-0").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines.iter().map(|line| line["requestId"].as_str().unwrap()).collect::<Vec<_>>(),
        ["request-2", "request-0"]
    );
    let page = app.admin().get("/gateway/prompts?route=chat").await.expect(200);
    assert!(page.text.contains("What is 3?") && page.text.contains("/api/v1/gateway/prompts/export?route=chat"));
    assert!(app.admin().get("/gateway/usage").await.expect(200).text.contains("href=\"/gateway/prompts\""));

    let recorded: Vec<(String, Value)> =
        sqlx::query_as("select verb, after from audit where verb like 'prompt.%' order by sequence")
            .fetch_all(&app.handles.db.read)
            .await
            .unwrap();
    let expected =
        [("prompt.export", serde_json::json!({"key": "key-0"})), ("prompt.read", serde_json::json!({"route": "chat"}))];
    assert_eq!(recorded, expected.map(|(verb, asked)| (verb.to_owned(), asked)));
}
