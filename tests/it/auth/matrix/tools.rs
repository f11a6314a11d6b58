//! Every tool of discovery over MCP, for everybody.

use super::scene::{askers, spots};
use crate::support::{Person, TestApp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wharfinger::auth::Role;

#[tokio::test]
async fn every_tool_of_discovery_gives_what_is_seen() {
    let app = TestApp::start().await;
    let members: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).chain(["nobody"]).collect();
    app.group("crew", &members).await;
    let spots = spots(&app).await;
    let askers = askers(&app).await;
    let ask = async |person: &Person<'_>, method: &str, params: Value| -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = person
            .request(reqwest::Method::POST, "/mcp")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        person.send(request.json(&message)).await.json()["result"].clone()
    };
    let arguments: BTreeMap<&str, fn(&str) -> Value> = BTreeMap::from([
        ("describe_asset", (|name| json!({"name": name})) as fn(&str) -> Value),
        ("get_definition", |name| json!({"name": name})),
        ("list_versions", |name| json!({"name": name})),
        ("connect", |name| json!({"name": name})),
        ("search_catalog", |name| json!({"query": name})),
    ]);
    let tools = ask(&app.admin(), "tools/list", json!({})).await;
    let names: BTreeSet<&str> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, arguments.keys().copied().collect(), "say what a new tool needs");

    for asker in &askers {
        for spot in &spots {
            for (tool, arguments) in &arguments {
                let answer =
                    ask(&asker.person, "tools/call", json!({"name": tool, "arguments": arguments(spot.name)})).await;
                let told = match *tool {
                    "search_catalog" => {
                        let items = answer["structuredContent"]["items"].as_array().unwrap();
                        items.iter().any(|item| item["name"] == spot.name)
                    }
                    _ => answer["isError"] == false,
                };
                assert_eq!(told, asker.sees(spot), "{tool} {} as {}: {answer}", spot.name, asker.label);
            }
        }
    }
}
