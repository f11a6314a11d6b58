//! Requests to models, from the client's side: what comes back, and from whom.

use super::house::{VENDOR_KEY, backend, events, house, install, parts, read, route};
use crate::support::TestApp;
use crate::support::vendor::{PROMPT, Vendor};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wharfinger::gateway::settings::{
    IpFilter, Money, OnDisconnect, PolicySettings, PriceSettings, Provider, RetryBudget, Rule,
};

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "max_tokens": 6, "messages": [{"role": "user", "content": "hello"}]})
}

fn one(app: &TestApp, vendor: &Vendor, mood: &str) {
    install(app, route(parts(), "fast", &[("one", backend(vendor, Provider::Openai, mood))]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_answered_by_the_vendor_and_no_credential_crosses() {
    let (app, vendor) = house().await;
    one(&app, &vendor, "ok");

    let answer = app.admin().post("/llm/v1/chat/completions", &chat("fast", false)).await.expect(200);

    assert_eq!(answer.json()["usage"]["prompt_tokens"], PROMPT);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], " word word word word word word");
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(*vendor.seen.credentials.lock().unwrap(), [format!("Bearer {VENDOR_KEY}")].into());
    let seen = vendor.seen.everything.lock().unwrap().concat();
    assert!(!seen.contains(&app.admin_key));
    assert!(!format!("{:?} {}", answer.headers, answer.text).contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_arrives_as_it_was_sent_and_without_the_usage_nobody_asked_for() {
    let (app, vendor) = house().await;
    one(&app, &vendor, "ok");
    let mut asking = chat("fast", true);

    let plain = app.admin().post("/llm/v1/chat/completions", &asking).await.expect(200);
    asking["stream_options"] = json!({"include_usage": true});
    let with_usage = app.admin().post("/llm/v1/chat/completions", &asking).await.expect(200);

    let (plain, with_usage) = (events(&plain.text), events(&with_usage.text));
    assert_eq!(plain.last().unwrap(), "[DONE]");
    assert!(plain.iter().all(|event| event["usage"].is_null()));
    assert_eq!(with_usage.len(), plain.len() + 1);
    assert_eq!(with_usage[with_usage.len() - 2]["usage"]["completion_tokens"], 6);
    assert_eq!(vendor.produced(), 12);
    let asked = vendor.seen.everything.lock().unwrap()[0].clone();
    assert!(asked.contains("\"stream_options\":{\"include_usage\":true}"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_of_the_path_is_asked_whatever_the_body_names() {
    let (app, vendor) = house().await;
    one(&app, &vendor, "ok");
    let path = "/llm/openai/deployments/fast/chat/completions?api-version=2024-10-21";
    let mut unnamed = chat("dear", false);
    unnamed.as_object_mut().unwrap().remove("model");

    for asking in [chat("dear", false), unnamed] {
        app.admin().post(path, &asking).await.expect(200);
    }

    let seen = vendor.seen.everything.lock().unwrap().concat();
    assert_eq!(seen.matches("\"model\":\"fast\"").count(), 2, "{seen}");
    assert!(!seen.contains("dear"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_counted_here_where_no_backend_counts_them_and_under_the_same_policies() {
    let (app, vendor) = house().await;
    let counting = json!({"model": "fast", "messages": [{"role": "user", "content": "hello there"}]});
    let path = "/llm/anthropic/v1/messages/count_tokens";
    one(&app, &vendor, "ok");

    let counted = app.admin().post(path, &counting).await.expect(200);
    let filter = IpFilter { deny: vec!["127.0.0.0/8".to_owned()], ..IpFilter::default() };
    let refusing = parts().with_policy("elsewhere", PolicySettings::everywhere(Rule::IpFilter(filter)));
    install(&app, route(refusing, "fast", &[("one", backend(&vendor, Provider::Openai, "ok"))]));
    let refused = app.admin().post(path, &counting).await.expect(403);

    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 2, "{}", counted.text);
    assert_eq!(refused.json()["error"]["type"], "permission_error");
    assert_eq!(refused.header("request-id"), refused.header("x-request-id"));
    assert_eq!(vendor.requests("ok"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_in_the_dialect_of_the_client() {
    let (app, vendor) = house().await;
    one(&app, &vendor, "ok");

    let unknown = app.admin().post("/llm/v1/chat/completions", &chat("other", false)).await.expect(404);
    assert_eq!(unknown.json()["error"]["code"], "model_not_found");
    let nobody = app.stranger().post("/llm/v1/chat/completions", &chat("fast", false)).await.expect(401);
    assert_eq!(nobody.json()["error"]["code"], "invalid_api_key");
    let broken = app.admin().post("/llm/anthropic/v1/messages", &json!({"model": "fast"})).await.expect(400);
    assert_eq!(
        (&broken.json()["type"], &broken.json()["error"]["type"]),
        (&json!("error"), &json!("invalid_request_error"))
    );
    let method = app.admin().get("/llm/v1/chat/completions").await.expect(405);
    assert_eq!(method.header("allow"), "POST");
    let nothing = app.admin().get("/llm/v1/nothing").await.expect(404);
    assert!(nothing.json()["error"]["message"].as_str().unwrap().contains("/llm/v1/"), "{}", nothing.text);
    let models = app.admin().get("/llm/v1/models").await.expect(200).json();
    assert_eq!(models["data"][0]["id"], "fast");
    assert_eq!(vendor.requests("ok"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_before_the_first_byte_goes_to_the_next_backend() {
    let (app, vendor) = house().await;
    for mood in
        ["status-500", "status-401", "wait-s-1", "hang", "json", "html", "length", "gzip", "cut-0", "status-503"]
    {
        let bad = backend(&vendor, Provider::Openai, mood);
        let good = backend(&vendor, Provider::Openai, "ok");
        install(&app, route(parts(), "fast", &[("bad", bad), ("good", good)]));

        for stream in [false, true] {
            let before = vendor.requests("ok");
            let begun = Instant::now();
            let answer = app.admin().post("/llm/v1/chat/completions", &chat("fast", stream)).await.expect(200);
            assert!(answer.text.contains(" word"), "{mood}: {}", answer.text);
            assert!(begun.elapsed() < Duration::from_secs(3), "{mood}");
            // Faults of streams alone, and of whole answers alone, are no faults of the other.
            assert!(vendor.requests("ok") <= before + 1, "{mood}: sent twice");
        }
        assert!(vendor.requests("ok") > 0, "{mood}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_after_the_first_byte_is_told_and_never_sent_again() {
    let (app, vendor) = house().await;
    for mood in ["cut-3", "fin-3", "stall-3"] {
        let bad = backend(&vendor, Provider::Openai, mood);
        let good = backend(&vendor, Provider::Openai, "ok");
        install(&app, route(parts(), "fast", &[("bad", bad), ("good", good)]));
        let before = vendor.requests("ok");

        let request = app.admin().request(reqwest::Method::POST, "/llm/v1/chat/completions");
        let (text, ended_well) = read(request.json(&chat("fast", true)).send().await.unwrap()).await;

        assert!(!ended_well, "{mood}: it must not look whole");
        assert!(events(&text).last().unwrap()["error"]["message"].is_string(), "{mood}: {text}");
        assert_eq!(text.matches(" word").count(), 3, "{mood}");
        assert_eq!(vendor.requests("ok"), before, "{mood}: sent again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_is_kept_to_the_moment_and_the_earliest_is_told() {
    let (app, vendor) = house().await;
    for (mood, wait) in [("wait-s-1", 1_000), ("wait-date-2", 1_000), ("wait-ms-700", 700), ("wait-reset-900", 900)] {
        let busy = backend(&vendor, Provider::Openai, mood);
        let busier = backend(&vendor, Provider::Openai, "wait-s-30");
        install(&app, route(parts(), "fast", &[("busy", busy), ("busier", busier)]));

        let begun = Instant::now();
        let refused = app.admin().post("/llm/v1/chat/completions", &chat("fast", false)).await.expect(429);
        assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 2, "{mood}: the earliest counts");
        assert_eq!(refused.json()["error"]["tried"].as_array().unwrap().len(), 2, "{}", refused.text);
        let asked = vendor.requests(mood);
        while begun.elapsed() < Duration::from_millis(wait - 200) {
            app.admin().post("/llm/v1/chat/completions", &chat("fast", false)).await.expect(503);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(vendor.requests(mood), asked, "{mood}: asked within its wait");
        let patience = begun + Duration::from_millis(wait + 2_500);
        while vendor.requests(mood) == asked {
            assert!(Instant::now() < patience, "{mood}: not asked again");
            tokio::time::sleep(Duration::from_millis(30)).await;
            app.admin().post("/llm/v1/chat/completions", &chat("fast", false)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_not_doubled_by_us() {
    let (app, vendor) = house().await;
    let failing = |_| backend(&vendor, Provider::Openai, "status-500");
    let mut settings = route(parts(), "fast", &[("a", failing(1)), ("b", failing(2)), ("c", failing(3))]);
    for backend in &mut settings.backends {
        backend.settings.breaker.accept_retry_after = false;
    }
    settings.pools[0].settings.retries = RetryBudget { attempts: 3, percentage: 20, floor_per_second: 0 };
    install(&app, settings);

    for _ in 0..100 {
        app.admin().post("/llm/v1/chat/completions", &chat("fast", false)).await.expect(503);
    }

    assert!(vendor.requests("status-500") <= 120, "{}", vendor.requests("status-500"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_ends_the_work_or_lets_it_be_read_on() {
    let (app, vendor) = house().await;
    for (policy, mood) in [(OnDisconnect::Cancel, "pace-20"), (OnDisconnect::Drain, "pace-21")] {
        let mut settings = backend(&vendor, Provider::Openai, mood);
        settings.on_disconnect = policy;
        install(&app, route(parts(), "fast", &[("one", settings)]));
        let before = vendor.seen.given_up.load(Ordering::SeqCst);
        let mut asking = chat("fast", true);
        asking["max_tokens"] = 40.into();

        let request = app.admin().request(reqwest::Method::POST, "/llm/v1/chat/completions");
        let mut response = request.json(&asking).send().await.unwrap();
        response.chunk().await.unwrap();
        drop(response);
        tokio::time::sleep(Duration::from_millis(1_500)).await;

        let left = vendor.seen.given_up.load(Ordering::SeqCst) - before;
        assert_eq!(left, u64::from(policy == OnDisconnect::Cancel), "{policy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_whole_answer_costs_is_charged_also_when_its_client_has_left() {
    let (app, vendor) = house().await;
    for (policy, mood, produced) in [(OnDisconnect::Cancel, "slow-1500", 0), (OnDisconnect::Drain, "slow-1501", 6)] {
        let mut settings = backend(&vendor, Provider::Openai, mood);
        settings.on_disconnect = policy;
        settings.timeouts.first_byte = wharfinger::gateway::settings::Span::seconds(9);
        let price = PriceSettings { input: Money::micros(1_000_000), ..PriceSettings::default() };
        settings.prices = [(mood.to_owned(), price)].into();
        install(&app, route(parts(), mood, &[("one", settings)]));

        let request = app.admin().request(reqwest::Method::POST, "/llm/v1/chat/completions").json(&chat(mood, false));
        let asking = tokio::spawn(request.send());
        while vendor.requests(mood) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        asking.abort();

        let begun = Instant::now();
        let charged = loop {
            let stop = tokio_util::sync::CancellationToken::new();
            stop.cancel();
            app.handles.ledger.clone().run(stop).await;
            let statement = "select output, source, input, cost from usage_record where model = $1";
            let row: Option<(i64, String, i64, i64)> =
                sqlx::query_as(statement).bind(mood).fetch_optional(&app.handles.db.read).await.unwrap();
            if let Some(row) = row {
                break row;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{policy:?}: not charged");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let source = if policy == OnDisconnect::Drain { "reported" } else { "counted" };
        let (output, told_by, input, cost) = charged;
        assert_eq!((output, told_by.as_str()), (produced, source), "{policy:?}");
        assert!(input > 0, "{policy:?}");
        assert_eq!(cost, input * 1_000, "{policy:?}: who left before the first byte pays what is counted");
        assert_eq!(vendor.produced(), produced.cast_unsigned(), "{policy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_stream_is_ended_at_its_time() {
    let (app, vendor) = house().await;
    let mut settings = backend(&vendor, Provider::Openai, "endless");
    settings.timeouts.total = wharfinger::gateway::settings::Span::millis(900);
    install(&app, route(parts(), "fast", &[("one", settings)]));

    let begun = Instant::now();
    let request = app.admin().request(reqwest::Method::POST, "/llm/v1/chat/completions");
    let mut response = request.json(&chat("fast", true)).send().await.unwrap();
    while let Ok(Some(_)) = response.chunk().await {}

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_answered_by_anthropic_streamed_with_a_tool_call() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "clever", &[("claude", backend(&vendor, Provider::Anthropic, "ok"))]));
    let mut asking = chat("clever", true);
    asking["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);

    let streamed = events(&app.admin().post("/llm/v1/chat/completions", &asking).await.expect(200).text);

    let calls = streamed.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]["function"]);
    let arguments: String = calls.filter_map(|function| function["arguments"].as_str()).collect();
    assert_eq!(arguments, "{\"city\":\"Cork\"}");
    assert_eq!(streamed.last().unwrap(), "[DONE]");
    assert_eq!(streamed[streamed.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
    let seen = vendor.seen.everything.lock().unwrap().concat();
    assert!(seen.contains("anthropic-version") && seen.contains("\"input_schema\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_goes_in_a_circle_is_stopped() {
    let (app, _) = house().await;
    let mut circle =
        wharfinger::gateway::settings::BackendSettings::new(Provider::Openai, format!("{}/llm/v1", app.url));
    circle.credential = Some("self".into());
    let key = wharfinger::gateway::settings::CredentialSettings::ApiKey { value: app.admin_key.clone(), header: None };
    install(&app, route(parts().with_credential("self", key), "fast", &[("circle", circle)]));

    let answer = app.admin().post("/llm/v1/chat/completions", &chat("fast", false)).await;

    assert!(answer.status >= 500, "{}", answer.text);
}
