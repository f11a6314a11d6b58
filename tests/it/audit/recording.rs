//! What stands in a line, what happens when it cannot be written, and that refusals are lines too.

use super::{register, verdict};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Role;
use wharfinger::embed::Embedder;

#[tokio::test]
async fn when_the_record_cannot_be_written_nothing_happens() {
    let app = TestApp::start().await;
    register(&app, &["a"]).await;
    let key = json!({"name": "k", "role": "reader", "workspace": "default"});
    let before: i64 = sqlx::query_scalar("select count(*) from audit").fetch_one(&app.handles.db.read).await.unwrap();
    // As it is for a role whose right to add to the table was taken away.
    let readonly = "create function no_more() returns trigger language plpgsql as $$
                    begin raise exception 'permission denied for table audit' using errcode = '42501'; end $$;
                    create trigger no_more before insert on audit for each row execute function no_more()";
    sqlx::raw_sql(readonly).execute(&app.handles.db.write).await.unwrap();
    let admin = app.admin();
    let document = json!({"name": "b", "title": "b", "kind": "rest"});

    let published = json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "com.example/weather", "description": "x", "version": "1.0.0",
    });

    for answer in [
        admin.post("/api/v1/workspaces/default/assets", &document).await,
        admin.patch("/api/v1/workspaces/default/assets/a", &json!({"title": "other"})).await,
        admin.delete("/api/v1/workspaces/default/assets/a").await,
        admin.post("/api/v1/workspaces", &json!({"name": "new", "title": "New"})).await,
        admin.post("/api/v1/keys", &key).await,
        admin.post("/v0.1/publish", &published).await,
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(!answer.text.contains("permission denied"), "{}", answer.text);
    }

    let after: i64 = sqlx::query_scalar("select count(*) from audit").fetch_one(&app.handles.db.read).await.unwrap();
    assert_eq!(before, after);
    let asset = admin.get("/api/v1/workspaces/default/assets/a").await.expect(200).json();
    assert_eq!(asset["title"], "a", "it is as it was");
    admin.get("/api/v1/workspaces/default/assets/b").await.expect(404);
    admin.get("/api/v1/workspaces/new").await.expect(404);
    assert_eq!(admin.get("/v0.1/servers").await.json()["metadata"]["count"], 0);
    sqlx::raw_sql("drop trigger no_more on audit").execute(&app.handles.db.write).await.unwrap();
    admin.post("/api/v1/workspaces/default/assets", &document).await.expect(201);
}

#[tokio::test]
async fn a_line_says_who_through_what_from_where_and_what_changed() {
    let settings = [("WHARFINGER_TRUSTED_PROXIES", "127.0.0.0/8")];
    let app = TestApp::start_with(&settings, Embedder::hashed()).await;
    register(&app, &["a"]).await;
    let admin = app.admin();
    let patch = admin.request(reqwest::Method::PATCH, "/api/v1/workspaces/default/assets/a");
    let patch = patch.json(&json!({"title": "Renamed\n\u{1b}[31m"}));
    let patch = patch.header("x-forwarded-for", "192.0.2.9, 203.0.113.7").header("x-request-id", "story-1");
    admin.send(patch).await.expect(200);

    let found = admin.get("/api/v1/audit?requestId=story-1").await.expect(200).json();

    let line = &found["items"][0];
    assert_eq!(line["verb"], "asset.update");
    assert_eq!((line["subject"].as_str(), line["workspace"].as_str()), (Some("default/a"), Some("default")));
    assert_eq!((&line["before"]["title"], &line["after"]["title"]), (&json!("a"), &json!("Renamed\n\u{1b}[31m")));
    assert_eq!(line["address"], "203.0.113.7", "what the proxy saw, not what the client wrote: {line}");
    assert!(line["actor"].as_str().unwrap().contains("admin"), "{line}");
    assert!(line["credential"].as_str().is_some_and(|text| text.starts_with("key:")), "{line}");
    assert_eq!(line["outcome"], "done");
}

#[tokio::test]
async fn a_client_that_is_no_proxy_is_not_believed() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let post = admin.request(reqwest::Method::POST, "/api/v1/workspaces/default/assets");
    let post = post.json(&json!({"name": "a", "title": "a", "kind": "rest"})).header("x-forwarded-for", "203.0.113.7");
    admin.send(post).await.expect(201);

    let line = admin.get("/api/v1/audit?verb=asset.register").await.expect(200).json();

    assert_eq!(line["items"][0]["address"], "127.0.0.1");
}

#[tokio::test]
async fn refusals_are_recorded_and_counted_and_cannot_fill_the_disk() {
    let app = TestApp::start().await;
    let reader = app.member(Role::Reader, "team-a").await;
    let document = json!({"name": "x", "title": "x", "kind": "rest"});
    for _ in 0..50 {
        reader.post("/api/v1/workspaces/team-a/assets", &document).await.expect(403);
    }
    app.stranger().get("/api/v1/keys").await.expect(401);
    app.handles.audit_trail.tend(false).await.unwrap();
    for _ in 0..50 {
        reader.post("/api/v1/workspaces/team-a/assets", &document).await.expect(403);
    }
    app.handles.audit_trail.tend(false).await.unwrap();
    app.clock.advance(std::time::Duration::from_secs(61));
    app.handles.audit_trail.tend(false).await.unwrap();

    let found = app.admin().get("/api/v1/audit?outcome=refused").await.expect(200).json();

    let lines: Vec<_> = found["items"].as_array().unwrap().iter().collect();
    let of_reader: Vec<_> = lines.iter().filter(|line| line["actor"].as_str().unwrap().contains("reader")).collect();
    assert_eq!(of_reader.len(), 2, "a hundred refusals are two lines: {found}");
    assert_eq!(of_reader.iter().map(|line| line["after"]["count"].as_u64().unwrap()).sum::<u64>(), 100);
    assert_eq!(of_reader[0]["subject"], "POST /api/v1/workspaces/team-a/assets");
    assert_eq!(of_reader[0]["workspace"], "team-a");
    assert!(lines.iter().any(|line| line["actor"] == "anonymous" && line["after"]["status"] == 401), "{found}");
    assert!(verdict(&app).await.intact);
}

#[tokio::test]
async fn a_caller_of_the_gateway_or_over_mcp_without_a_key_that_holds_is_a_line_too() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        app.with_key("whf_none").post("/llm/v1/chat/completions", &json!({"model": "m"})).await.expect(401);
    }
    app.stranger().get("/llm/v1/models").await.expect(401);
    // Nor does it lead anywhere over MCP, whatever is asked for.
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "search_catalog", "arguments": {"query": "a"}}});
    let asked = app.with_key("whf_none").request(reqwest::Method::POST, "/mcp").json(&call);
    let asked = asked.header("accept", "application/json, text/event-stream");
    app.stranger().send(asked.header("mcp-protocol-version", "2025-11-25")).await.expect(401);
    app.handles.audit_trail.tend(false).await.unwrap();

    let found = app.admin().get("/api/v1/audit?outcome=refused").await.expect(200).json();

    let lines: Vec<_> = found["items"].as_array().unwrap().iter().map(|line| line["subject"].clone()).collect();
    assert_eq!(lines.len(), 3, "{found}");
    assert!(lines.contains(&json!("POST /llm/v1/chat/completions")), "{found}");
    assert!(lines.contains(&json!("POST /mcp")), "{found}");
    assert!(found["items"][0]["address"].as_str().is_some_and(|address| address == "127.0.0.1"), "{found}");
}
