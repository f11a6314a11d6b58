//! What an upstream changes of something that is approved waits, and what is approved is served everywhere meanwhile.

use super::{downstream, point_at, run, sync};
use crate::support::{Answer, TestApp};
use serde_json::{Value, json};

const SERVER: &str = "com.acme/files";
const ASSET: &str = "/api/v1/workspaces/default/assets/com.acme%2Ffiles";

fn document(version: &str, word: &str) -> Value {
    json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": SERVER, "title": format!("Files {word}"), "description": format!("Reads {word} files"),
        "version": version,
        "remotes": [{"type": "streamable-http", "url": format!("https://{word}.example/mcp")}]})
}

async fn edit(there: &TestApp, version: &str, word: &str) {
    let path = format!("/v0.1/servers/com.acme%2Ffiles/versions/{version}");
    there.admin().put(&path, &document(version, word)).await.expect(200);
}

async fn waiting(here: &TestApp) -> Vec<Value> {
    here.admin().get("/api/v1/approvals").await.expect(200).json()["items"].as_array().unwrap().clone()
}

async fn decide(here: &TestApp, request: &Value, verdict: &str) -> Answer {
    let path = format!("/api/v1/approvals/{}", request["id"].as_str().unwrap());
    let digest = here.admin().get(&path).await.expect(200).json()["digest"].clone();
    let body = json!({"verdict": verdict, "reason": "As it is.", "digest": digest});
    here.admin().post(&format!("{path}/decision"), &body).await.expect(200)
}

async fn sync_everything(here: &TestApp) -> Value {
    let path = "/api/v1/workspaces/default/upstreams/official/sync";
    here.admin().post(path, &json!({"everything": true})).await.expect(202);
    run(here).await
}

