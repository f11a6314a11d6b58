//! Finding things: what is found and why, who finds what, and what happens when a part is missing.

mod faults;
mod finding;
mod quality;
mod sight;
mod similar;

use crate::support::TestApp;
use serde_json::{Value, json};
use wharfinger::auth::Actor;
use wharfinger::search::{Request, Results};

/// Registers each, as the system, and lets the search take everything in, vectors included.
async fn register(app: &TestApp, workspace: &str, assets: &[Value]) {
    for asset in assets {
        let new = serde_json::from_value(asset.clone()).unwrap();
        app.handles.catalog.register(&Actor::system("test"), workspace, new).await.unwrap();
    }
    settle(app).await;
}

/// Runs what is queued and takes in what is committed.
async fn settle(app: &TestApp) {
    let ids = app.handles.catalog.asset_ids_after(None, 10_000).await.unwrap();
    app.handles.search.on_assets_changed(&ids).await.unwrap();
    app.handles.search.catch_up().await.unwrap();
}

async fn find(app: &TestApp, actor: &Actor, text: &str) -> Results {
    app.handles.search.find(actor, &Request { text: text.to_owned(), ..Request::default() }).await.unwrap()
}

fn names(results: &Results) -> Vec<&str> {
    results.items.iter().map(|hit| hit.card.name.as_str()).collect()
}

/// Three assets that differ in everything that can be filtered by.
fn harbour() -> Vec<Value> {
    vec![
        json!({"name": "refunds", "kind": "rest", "title": "Refund API", "description": "Gives customers their money back.",
               "tags": ["payments"], "owners": ["team-pay"],
               "operations": [{"name": "createRefund", "summary": "Return a card payment"}, {"name": "listRefunds"}]}),
        json!({"name": "com.example/github", "kind": "mcp", "title": "GitHub", "description": "Issues and pull requests.",
               "tags": ["code"], "owners": ["team-dev"],
               "operations": [{"name": "create_issue", "description": "Open an issue in a repository"}]}),
        json!({"name": "weather", "kind": "rest", "title": "Weather", "description": "天气预报 for every harbour, as naïve as it sounds.",
               "tags": ["payments", "sky"], "owners": ["team-dev"]}),
    ]
}
