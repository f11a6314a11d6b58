//! What the running program tells by webhook without being asked: approvals, drift, budgets, upstreams that fail.

use crate::support::vendor::Vendor;
use crate::support::{Home, Program, fresh_database_url};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Keeps the events it gets.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = events.clone();
    let keep = move |body: String| {
        kept.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        async { http::StatusCode::NO_CONTENT }
    };
    (served("/hook", Router::new().route("/hook", post(keep))).await, events)
}

/// An MCP server whose one tool is described as told.
async fn a_server() -> (String, Arc<Mutex<String>>) {
    let told = Arc::new(Mutex::new("Refunds a payment.".to_owned()));
    let shared = told.clone();
    let answer = move |Json(message): Json<Value>| {
        let description = shared.lock().unwrap().clone();
        async move {
            let result = match message["method"].as_str().unwrap() {
                "initialize" => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                                       "serverInfo": {"name": "pay", "version": "1"}}),
                "tools/list" => json!({"tools": [{"name": "refund", "description": description,
                                                  "inputSchema": {"type": "object"}}]}),
                "notifications/initialized" => Value::Null,
                _ => {
                    let error = json!({"code": -32601, "message": "no such method"});
                    return Json(json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
                }
            };
            Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
        }
    };
    (served("/mcp", Router::new().route("/mcp", post(answer))).await, told)
}

async fn served(path: &str, router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn ask(program: &Program, key: &str, method: &str, path: &str, body: Value) -> Value {
    let request = program.http.request(method.parse().unwrap(), format!("{}{path}", program.url));
    let answer = request.bearer_auth(key).json(&body).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{method} {path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn approvals_drift_budgets_and_failed_upstreams_are_told_by_webhook() {
    let (home, database) = (Home::new("notices"), fresh_database_url(true).await);
    let program = Program::serve(&[
        ("WHARFINGER_DATABASE_URL", database.as_str()),
        ("WHARFINGER_DATA_DIR", home.text()),
        ("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"),
    ])
    .await;
    let key = program.admin_key.clone().unwrap();
    let ask = async |method: &str, path: &str, body: Value| ask(&program, &key, method, path, body).await;
    let (url, events) = receiver().await;
    ask("POST", "/api/v1/workspaces/default/webhooks", json!({"name": "all", "url": url})).await;
    let event = async |kind: &str| -> Value {
        let wanted = format!("wharfinger.{kind}");
        let find = async || events.lock().unwrap().iter().find(|event| event["type"] == wanted).cloned();
        until(&format!("{kind} is told"), find).await
    };

    // An approval is asked for, and given.
    let settings = json!({"required": true, "selfApproval": false});
    ask("PATCH", "/api/v1/workspaces/default/approval-settings", settings).await;
    let (server, told) = a_server().await;
    let body = json!({"name": "com.example/refunds", "kind": "mcp", "title": "Refunds", "visibility": "public",
        "tools": [{"name": "refund", "description": "Refunds a payment."}],
        "deployments": [{"url": server, "transport": "streamable-http"}]});
    let writer = ask("POST", "/api/v1/keys", json!({"name": "w", "role": "publisher", "workspace": "default"})).await;
    let request = program.http.post(format!("{}/api/v1/workspaces/default/assets", program.url)).json(&body);
    let made = request.bearer_auth(writer["text"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(event("approval.requested").await["subject"], "com.example/refunds");
    let examined = until("the checks have looked", async || {
        let queue = ask("GET", "/api/v1/approvals", json!({})).await;
        let id = queue["items"][0]["id"].as_str()?.to_owned();
        let detail = ask("GET", &format!("/api/v1/approvals/{id}"), json!({})).await;
        (!detail["evidence"].as_array()?.is_empty() && detail["evidenceIsOld"] == false).then_some(detail)
    })
    .await;
    let decision = json!({"verdict": "approve", "digest": examined["digest"]});
    ask("POST", &format!("/api/v1/approvals/{}/decision", examined["id"].as_str().unwrap()), decision).await;
    assert_eq!(event("approval.approved").await["data"]["asset"]["name"], "com.example/refunds");

    // Its tools change.
    "Refunds a payment, and more.".clone_into(&mut told.lock().unwrap());
    ask("POST", "/api/v1/workspaces/default/assets/com.example%2Frefunds/check", json!({})).await;
    assert_eq!(event("asset.drifted").await["subject"], "com.example/refunds");

    // A budget is used up.
    let vendor = Vendor::start().await;
    let backend = json!({"provider": "openai", "url": format!("{}/v1", vendor.url("ok")), "models": {"m": "m"}});
    let owner = "?workspace=default";
    ask("PUT", &format!("/api/v1/gateway/backends/v{owner}"), backend).await;
    ask("PUT", &format!("/api/v1/gateway/pools/p{owner}"), json!({"members": [{"backend": "v"}]})).await;
    ask("PUT", "/api/v1/gateway/prices/m", json!({"input": 1000, "output": 1000})).await;
    let budget = json!({"rule": {"budget": {"counterKey": "{key}", "period": "month", "soft": 0.001}}});
    ask("PUT", &format!("/api/v1/gateway/policies/b{owner}"), budget).await;
    let route = json!({"serves": {"models": ["m"]}, "pool": "p", "policies": ["b"], "callers": "everyone"});
    ask("PUT", &format!("/api/v1/gateway/routes/r{owner}"), route).await;
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    let caller = ask("POST", "/api/v1/keys", json!({"name": "c", "role": "consumer", "workspace": "default"})).await;
    let request = program.http.post(format!("{}/llm/v1/chat/completions", program.url)).json(&question);
    let answered = request.bearer_auth(caller["text"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answered.status(), 200, "{}", answered.text().await.unwrap());
    let passed = event("budget.reached").await;
    assert_eq!((&passed["data"]["policy"], &passed["data"]["level"]), (&json!("b"), &json!("soft")), "{passed}");

    // An upstream fails.
    let upstream = json!({"name": "gone", "url": "http://127.0.0.1:1/"});
    ask("POST", "/api/v1/workspaces/default/upstreams", upstream).await;
    assert_eq!(event("source.failed").await["data"]["upstream"], "gone");
    assert!(program.stop().await.0);
}