/// Every door a stranger comes by tells of `word`, and none of `other`.
async fn is_served_as(here: &TestApp, word: &str, other: &str) {
    here.handles.search.catch_up().await.unwrap();
    let stranger = here.stranger();
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "describe_asset", "arguments": {"name": SERVER}}});
    let mcp = stranger.request(reqwest::Method::POST, "/mcp").json(&message);
    let mcp = mcp.header("accept", "application/json, text/event-stream").header("mcp-protocol-version", "2025-11-25");
    let mut told = vec![stranger.send(mcp).await];
    for path in [
        "/v0.1/servers",
        "/v0.1/servers/com.acme%2Ffiles/versions/latest",
        "/workspaces/default/v0.1/servers",
        "/workspaces/default/v0.1/servers/com.acme%2Ffiles/versions/latest",
        ASSET,
        "/api/v1/assets",
        "/api/v1/workspaces/default/assets/com.acme%2Ffiles/versions/latest/definitions/server-json/content",
        "/api/v1/workspaces/default/assets/com.acme%2Ffiles/deployments",
        "/api/v1/search?q=files",
        "/assets/default/com.acme%2Ffiles",
        "/feed.atom",
    ] {
        told.push(stranger.get(path).await.expect(200));
    }
    for answer in told {
        assert!(!answer.text.contains(other), "{other}: {}", answer.text);
    }
    for view in ["", "/workspaces/default"] {
        let latest = stranger.get(&format!("{view}/v0.1/servers/com.acme%2Ffiles/versions/latest")).await.json();
        assert_eq!(latest["server"]["description"], format!("Reads {word} files"), "{latest}");
    }
    let asset = stranger.get(ASSET).await.json();
    assert_eq!(asset["title"], format!("Files {word}"));
    assert_eq!(asset["summary"], format!("Reads {word} files"));
    let found = stranger.get(&format!("/api/v1/search?q={word}")).await.json();
    assert_eq!(found["items"][0]["title"], format!("Files {word}"), "{found}");
    assert_eq!(asset["deployments"][0]["url"], format!("https://{word}.example/mcp"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_approved_is_served_until_a_change_of_the_upstream_is_approved() {
    let there = TestApp::start().await;
    there.admin().post("/v0.1/publish", &document("1.0.0", "amber")).await.expect(200);
    let here = downstream().await;
    point_at(&here, &there.url, json!({"approve": []})).await;
    assert_eq!(run(&here).await["waiting"], 1);
    let queue = waiting(&here).await;
    decide(&here, &queue[0], "approve").await;
    is_served_as(&here, "amber", "crimson").await;

    // An edit: one request, which shows the difference, however often it is read.
    edit(&there, "1.0.0", "crimson").await;
    let changed = sync(&here).await;
    assert_eq!((&changed["updated"], &changed["waiting"]), (&json!(1), &json!(1)), "{changed}");
    is_served_as(&here, "amber", "crimson").await;
    let again = sync_everything(&here).await;
    assert_eq!((&again["unchanged"], &again["waiting"]), (&json!(1), &json!(0)), "{again}");
    let queue = waiting(&here).await;
    assert_eq!((queue.len(), &queue[0]["purpose"], &queue[0]["version"]), (1, &json!("change"), &json!("1.0.0")));
    let detail = here.admin().get(&format!("/api/v1/approvals/{}", queue[0]["id"].as_str().unwrap())).await.json();
    let differences = detail["differences"].to_string();
    assert!(differences.contains("amber.example") && differences.contains("crimson.example"), "{differences}");
    assert_eq!(detail["steps"].as_array().unwrap().len(), 1, "{detail}");

    // Rejected: dropped, and not asked for again.
    decide(&here, &queue[0], "reject").await;
    is_served_as(&here, "amber", "crimson").await;
    assert_eq!(sync_everything(&here).await["waiting"], 0);
    assert_eq!(waiting(&here).await, Vec::<Value>::new());

    // Other contents are another question; approved, they are served.
    edit(&there, "1.0.0", "cobalt").await;
    assert_eq!(sync(&here).await["waiting"], 1);
    is_served_as(&here, "amber", "cobalt").await;
    let queue = waiting(&here).await;
    decide(&here, &queue[0], "approve").await;
    is_served_as(&here, "cobalt", "amber").await;
    assert_eq!(sync_everything(&here).await["unchanged"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_upstream_takes_back_waits_no_more_and_new_versions_wait_for_themselves() {
    let there = TestApp::start().await;
    there.admin().post("/v0.1/publish", &document("1.0.0", "amber")).await.expect(200);
    let here = downstream().await;
    point_at(&here, &there.url, json!({"approve": []})).await;
    run(&here).await;
    // A further version of what is not approved yet does not make it so.
    there.admin().post("/v0.1/publish", &document("1.1.0", "indigo")).await.expect(200);
    assert_eq!(sync(&here).await["waiting"], 1);
    here.stranger().get(ASSET).await.expect(404);
    for request in waiting(&here).await.iter().filter(|request| request["version"] == "1.0.0") {
        decide(&here, request, "approve").await;
    }
    is_served_as(&here, "amber", "indigo").await;

    edit(&there, "1.0.0", "crimson").await;
    sync(&here).await;
    assert_eq!(waiting(&here).await.iter().filter(|one| one["purpose"] == "change").count(), 1);
    edit(&there, "1.0.0", "amber").await;
    sync_everything(&here).await;
    assert_eq!(waiting(&here).await.iter().filter(|one| one["purpose"] == "change").count(), 0);
    is_served_as(&here, "amber", "crimson").await;
    // What was taken back may come again.
    edit(&there, "1.0.0", "crimson").await;
    sync_everything(&here).await;
    assert_eq!(waiting(&here).await.iter().filter(|one| one["purpose"] == "change").count(), 1);

    // The further version, turned down and then mended by the upstream, is asked for anew.
    for request in waiting(&here).await.iter().filter(|request| request["version"] == "1.1.0") {
        decide(&here, request, "reject").await;
    }
    edit(&there, "1.1.0", "ochre").await;
    sync_everything(&here).await;
    let queue = waiting(&here).await;
    let mended: Vec<_> = queue.iter().filter(|request| request["version"] == "1.1.0").collect();
    assert_eq!(mended.len(), 1, "{queue:?}");
    decide(&here, mended[0], "approve").await;
    is_served_as(&here, "ochre", "indigo").await;

    // A deletion there counts at once, and everything is again as the version before says; so does a return.
    let path = "/v0.1/servers/com.acme%2Ffiles/versions/1.1.0/status";
    there.admin().patch(path, &json!({"status": "deleted"})).await.expect(200);
    assert_eq!(sync(&here).await["deleted"], 1);
    is_served_as(&here, "amber", "ochre").await;
    assert_eq!(sync_everything(&here).await["deleted"], 0);
    there.admin().patch(path, &json!({"status": "active"})).await.expect(200);
    assert_eq!(sync(&here).await["waiting"], 0);
    is_served_as(&here, "ochre", "indigo").await;

    // What comes back with other contents is asked for, and nothing of it is shown meanwhile.
    there.admin().patch(path, &json!({"status": "deleted"})).await.expect(200);
    sync(&here).await;
    there.admin().patch(path, &json!({"status": "active"})).await.expect(200);
    edit(&there, "1.1.0", "violet").await;
    assert_eq!(sync(&here).await["waiting"], 1);
    is_served_as(&here, "amber", "violet").await;
    is_served_as(&here, "amber", "ochre").await;
    let queue = waiting(&here).await;
    let back: Vec<_> = queue.iter().filter(|request| request["version"] == "1.1.0").collect();
    assert_eq!(back.len(), 1, "{queue:?}");
    decide(&here, back[0], "approve").await;
    is_served_as(&here, "violet", "ochre").await;
}
