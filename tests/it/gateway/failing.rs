//! Streams and answers that begin well and fail: what clients read of them, what is recorded, and that none is given again.

use super::house::{backend, events, house, install, parts, read, route};
use crate::support::vendor::Vendor;
use crate::support::{RawVendor, Step, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use wharfinger::gateway::settings::{BackendSettings, PolicySettings, Provider, Rule, SemanticCache};

const SERVER_ERROR: &str = r#"{"error":{"message":"of the vendor","type":"server_error","param":null,"code":null}}"#;
const OVERLOADED: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"of the vendor"}}"#;
const CUT_SHORT: &str = r#"{"type":"response.failed","sequence_number":9,"response":{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"of the vendor"}}}"#;

/// One dialect that is passed on as it comes.
struct Native {
    path: &'static str,
    provider: Provider,
    asking: Value,
    /// An event of its streams, and one that tells of a failure.
    event: &'static str,
    failure: String,
}

fn natives() -> [Native; 3] {
    let messages = json!([{"role": "user", "content": "Where does the ferry to the island leave?"}]);
    [
        Native {
            path: "/llm/v1/chat/completions",
            provider: Provider::Openai,
            asking: json!({"model": "fast", "stream": true, "stream_options": {"include_usage": true}, "messages": messages}),
            event: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"},\"finish_reason\":null}]}\n\n",
            failure: format!("data: {SERVER_ERROR}\n\ndata: [DONE]\n\n"),
        },
        Native {
            path: "/llm/v1/responses",
            provider: Provider::Openai,
            asking: json!({"model": "fast", "stream": true, "input": "Where does the ferry to the island leave?"}),
            event: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"one\"}\n\n",
            failure: format!("event: response.failed\ndata: {CUT_SHORT}\n\n"),
        },
        Native {
            path: "/llm/anthropic/v1/messages",
            provider: Provider::Anthropic,
            asking: json!({"model": "fast", "stream": true, "max_tokens": 6, "messages": messages}),
            event: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"one\"}}\n\n",
            failure: format!("event: error\ndata: {OVERLOADED}\n\n"),
        },
    ]
}

fn stream(pieces: &[&str]) -> String {
    let chunks: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
}

/// A backend that answers so, left alone after two failures, behind the cache.
async fn behind_the_cache(app: &TestApp, vendor: &Vendor, provider: Provider, steps: Vec<Step>) -> RawVendor {
    let raw = RawVendor::start(steps).await;
    let mut settings = BackendSettings::new(provider, format!("{}/v1", raw.url()));
    settings.timeouts = backend(vendor, provider, "ok").timeouts;
    settings.breaker.count = Some(2);
    let cache = PolicySettings::new(Rule::SemanticCache(SemanticCache::default()));
    let mut all = route(parts(), "fast", &[("one", settings)]).with_policy("again", cache);
    all.routes[0].settings.policies = vec!["again".to_owned()];
    install(app, all);
    raw
}

async fn ask(app: &TestApp, path: &str, asking: &Value) -> reqwest::Response {
    app.admin().request(reqwest::Method::POST, path).json(asking).send().await.unwrap()
}

/// How the requests so far ended, the oldest first.
async fn outcomes(app: &TestApp) -> Vec<String> {
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    app.handles.ledger.clone().run(stop).await;
    sqlx::query_scalar("select outcome from usage_record order by at").fetch_all(&app.handles.db.read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_event_is_never_passed_on() {
    let (app, vendor) = house().await;
    for Native { path, provider, asking, event, .. } in natives() {
        for cut in [1, event.len() / 2, event.len() - 1] {
            let pieces = stream(&[&format!("{event}{}", &event[..5]), &event[5..], &event[..cut]]);
            let steps = vec![Step::send(pieces), Step::Wait(Duration::from_millis(60)), Step::Reset];
            let _raw = behind_the_cache(&app, &vendor, provider, steps).await;

            let (text, ended_well) = read(ask(&app, path, &asking).await).await;

            assert!(!ended_well, "{path}: it must not look whole");
            let told = events(&text);
            assert_eq!(told.len(), 3, "{path}, cut at {cut}: {text}");
            assert_eq!(told[0], told[1]);
            let failure = &told[2];
            assert!(failure["error"]["message"].is_string() || failure["type"] == "error", "{path}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_tells_of_a_failure_is_recorded_as_failed_and_never_given_again() {
    for Native { path, provider, asking, event, failure } in natives() {
        let (app, vendor) = house().await;
        let pieces = stream(&[event, &failure]) + "0\r\n\r\n";
        let raw = behind_the_cache(&app, &vendor, provider, vec![Step::send(pieces)]).await;

        for _ in 0..2 {
            let response = ask(&app, path, &asking).await;
            assert_eq!(response.headers()["x-wharfinger-cache"], "miss", "{path}");
            let (text, _) = read(response).await;
            assert!(text.contains("of the vendor"), "{path}: {text}");
            events(&text);
        }

        assert_eq!(raw.requests(), 2, "{path}");
        assert_eq!(ask(&app, path, &asking).await.status(), 503, "{path}: it is left alone");
        assert_eq!(outcomes(&app).await, ["failed", "failed", "failed"], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_says_it_failed_is_recorded_so_and_never_given_again() {
    let (app, vendor) = house().await;
    let body = r#"{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"of the vendor"},"output":[]}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let raw = behind_the_cache(&app, &vendor, Provider::Openai, vec![Step::send(head + body)]).await;
    let asking = json!({"model": "fast", "input": "Where does the ferry to the island leave?"});

    for _ in 0..2 {
        let response = ask(&app, "/llm/v1/responses", &asking).await;
        assert_eq!(response.headers()["x-wharfinger-cache"], "miss");
        assert_eq!(read(response).await, (body.to_owned(), true), "it goes on as it is");
    }

    assert_eq!(raw.requests(), 2);
    assert_eq!(ask(&app, "/llm/v1/responses", &asking).await.status(), 503, "it is left alone");
    assert_eq!(outcomes(&app).await, ["failed", "failed", "failed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_begins_with_a_failure_goes_to_the_next_backend() {
    let (app, vendor) = house().await;
    for Native { path, provider, asking, failure, .. } in natives() {
        let raw = RawVendor::start(vec![Step::send(stream(&[&failure]) + "0\r\n\r\n")]).await;
        let mut first = BackendSettings::new(provider, format!("{}/v1", raw.url()));
        first.timeouts = backend(&vendor, provider, "ok").timeouts;
        install(&app, route(parts(), "fast", &[("first", first), ("next", backend(&vendor, provider, "ok"))]));
        let before = vendor.requests("ok");

        let response = ask(&app, path, &asking).await;

        assert_eq!(response.status(), 200, "{path}");
        let (text, ended_well) = read(response).await;
        assert!(ended_well && text.contains("word") && !text.contains("of the vendor"), "{path}: {text}");
        assert_eq!((raw.requests(), vendor.requests("ok") - before), (1, 1), "{path}");
    }
}
