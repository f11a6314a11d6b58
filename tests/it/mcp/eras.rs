//! Both eras on one path, without sessions.

use super::{MODERN, harbour, legacy, modern};
use serde_json::{Value, json};

#[tokio::test]
async fn a_modern_client_discovers_lists_and_calls() {
    let app = harbour().await;
    let stranger = app.stranger();

    let discovered = modern(&stranger, "server/discover", json!({})).await;
    let listed = modern(&stranger, "tools/list", json!({})).await.json();
    let called =
        modern(&stranger, "tools/call", json!({"name": "search_catalog", "arguments": {"query": "refund"}})).await;

    assert_eq!(discovered.status, 200, "{}", discovered.text);
    let discovered = discovered.json();
    let result = &discovered["result"];
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{result}");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "wharfinger");
    assert!(result["instructions"].as_str().unwrap().contains("search_catalog"));
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(300_000), &json!("public")));
    let names: Vec<_> = listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["search_catalog", "describe_asset", "get_definition", "list_versions", "connect"]);
    assert_eq!(listed["result"]["resultType"], "complete");
    let called = called.json();
    assert_eq!(called["result"]["resultType"], "complete");
    assert_eq!(called["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "wharfinger");
    assert_eq!(called["result"]["structuredContent"]["items"][0]["name"], "payments");
}

#[tokio::test]
async fn a_legacy_client_initializes_and_goes_on_without_a_session() {
    let app = harbour().await;
    let stranger = app.stranger();
    let hello = |version: &str| json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "story", "version": "1"}});

    for (asked, given) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-06-18", "2025-06-18"),
        (MODERN, "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let answer = legacy(&stranger, "initialize", hello(asked)).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text);
        assert_eq!(answer.header("mcp-session-id"), "");
        assert_eq!(answer.json()["result"]["protocolVersion"], given, "{asked}");
    }
    let ping = legacy(&stranger, "ping", json!({})).await.json();
    let unknown = legacy(&stranger, "no/such", json!({})).await;
    let called = legacy(&stranger, "tools/call", json!({"name": "list_versions", "arguments": {"name": "payments"}}))
        .await
        .json();

    assert_eq!(ping["result"], json!({}));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (200, &json!(-32601)));
    assert_eq!(called["result"]["structuredContent"]["items"][0]["name"], "2.0.0");
    assert_eq!(called["result"].get("resultType"), None);
}

#[tokio::test]
async fn old_clients_get_no_content_they_cannot_read() {
    let app = harbour().await;
    let stranger = app.stranger();
    let search = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search_catalog", "arguments": {"query": "files"}}});

    for (version, has_links) in [("2025-11-25", true), ("2025-06-18", true), ("2025-03-26", false)] {
        let request = stranger.request(reqwest::Method::POST, "/mcp").header("mcp-protocol-version", version);
        let answer = stranger.send(request.json(&search)).await.json();
        let kinds: Vec<_> =
            answer["result"]["content"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
        assert_eq!(kinds.contains(&json!("resource_link")), has_links, "{version}: {answer}");
        let text: Value = serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, answer["result"]["structuredContent"]);
    }
}

#[tokio::test]
async fn notifications_are_taken_and_removed_methods_are_gone() {
    let app = harbour().await;
    let stranger = app.stranger();
    let notice = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});

    let request = stranger.request(reqwest::Method::POST, "/mcp").json(&notice);
    let taken = stranger.send(request).await;
    let ping = modern(&stranger, "ping", json!({})).await;
    let listen = modern(&stranger, "subscriptions/listen", json!({"notifications": {}})).await;
    let unknown_tool = modern(&stranger, "tools/call", json!({"name": "no_such_tool"})).await;
    let bad_cursor = modern(&stranger, "resources/list", json!({"cursor": "!"})).await;

    assert_eq!((taken.status, taken.text.as_str()), (202, ""));
    for gone in [ping, listen] {
        assert_eq!((gone.status, &gone.json()["error"]["code"]), (404, &json!(-32601)));
    }
    let refusal = unknown_tool.json();
    assert_eq!((unknown_tool.status, &refusal["error"]["code"]), (200, &json!(-32602)));
    assert!(refusal["error"]["message"].as_str().unwrap().contains("search_catalog"));
    assert_eq!((bad_cursor.status, &bad_cursor.json()["error"]["code"]), (200, &json!(-32602)));
}
