//! What the endpoint refuses before any tool is reached: the probes of a careful tester, from outside.

use super::{MODERN, harbour, legacy, modern_message};
use serde_json::{Value, json};

type Probe = (&'static str, Vec<(&'static str, &'static str)>, String, u16, Option<i64>);

fn probes() -> Vec<Probe> {
    let discover = modern_message("server/discover", json!({})).0;
    let call = modern_message("tools/call", json!({"name": "search_catalog", "arguments": {"query": "x"}})).0;
    let without = |pointer: &str, member: &str| {
        let mut call = call.clone();
        call.pointer_mut(pointer).unwrap().as_object_mut().unwrap().shift_remove(member);
        call.to_string()
    };
    let mut future = call.clone();
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let unknown = modern_message("no/such", json!({})).0;
    let unknown_tool = modern_message("tools/call", json!({"name": "nothing"})).0;
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": MODERN, "capabilities": {}, "clientInfo": {"name": "probe", "version": "1"}}});
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned();

    const V: (&str, &str) = ("mcp-protocol-version", MODERN);
    const CALL: (&str, &str) = ("mcp-method", "tools/call");
    const NAMED: (&str, &str) = ("mcp-name", "search_catalog");
    let of = |value: &Value| value.to_string();
    vec![
        ("discover", vec![V, ("mcp-method", "server/discover")], of(&discover), 200, None),
        ("call", vec![V, CALL, NAMED], of(&call), 200, None),
        ("name in base64", vec![V, CALL, ("mcp-name", "=?base64?c2VhcmNoX2NhdGFsb2c=?=")], of(&call), 200, None),
        ("stray session id", vec![V, CALL, NAMED, ("mcp-session-id", "stray")], of(&call), 200, None),
        ("method header missing", vec![V, NAMED], of(&call), 400, Some(-32020)),
        ("name header mismatching", vec![V, CALL, ("mcp-name", "other")], of(&call), 400, Some(-32020)),
        (
            "header and body of two versions",
            vec![("mcp-protocol-version", "2025-11-25"), CALL, NAMED],
            of(&call),
            400,
            Some(-32020),
        ),
        ("version header missing", vec![CALL, NAMED], of(&call), 400, Some(-32020)),
        ("modern header, no meta", vec![V, CALL, NAMED], without("/params", "_meta"), 400, Some(-32602)),
        (
            "capabilities missing",
            vec![V, CALL, NAMED],
            without("/params/_meta", "io.modelcontextprotocol/clientCapabilities"),
            400,
            Some(-32602),
        ),
        (
            "a version to come",
            vec![("mcp-protocol-version", "2099-01-01"), CALL, NAMED],
            of(&future),
            400,
            Some(-32022),
        ),
        ("unknown method", vec![V, ("mcp-method", "no/such")], of(&unknown), 404, Some(-32601)),
        ("initialize naming the modern version", vec![], of(&initialize), 200, None),
        ("unknown tool", vec![V, CALL, ("mcp-name", "nothing")], of(&unknown_tool), 200, Some(-32602)),
        ("legacy list without session", vec![], list.clone(), 200, None),
        ("foreign host", vec![("host", "evil.example")], list.clone(), 403, None),
        ("foreign origin", vec![("origin", "http://evil.example")], list.clone(), 403, None),
        ("a batch", vec![], format!("[{list}]"), 400, Some(-32600)),
        ("half a message", vec![], "{".to_owned(), 400, Some(-32700)),
        ("only JSON accepted", vec![("accept", "application/json")], list.clone(), 200, None),
        ("anything accepted", vec![("accept", "*/*")], list.clone(), 200, None),
        ("nothing we send accepted", vec![("accept", "text/html")], list.clone(), 406, None),
        ("another media type", vec![("content-type", "text/plain")], list, 415, None),
    ]
}

#[tokio::test]
async fn every_probe_is_answered_as_it_should_be() {
    let app = harbour().await;
    let stranger = app.stranger();

    for (name, headers, body, status, code) in probes() {
        let mut request = stranger.request(reqwest::Method::POST, "/mcp").body(body);
        if !headers.iter().any(|(header, _)| *header == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (header, value) in headers {
            request = request.header(header, value);
        }
        let answer = stranger.send(request).await;

        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        assert!(answer.header("content-type").contains("json"), "{name}: {}", answer.header("content-type"));
        assert_eq!(answer.json()["error"]["code"].as_i64(), code, "{name}: {}", answer.text);
        assert_eq!(answer.header("mcp-session-id"), "", "{name}");
    }
}

#[tokio::test]
async fn other_methods_belong_to_sessions_and_are_not_allowed() {
    let app = harbour().await;
    let stranger = app.stranger();

    for method in [reqwest::Method::GET, reqwest::Method::DELETE, reqwest::Method::PUT] {
        let request = stranger.request(method.clone(), "/mcp").header("accept", "text/event-stream");
        let answer = stranger.send(request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn a_page_of_our_own_may_call_and_is_told_so() {
    let app = harbour().await;
    let stranger = app.stranger();
    let own = app.url.clone();

    let preflight = stranger.request(reqwest::Method::OPTIONS, "/mcp").header("origin", &own);
    let preflight = stranger.send(preflight).await;
    let foreign = stranger.request(reqwest::Method::OPTIONS, "/mcp").header("origin", "http://evil.example");
    let foreign = stranger.send(foreign).await;

    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, own.as_str()));
    assert!(preflight.header("access-control-allow-headers").contains("Mcp-Method"));
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, ""));
}

#[tokio::test]
async fn a_key_that_does_not_hold_is_refused_with_a_challenge() {
    let app = harbour().await;
    let stranger = app.stranger();

    let request = stranger.request(reqwest::Method::POST, "/mcp").bearer_auth("whf_nonsense");
    let answer = stranger.send(request.json(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))).await;

    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{}", answer.header("www-authenticate"));
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(legacy(&app.admin(), "tools/list", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_body_too_long_is_refused_unread() {
    let app = harbour().await;
    let stranger = app.stranger();

    let request = stranger.request(reqwest::Method::POST, "/mcp").header("content-type", "application/json");
    let answer = stranger.send(request.body(" ".repeat(64 << 20))).await;

    assert_eq!(answer.status, 413, "{}", answer.text);
}
