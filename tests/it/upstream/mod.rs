//! Other registries are taken over whole, whatever they answer and whenever we are stopped.

mod deletions;
mod edits;
mod faults;
mod killed;
mod official;

use crate::support::TestApp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wharfinger::embed::Embedder;

/// A program that may fetch from loopback, with a clock that stands.
pub async fn downstream() -> TestApp {
    TestApp::start_with(&[("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8")], Embedder::hashed()).await
}

/// Makes the upstream `official` of the workspace `default`; everything is approved by rule unless `more` says otherwise.
pub async fn point_at(app: &TestApp, url: &str, more: Value) -> Value {
    let mut body = json!({"name": "official", "url": url, "approve": [{"namespace": "*"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.admin().post("/api/v1/workspaces/default/upstreams", &body).await.expect(201).json()
}

/// Runs what is due, and gives the last run.
pub async fn run(app: &TestApp) -> Value {
    app.handles.upstreams.run_due(&CancellationToken::new()).await.unwrap();
    last_run(app).await
}

/// Makes a run due, runs it, and gives it.
pub async fn sync(app: &TestApp) -> Value {
    app.admin().post("/api/v1/workspaces/default/upstreams/official/sync", &json!({})).await.expect(202);
    run(app).await
}

pub async fn last_run(app: &TestApp) -> Value {
    let runs = app.admin().get("/api/v1/workspaces/default/upstreams/official/runs").await.expect(200).json();
    runs["items"][0].clone()
}

/// Every entry of a registry as whoever has this key sees it, as (name, version, status), in order.
pub async fn entries(app: &TestApp, with_deleted: bool) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v0.1/servers?limit=100&include_deleted={with_deleted}{cursor}");
        let page = app.stranger().get(&path).await.expect(200).json();
        for entry in page["servers"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let status = text(&entry["_meta"]["io.modelcontextprotocol.registry/official"]["status"]);
            found.push((text(&entry["server"]["name"]), text(&entry["server"]["version"]), status));
        }
        match page["metadata"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}
