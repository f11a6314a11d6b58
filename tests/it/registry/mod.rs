//! The MCP registry API, from outside, as its contract tells it.

mod addresses;
mod concurrency;
mod domains;
mod extensions;
mod listing;
mod publishing;
mod ready;
mod sight;
mod status;
mod tokens;
mod validating;

use crate::support::{Answer, Person, TestApp};
use serde_json::{Value, json};
use std::time::Duration;

const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";
const PUBLISHER: &str = "io.modelcontextprotocol.registry/publisher-provided";

/// A plain server.json.
fn server(name: &str, version: &str) -> Value {
    json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": name,
        "description": format!("What {name} does"),
        "version": version,
        "packages": [{
            "registryType": "npm", "identifier": "@example/server", "version": "1.0.0", "transport": {"type": "stdio"},
        }],
    })
}

fn with_remote(name: &str, version: &str, url: &str) -> Value {
    let mut document = server(name, version);
    document["remotes"] = json!([{"type": "streamable-http", "url": url}]);
    document
}

/// The path of a version.
fn at(name: &str, version: &str) -> String {
    format!("/v0.1/servers/{}/versions/{version}", name.replace('/', "%2F"))
}

impl Person<'_> {
    async fn publish(&self, document: &Value) -> Answer {
        self.post("/v0.1/publish", document).await
    }

    /// Publishes each (name, version), a second apart.
    async fn publish_all(&self, app: &TestApp, servers: &[(&str, &str)]) {
        for (name, version) in servers {
            self.publish(&server(name, version)).await.expect(200);
            app.clock.advance(Duration::from_secs(1));
        }
    }

    async fn list(&self, query: &str) -> Answer {
        self.get(&format!("/v0.1/servers{query}")).await
    }

    async fn set_status(&self, name: &str, version: &str, body: Value) -> Answer {
        self.patch(&format!("{}/status", at(name, version)), &body).await
    }
}

/// `name version` of each entry of a list.
fn entries(list: &Value) -> Vec<String> {
    let text = |entry: &Value, member: &str| entry["server"][member].as_str().unwrap().to_owned();
    let entries = list["servers"].as_array().unwrap();
    entries.iter().map(|entry| format!("{} {}", text(entry, "name"), text(entry, "version"))).collect()
}

/// The versions of an answer that carry the flag of the latest.
fn latest(list: &Value) -> Vec<String> {
    let entries = list["servers"].as_array().unwrap().iter();
    let flagged = entries.filter(|entry| entry["_meta"][OFFICIAL]["isLatest"] == true);
    flagged.map(|entry| entry["server"]["version"].as_str().unwrap().to_owned()).collect()
}

/// That the answer is a problem in the registry's shape.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["error"].is_string());
    assert!(body["detail"].as_str().unwrap().starts_with(detail), "{}", answer.text);
}
