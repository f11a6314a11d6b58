//! What policies do to answers: what is blocked in them does not go on, whole or in a stream, nor what is too long; what
//! was answered is charged.

use super::house::{backend, events, house, install, parts, read, route};
use crate::support::{RawVendor, Step, TestApp};
use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wharfinger::gateway::settings::{
    BackendSettings, Content, GuardHook, LooksAt, Mask, MaskKind, OnFailure, PolicySettings, Provider, Rule,
    SemanticCache, Serves, SizeLimit, Span,
};

/// The vendor says a word as often as it is let.
const THREE_WORDS: &str = "word word word";

/// A way to ask for so many words, and the provider that answers.
type Way = (&'static str, Provider, fn(u64, bool) -> Value);

fn chat(words: u64, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": THREE_WORDS}]);
    json!({"model": "fast", "max_tokens": words, "stream": stream, "messages": messages})
}

fn response(words: u64, stream: bool) -> Value {
    json!({"model": "fast", "max_output_tokens": words, "stream": stream, "input": THREE_WORDS})
}

/// Each dialect, and one that is told in another.
const WAYS: [Way; 4] = [
    ("/llm/v1/chat/completions", Provider::Openai, chat),
    ("/llm/v1/responses", Provider::Openai, response),
    ("/llm/anthropic/v1/messages", Provider::Anthropic, chat),
    ("/llm/v1/chat/completions", Provider::Anthropic, chat),
];

/// Puts a backend behind these policies.
fn behind(app: &TestApp, backend: BackendSettings, policies: &[PolicySettings]) {
    let mut all = route(parts(), "fast", &[("one", backend)]);
    for (number, policy) in policies.iter().enumerate() {
        all = all.with_policy(&format!("policy-{number}"), policy.clone());
        all.routes[0].settings.policies.push(format!("policy-{number}"));
    }
    install(app, all);
}

fn blocked_in(looks_at: LooksAt) -> PolicySettings {
    let blocked = vec![r"(?i)\bword word word\b".to_owned()];
    PolicySettings::new(Rule::Content(Content { blocked, looks_at, ..Content::default() }))
}

async fn ask(app: &TestApp, path: &str, asking: &Value) -> reqwest::Response {
    app.admin().request(reqwest::Method::POST, path).json(asking).send().await.unwrap()
}

/// How the requests so far ended, by whom they were refused, and the tokens of their replies; the oldest first.
async fn recorded(app: &TestApp) -> Vec<(String, String, i64)> {
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    app.handles.ledger.clone().run(stop).await;
    sqlx::query_as("select outcome, refused_by, output from usage_record order by at")
        .fetch_all(&app.handles.db.read)
        .await
        .unwrap()
}

fn refused(output: i64) -> (String, String, i64) {
    ("refused".to_owned(), "policy-0".to_owned(), output)
}

/// The status of an answer that tells clients not to ask again.
fn not_again(response: &reqwest::Response) -> u16 {
    assert_eq!(response.headers()["x-should-retry"], "false");
    response.status().as_u16()
}

/// The words of the client's events, and the failure that ends them.
fn words_and_failure(text: &str) -> (usize, Value) {
    let told = events(text);
    let is_failure = |event: &&Value| event["error"].is_object() || event["type"] == "error";
    (text.matches(" word").count(), told.iter().find(is_failure).cloned().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_blocked_in_answers_does_not_go_on_and_is_charged() {
    for (path, provider, asking) in WAYS {
        let (app, vendor) = house().await;
        behind(&app, backend(&vendor, provider, "ok"), &[blocked_in(LooksAt::Answers)]);

        assert_eq!(ask(&app, path, &asking(2, false)).await.status(), 200, "{path}: the prompt may say it");
        let response = ask(&app, path, &asking(6, false)).await;

        assert_eq!(not_again(&response), 400, "{path}");
        let (text, _) = read(response).await;
        assert!(text.contains("policy-0") && !text.contains(" word"), "{path}: {text}");
        assert_eq!(recorded(&app).await[1], refused(6), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_as_it_comes_and_ends_where_it_says_what_is_blocked() {
    for (path, provider, asking) in WAYS {
        let (app, vendor) = house().await;
        behind(&app, backend(&vendor, provider, "ok"), &[blocked_in(LooksAt::Both)]);
        let asking = |words| {
            let mut asking = asking(words, true);
            let prompt =
                if asking["input"].is_string() { &mut asking["input"] } else { &mut asking["messages"][0]["content"] };
            *prompt = "say it".into();
            asking
        };

        let (text, _) = read(ask(&app, path, &asking(2)).await).await;
        assert_eq!(words_and_failure(&text).1, Value::Null, "{path}: {text}");
        let (text, ended_well) = read(ask(&app, path, &asking(6)).await).await;

        let (words, failure) = words_and_failure(&text);
        assert!(ended_well && words <= 2, "{path}: {text}");
        let code = if failure["code"].is_string() { &failure["code"] } else { &failure["error"]["code"] };
        assert!(matches!(code.as_str(), Some("content-blocked" | "content_blocked")), "{path}: {text}");
        let (outcome, by, output) = recorded(&app).await.remove(1);
        assert_eq!((&*outcome, &*by), ("refused", "policy-0"), "{path}");
        assert!((1..=6).contains(&output), "{path}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_is_not_given_again_and_in_shadow_it_goes_on() {
    let (app, vendor) = house().await;
    let cache = PolicySettings::new(Rule::SemanticCache(SemanticCache::default()));
    behind(&app, backend(&vendor, Provider::Openai, "ok"), &[blocked_in(LooksAt::Answers), cache]);
    for stream in [false, true, false, true] {
        let response = ask(&app, "/llm/v1/chat/completions", &chat(6, stream)).await;
        assert_eq!(response.headers()["x-wharfinger-cache"], "miss");
        read(response).await;
    }

    let shadow = PolicySettings { shadow: true, ..blocked_in(LooksAt::Answers) };
    behind(&app, backend(&vendor, Provider::Openai, "ok"), &[shadow]);
    let response = ask(&app, "/llm/v1/chat/completions", &chat(6, false)).await;
    assert_eq!(response.headers()["x-wharfinger-shadow"], "policy-0");
    assert_eq!(read(response).await.0.matches(" word").count(), 6);
    let (text, ended_well) = read(ask(&app, "/llm/v1/chat/completions", &chat(6, true)).await).await;
    assert_eq!((words_and_failure(&text), ended_well), ((6, Value::Null), true));

    let served = ("served".to_owned(), "policy-0".to_owned(), 6);
    assert_eq!(recorded(&app).await[4..], [served.clone(), served], "and the record says who would have refused");
}

/// A moderation service that forbids this text, and keeps what it was asked.
async fn guard(forbidden: &'static str) -> (String, Arc<Mutex<Vec<Value>>>) {
    type Asked = Arc<Mutex<Vec<Value>>>;
    let asked = Asked::default();
    let decide = async move |State(asked): State<Asked>, Json(question): Json<Value>| {
        let texts = question["texts"].as_array().unwrap();
        let allow = !texts.iter().any(|text| text.as_str().unwrap().contains(forbidden));
        asked.lock().unwrap().push(question);
        Json(json!({"allow": allow, "reason": "it says too much"}))
    };
    let service = Router::new().route("/", post(decide)).with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await });
    (url, asked)
}

/// Where a guard listened that is away.
fn address_of_nobody() -> String {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", nobody.local_addr().unwrap())
}

fn guarded_by(url: &str, looks_at: LooksAt, on_failure: OnFailure) -> PolicySettings {
    let hook = GuardHook { url: url.to_owned(), looks_at, timeout: Some(Span::millis(500)), on_failure };
    PolicySettings::new(Rule::GuardHook(hook))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_is_asked_about_whole_answers_and_streams_wait_for_it() {
    let (url, asked) = guard("word word word").await;
    for (path, provider, asking) in WAYS {
        let (app, vendor) = house().await;
        let policy = guarded_by(&url, LooksAt::Answers, OnFailure::Closed);
        behind(&app, backend(&vendor, provider, "ok"), &[policy]);
        for stream in [false, true] {
            asked.lock().unwrap().clear();

            let (text, ended_well) = read(ask(&app, path, &asking(2, stream)).await).await;
            let response = ask(&app, path, &asking(6, stream)).await;

            assert!(ended_well && text.contains("word"), "{path}: {text}");
            assert_eq!(response.status(), 403, "{path}: no event has gone on");
            let (text, _) = read(response).await;
            assert!(text.contains("it says too much") && !text.contains(" word"), "{path}: {text}");
            let questions = std::mem::take(&mut *asked.lock().unwrap());
            let about: Vec<_> = questions.iter().map(|question| (&question["looksAt"], &question["texts"])).collect();
            let said = |words| json!([" word".repeat(words)]);
            assert_eq!(about, [(&json!("answer"), &said(2)), (&json!("answer"), &said(6))], "{path}");
        }
        assert_eq!(recorded(&app).await[3], refused(6), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_is_away_closes_the_way_or_leaves_it_open() {
    let (app, vendor) = house().await;
    let url = address_of_nobody();
    for (looks_at, on_failure, status) in [
        (LooksAt::Prompts, OnFailure::Closed, 503),
        (LooksAt::Answers, OnFailure::Closed, 503),
        (LooksAt::Both, OnFailure::Open, 200),
    ] {
        behind(&app, backend(&vendor, Provider::Openai, "ok"), &[guarded_by(&url, looks_at, on_failure)]);
        for stream in [false, true] {
            let response = ask(&app, "/llm/v1/chat/completions", &chat(2, stream)).await;

            assert_eq!(response.status(), status, "{looks_at:?} {on_failure:?}");
            let (text, _) = read(response).await;
            assert_eq!(text.matches(" word").count(), if status == 200 { 2 } else { 0 }, "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_while_its_answer_is_held_back_is_charged() {
    let (app, vendor) = house().await;
    let (url, _) = guard("nothing of it").await;
    behind(
        &app,
        backend(&vendor, Provider::Openai, "pace-400"),
        &[guarded_by(&url, LooksAt::Answers, OnFailure::Closed)],
    );
    let asking = chat(6, true);

    let gone = tokio::time::timeout(Duration::from_millis(1_000), ask(&app, "/llm/v1/chat/completions", &asking)).await;

    assert!(gone.is_err(), "nothing comes before all of it is there");
    let left = async {
        loop {
            match recorded(&app).await.first() {
                Some(record) => break record.clone(),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let (outcome, by, output) = tokio::time::timeout(Duration::from_secs(10), left).await.unwrap();
    assert_eq!((&*outcome, &*by), ("cancelled", ""));
    assert!(output >= 1, "{output}");
}

/// A vendor whose stream says these pieces, each event ended so, but for the last, which has no end.
async fn saying(pieces: &[&str], ending: &str) -> RawVendor {
    let mut steps = vec![Step::send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")];
    for (number, piece) in (1..).zip(pieces) {
        let finish = if number == pieces.len() { json!("stop") } else { Value::Null };
        let event = json!({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": finish}]});
        let ending = if number == pieces.len() { "" } else { ending };
        steps.push(Step::send(format!("data: {event}{ending}")));
        steps.push(Step::Wait(Duration::from_millis(20)));
    }
    steps.push(Step::Close);
    RawVendor::start(steps).await
}

fn contents(text: &str) -> String {
    let events = events(&text.replace("\r", "\n"));
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_is_still_being_said_waits_for_its_end() {
    let (app, _) = house().await;
    let pattern = vec![r"\bass\b".to_owned()];
    let policy = PolicySettings::new(Rule::Content(Content {
        blocked: pattern,
        looks_at: LooksAt::Answers,
        ..Content::default()
    }));
    for ending in ["\n\n", "\r\n\r\n", "\r\r"] {
        for (pieces, passed, is_blocked) in [
            (&["cl", "ass", "es ", "ass", "ume ", "so"][..], "classes assume so", false),
            (&["an ", "ass", " is", " one"], "an ", true),
            // The last event has no end of its own, and a client reads it all the same.
            (&["an ", "ass"], "an ", true),
        ] {
            let raw = saying(pieces, ending).await;
            let settings = BackendSettings::new(Provider::Openai, format!("{}/v1", raw.url()));
            behind(&app, settings, std::slice::from_ref(&policy));

            let (text, _) = read(ask(&app, "/llm/v1/chat/completions", &chat(6, true)).await).await;

            assert_eq!(contents(&text), passed, "{text}");
            assert_eq!(text.contains("content-blocked") || text.contains("content_blocked"), is_blocked, "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hidden_from_the_backend_is_hidden_from_the_guard() {
    let (app, _) = house().await;
    let (url, asked) = guard("nothing of it").await;
    let masks = Content { masks: vec![Mask::Known(MaskKind::Email)], restore: true, ..Content::default() };
    let policies = [PolicySettings::new(Rule::Content(masks)), guarded_by(&url, LooksAt::Both, OnFailure::Closed)];
    let raw = saying(&["I wrote to ", "[EMAIL_1]", "."], "\n\n").await;
    behind(&app, BackendSettings::new(Provider::Openai, format!("{}/v1", raw.url())), &policies);
    let mut asking = chat(6, true);
    asking["messages"][0]["content"] = "Write to ann@example.org".into();

    let (text, _) = read(ask(&app, "/llm/v1/chat/completions", &asking).await).await;

    assert_eq!(contents(&text), "I wrote to ann@example.org.", "{text}");
    let questions = std::mem::take(&mut *asked.lock().unwrap());
    let told: Vec<_> = questions.iter().map(|question| (&question["looksAt"], &question["texts"])).collect();
    let (prompt, answer) = (json!(["Write to [EMAIL_1]"]), json!(["I wrote to [EMAIL_1]."]));
    assert_eq!(told, [(&json!("prompt"), &prompt), (&json!("answer"), &answer)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_guard_decided_on_is_not_given_again() {
    let (app, vendor) = house().await;
    let url = address_of_nobody();
    let cache = PolicySettings::new(Rule::SemanticCache(SemanticCache::default()));
    let policies = [guarded_by(&url, LooksAt::Answers, OnFailure::Open), cache];
    behind(&app, backend(&vendor, Provider::Openai, "ok"), &policies);
    for stream in [false, false, true, true] {
        let response = ask(&app, "/llm/v1/chat/completions", &chat(2, stream)).await;
        assert_eq!(response.headers()["x-wharfinger-cache"], "miss");
        assert_eq!(read(response).await.0.matches(" word").count(), 2);
    }
}

fn most_bytes(most: u64) -> PolicySettings {
    PolicySettings::new(Rule::SizeLimit(SizeLimit { response_bytes: Some(most), ..SizeLimit::default() }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_long_does_not_go_on() {
    for (path, provider, asking) in WAYS {
        let (app, vendor) = house().await;
        behind(&app, backend(&vendor, provider, "ok"), &[most_bytes(4_000)]);
        assert_eq!(ask(&app, path, &asking(2, false)).await.status(), 200, "{path}");

        let response = ask(&app, path, &asking(1_000, false)).await;
        assert_eq!(not_again(&response), 502, "{path}");
        let (text, _) = read(response).await;
        assert!(text.contains("answers of 4000 bytes") && !text.contains(" word"), "{path}: {text}");

        behind(&app, backend(&vendor, provider, "pace-1"), &[most_bytes(4_000)]);
        let (text, _) = read(ask(&app, path, &asking(1_000, true)).await).await;
        let (words, failure) = words_and_failure(&text);
        assert!(failure.to_string().contains("answers of 4000 bytes") && words > 2, "{path}: {text}");
        assert!(text.len() < 4_000 + 500, "{path}: {} bytes", text.len());
        let recorded = recorded(&app).await;
        assert_eq!(recorded[1], refused(1_000), "{path}");
        assert_eq!((&*recorded[2].0, &*recorded[2].1), ("refused", "policy-0"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_vendor_refuses_is_told_however_long() {
    let (app, vendor) = house().await;
    behind(&app, backend(&vendor, Provider::Openai, "status-400"), &[most_bytes(10)]);

    let response = ask(&app, "/llm/v1/chat/completions", &chat(6, false)).await;

    assert_eq!(response.status(), 400);
    assert!(read(response).await.0.contains("the vendor's own words"));
    assert_eq!(recorded(&app).await[0].2, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_a_rest_api_that_is_too_long_does_not_look_whole() {
    let (app, _) = house().await;
    let body = "x".repeat(6_000);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    for (answer, status) in [
        (format!("{head}content-length: 6000\r\n\r\n{body}"), 502),
        (format!("{head}transfer-encoding: chunked\r\n\r\nbb8\r\n{0}\r\nbb8\r\n{0}\r\n0\r\n\r\n", &body[..3_000]), 200),
    ] {
        let raw = RawVendor::start(vec![Step::send(answer)]).await;
        let settings = BackendSettings::new(Provider::Rest, raw.url());
        let mut all = route(parts(), "orders", &[("one", settings)]).with_policy("policy-0", most_bytes(4_000));
        all.routes[0].settings.serves = Serves::Rest("shop/orders".to_owned());
        all.routes[0].settings.policies = vec!["policy-0".to_owned()];
        install(&app, all);

        let response = app.admin().request(reqwest::Method::GET, "/rest/shop/orders/x").send().await.unwrap();

        assert_eq!(response.status(), status);
        let (text, ended_well) = read(response).await;
        assert!(ended_well == (status == 502) && text.matches('x').count() <= 4_000, "{status}: {}", text.len());
    }
    assert_eq!(recorded(&app).await, [refused(0), refused(0)]);
}
