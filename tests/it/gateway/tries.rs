//! Which members of a pool are tried, with what, and what is told when none may be.

use super::house::{backend, house, install, parts, route};
use crate::support::TestApp;
use crate::support::vendor::Vendor;
use axum::{Json, Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wharfinger::gateway::Parts;
use wharfinger::gateway::settings::{Capacity, Hedging, Provider, RetryBudget, Span};

const CHAT: &str = "/llm/v1/chat/completions";
const EMBEDDINGS: &str = "/llm/v1/embeddings";

fn chat() -> Value {
    json!({"model": "fast", "max_tokens": 6, "messages": [{"role": "user", "content": "hello"}]})
}

/// Two members; the second is asked too when the first has not answered within 150 ms.
fn hedged(vendor: &Vendor, first: &str, second: &str) -> Parts {
    let members =
        [("first", first), ("second", second)].map(|(name, mood)| (name, backend(vendor, Provider::Openai, mood)));
    let mut settings = route(parts(), "fast", &members);
    for (backend, first_byte) in settings.backends.iter_mut().zip([1_200, 9_000]) {
        backend.settings.timeouts.first_byte = Span::millis(first_byte);
    }
    settings.pools[0].settings.hedging = Some(Hedging { after: Span::millis(150) });
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_member_is_asked_beside_a_slow_first_and_whoever_serves_is_heard() {
    let (app, vendor) = house().await;
    let asking = json!({"model": "fast", "input": "hello"});
    for (first, second, served) in [
        // The first is slow, and the second quicker.
        ("hang", "ok", true),
        // The first fails while the second is away.
        ("hang", "slow-1700", true),
        // The second fails while the first is away.
        ("slow-400", "status-500", true),
        // The first fails before it is slow: no hedge, the next one.
        ("status-500", "ok", true),
        ("hang", "status-500", false),
    ] {
        install(&app, hedged(&vendor, first, second));
        let before = (vendor.requests(first), vendor.requests(second));

        let answer = app.admin().post(EMBEDDINGS, &asking).await;

        assert_eq!(answer.status == 200, served, "{first}, {second}: {}", answer.text);
        let asked = (vendor.requests(first) - before.0, vendor.requests(second) - before.1);
        assert_eq!(asked, (1, 1), "{first}, {second}");
        if !served {
            let tried = answer.json()["error"]["tried"].clone();
            assert_eq!(tried.as_array().unwrap().len(), 2, "{tried}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hedge_is_an_attempt_and_nothing_that_changes_something_has_one() {
    let (app, vendor) = house().await;
    let mut settings = hedged(&vendor, "slow-400", "ok");
    settings.pools[0].settings.retries = RetryBudget { attempts: 1, ..RetryBudget::default() };
    install(&app, settings);
    app.admin().post(EMBEDDINGS, &json!({"model": "fast", "input": "hello"})).await.expect(200);
    assert_eq!((vendor.requests("slow-400"), vendor.requests("ok")), (1, 0), "one attempt is allowed");

    install(&app, hedged(&vendor, "slow-400", "ok"));
    app.admin().post(CHAT, &chat()).await.expect(200);
    assert_eq!((vendor.requests("slow-400"), vendor.requests("ok")), (2, 0), "a chat is not asked twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_vendor_cannot_be_told_goes_to_one_that_can() {
    let (app, vendor) = house().await;
    let claude = || ("claude", backend(&vendor, Provider::Anthropic, "slow-1"));
    let mut asking = chat();
    asking["n"] = 2.into();

    install(&app, route(parts(), "fast", &[claude(), ("gpt", backend(&vendor, Provider::Openai, "ok"))]));
    app.admin().post(CHAT, &asking).await.expect(200);
    assert_eq!((vendor.requests("slow-1"), vendor.requests("ok")), (0, 1));

    // One that can is there, and out: that is not the request's fault.
    install(&app, route(parts(), "fast", &[claude(), ("gpt", backend(&vendor, Provider::Openai, "wait-s-20"))]));
    app.admin().post(CHAT, &asking).await.expect(429);
    let out = app.admin().post(CHAT, &asking).await.expect(503);
    assert!((1..=20).contains(&out.header("retry-after").parse::<u64>().unwrap()), "{}", out.text);

    install(&app, route(parts(), "fast", &[claude()]));
    let refused = app.admin().post(CHAT, &asking).await.expect(400);
    assert!(refused.text.contains("cannot be told"), "{}", refused.text);
    assert_eq!(vendor.requests("slow-1"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_says_when_it_has_room_again() {
    let (app, vendor) = house().await;
    let mut settings = backend(&vendor, Provider::Openai, "ok");
    settings.capacity = Capacity { requests_per_minute: Some(2), ..Capacity::default() };
    install(&app, route(parts(), "fast", &[("one", settings)]));
    for _ in 0..2 {
        app.admin().post(CHAT, &chat()).await.expect(200);
    }

    let full = app.admin().post(CHAT, &chat()).await.expect(429);

    assert!((50..=60).contains(&full.header("retry-after").parse::<u64>().unwrap()), "{}", full.text);
    assert!(full.text.contains("capacity is used up"), "{}", full.text);
    assert_eq!(vendor.requests("ok"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_and_not_used_is_given_back() {
    let (app, vendor) = house().await;
    // It keeps usage to itself, so that we count, and calls a tool, so that little is said, whatever might be.
    let mut provisioned = backend(&vendor, Provider::Openai, "silent+ok");
    provisioned.capacity = Capacity { tokens_per_minute: Some(100_000), ..Capacity::default() };
    let spill = backend(&vendor, Provider::Openai, "slow-1");
    install(&app, route(parts(), "fast", &[("provisioned", provisioned), ("spill", spill)]));
    let mut asking = chat();
    asking["max_tokens"] = 30_000.into();
    asking["stream"] = true.into();
    asking["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);

    for _ in 0..8 {
        app.admin().post(CHAT, &asking).await.expect(200);
    }

    assert_eq!((vendor.requests("silent+ok"), vendor.requests("slow-1")), (8, 0));
}

/// A vendor that takes only the latest token, and a server that gives them.
#[derive(Clone, Default)]
struct Tokens {
    given: Arc<AtomicU64>,
    /// The number of the first that is still taken.
    taken_from: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
    /// How long the server takes.
    slow: Duration,
}

impl Tokens {
    async fn start(self) -> String {
        let give = |State(tokens): State<Self>| async move {
            tokio::time::sleep(tokens.slow).await;
            let number = tokens.given.fetch_add(1, Ordering::SeqCst);
            Json(json!({"access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 3_600}))
        };
        let answer = |State(tokens): State<Self>, headers: HeaderMap| async move {
            tokens.asked.fetch_add(1, Ordering::SeqCst);
            let shown = headers["authorization"].to_str().unwrap().strip_prefix("Bearer token-").unwrap();
            if shown.parse::<u64>().unwrap() < tokens.taken_from.load(Ordering::SeqCst) {
                return (StatusCode::UNAUTHORIZED, Json(json!({"error": {"message": "no"}})));
            }
            let message = json!({"role": "assistant", "content": "served"});
            let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
            (StatusCode::OK, Json(json!({"id": "c", "object": "chat.completion", "choices": choices})))
        };
        let service = Router::new().route("/token", post(give)).route("/v1/chat/completions", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = service.with_state(self);
        tokio::spawn(async move { axum::serve(listener, service).await });
        url
    }
}

/// A stored pool with this vendor first, and one that serves as the second.
async fn stored(app: &TestApp, url: &str, vendor: &Vendor) {
    let (admin, gateway) = (app.admin(), "/api/v1/gateway");
    let oauth = json!({"tokenUrl": format!("{url}/token"), "clientId": "us", "clientSecret": "shared"});
    admin.put(&format!("{gateway}/credentials/oauth"), &json!({"clientCredentials": oauth})).await.expect(201);
    let timeouts = json!({"connect": "500ms", "firstByte": "700ms", "idle": "700ms", "total": "10s"});
    let first = json!({"provider": "openai", "url": format!("{url}/v1"), "credential": "oauth", "timeouts": timeouts});
    admin.put(&format!("{gateway}/backends/first"), &first).await.expect(201);
    let second = json!({"provider": "openai", "url": format!("{}/v1", vendor.url("ok"))});
    admin.put(&format!("{gateway}/backends/second"), &second).await.expect(201);
    let members = json!([{"backend": "first"}, {"backend": "second", "priority": 2}]);
    admin.put(&format!("{gateway}/pools/chat"), &json!({"members": members})).await.expect(201);
    let route = json!({"serves": {"models": ["fast"]}, "pool": "chat", "callers": "everyone"});
    admin.put(&format!("{gateway}/routes/chat"), &route).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_is_fetched_anew_within_the_request_and_without_a_storm() {
    let (app, vendor) = house().await;
    let tokens = Tokens::default();
    stored(&app, &tokens.clone().start().await, &vendor).await;
    let seen = || (tokens.given.load(Ordering::SeqCst), tokens.asked.load(Ordering::SeqCst), vendor.requests("ok"));
    app.admin().post(CHAT, &chat()).await.expect(200);
    assert_eq!(seen(), (1, 1, 0));

    tokens.taken_from.store(1, Ordering::SeqCst);
    let answer = app.admin().post(CHAT, &chat()).await.expect(200);
    assert!(answer.text.contains("served"), "{}", answer.text);
    assert_eq!(seen(), (2, 3, 0), "a new token, and the same backend once more");

    // Now it refuses whatever it is shown.
    tokens.taken_from.store(u64::MAX, Ordering::SeqCst);
    for _ in 0..5 {
        app.admin().post(CHAT, &chat()).await.expect(200);
    }
    assert_eq!(seen(), (2, 8, 5), "no more tokens are fetched for a while, and the next backend serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_waited_for_no_longer_than_for_an_answer() {
    let (app, vendor) = house().await;
    let tokens = Tokens { slow: Duration::from_secs(6), ..Tokens::default() };
    stored(&app, &tokens.start().await, &vendor).await;
    let begun = Instant::now();

    app.admin().post(CHAT, &chat()).await.expect(200);

    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(vendor.requests("ok"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_came_too_late_for_one_request_serves_the_next() {
    let (app, vendor) = house().await;
    let tokens = Tokens { slow: Duration::from_secs(2), ..Tokens::default() };
    stored(&app, &tokens.clone().start().await, &vendor).await;
    app.admin().post(CHAT, &chat()).await.expect(200);
    assert_eq!(vendor.requests("ok"), 1, "nobody waits so long");

    tokio::time::sleep(Duration::from_secs(2)).await;
    let answer = app.admin().post(CHAT, &chat()).await.expect(200);

    assert!(answer.text.contains("served"), "{}", answer.text);
    assert_eq!((tokens.given.load(Ordering::SeqCst), vendor.requests("ok")), (1, 1), "one token is fetched, and kept");
}
