//! Spans and metrics of requests: what a collector is told, what backends are, and what neither is.

use super::house::{VENDOR_KEY, backend, house, house_with, install, parts, route};
use crate::support::TestApp;
use crate::support::collector::{Collector, texts};
use crate::support::vendor::{PROMPT, Vendor};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::{Value, json};
use wharfinger::gateway::settings::Provider;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const PROMPT_CANARY: &str = "CANARY-that-was-asked";

fn chat(stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": PROMPT_CANARY}]);
    json!({"model": "fast", "stream": stream, "max_tokens": 6, "messages": messages})
}

/// A first backend that fails, and a second that serves.
async fn story(collector: &str, more: &[(&str, &str)]) -> (TestApp, Vendor) {
    let (app, vendor) = house_with(&[&[("WHARFINGER_OTLP_ENDPOINT", collector)][..], more].concat()).await;
    let (bad, good) = (backend(&vendor, Provider::Openai, "status-500"), backend(&vendor, Provider::Openai, "ok"));
    install(&app, route(parts(), "fast", &[("bad", bad), ("good", good)]));
    (app, vendor)
}

async fn ask(app: &TestApp, stream: bool, flags: &str) {
    let request = app.admin().request(reqwest::Method::POST, "/llm/v1/chat/completions");
    let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}")).header("tracestate", "house=7");
    app.admin().send(request.json(&chat(stream))).await.expect(200);
}

/// Ends the process's telling, as its end does.
async fn closed(app: &TestApp) {
    let telemetry = app.handles.services.telemetry.clone().unwrap();
    tokio::task::spawn_blocking(move || telemetry.close()).await.unwrap();
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> String {
    texts(&span.attributes).get(name).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_a_span_in_its_callers_trace_and_each_attempt_one_below_it() {
    let collector = Collector::start().await;
    let (app, vendor) = story(&collector.url, &[]).await;

    ask(&app, true, "01").await;
    closed(&app).await;

    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:?}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "house=7"));
    let own = spans.iter().find(|span| span.kind == SpanKind::Server as i32).unwrap();
    assert_eq!((own.name.as_str(), hex(&own.parent_span_id).as_str()), ("chat fast", CALLER));
    assert_eq!(attribute(own, "gen_ai.usage.input_tokens"), PROMPT.to_string());
    assert_eq!(attribute(own, "http.response.status_code"), "200");
    assert_eq!(attribute(own, "wharfinger.attempts"), "2");
    let attempts: Vec<_> = spans.iter().filter(|span| span.kind == SpanKind::Client as i32).collect();
    assert!(attempts.iter().all(|span| span.parent_span_id == own.span_id));
    let [failed, served] = attempts[..] else { panic!("{spans:?}") };
    assert_eq!(
        (attribute(failed, "wharfinger.backend").as_str(), attribute(failed, "error.type").as_str()),
        ("bad", "500")
    );
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "fast"),
        ("gen_ai.usage.output_tokens", "6"),
        ("server.address", "127.0.0.1"),
        ("error.type", ""),
    ] {
        assert_eq!(attribute(served, name), value, "{name}");
    }
    for (span, why) in [(own, true), (served, true), (failed, false)] {
        let told = attribute(span, "gen_ai.response.finish_reasons").contains(r#"StringValue("stop")"#);
        assert_eq!(told, why, "{span:?}");
    }
    assert!(own.start_time_unix_nano <= failed.start_time_unix_nano);
    assert!(failed.end_time_unix_nano <= served.end_time_unix_nano);
    assert!(served.end_time_unix_nano <= own.end_time_unix_nano);
    let seen = vendor.seen.everything.lock().unwrap().clone();
    for span in [failed, served] {
        let parent = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        assert_eq!(seen.iter().filter(|request| request.contains(&parent)).count(), 1, "{parent} in {seen:?}");
    }
    assert!(seen.iter().all(|request| request.contains("house=7")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_the_names_and_labels_of_the_conventions() {
    let collector = Collector::start().await;
    let (app, _vendor) = story(&collector.url, &[]).await;

    ask(&app, true, "01").await;
    ask(&app, false, "00").await;
    app.admin().post("/llm/v1/chat/completions", &json!({"model": "unknown", "messages": []})).await.expect(404);
    closed(&app).await;

    let tokens = collector.metric("gen_ai.client.token.usage");
    let of = |kind: &str| tokens.iter().find(|(labels, _)| labels["gen_ai.token.type"] == kind).unwrap();
    assert_eq!((of("input").1, of("output").1), ((2, 2.0 * PROMPT as f64), (2, 12.0)));
    for (name, value) in
        [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "fast")]
    {
        assert_eq!(of("input").0[name], value, "{name}");
    }
    let durations = collector.metric("gen_ai.server.request.duration");
    assert!(durations.iter().any(|(labels, (count, _))| *count >= 2 && !labels.contains_key("error.type")));
    assert_eq!(collector.metric("gen_ai.server.time_to_first_token")[0].1.0, 1, "of the stream alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_key_nor_a_word_of_what_was_said_is_told() {
    let collector = Collector::start().await;
    let settings = [("WHARFINGER_OTLP_HEADERS", "authorization=Bearer for-the-collector,x-scope=team")];
    let (app, _vendor) = story(&collector.url, &settings).await;

    for stream in [true, false] {
        ask(&app, stream, "01").await;
    }
    let refused = json!({"model": format!("no-{PROMPT_CANARY}"), "messages": []});
    app.admin().post("/llm/v1/chat/completions", &refused).await.expect(404);
    closed(&app).await;

    assert_eq!(collector.spans().len(), 6);
    assert!(collector.saw("for-the-collector") && collector.saw("team"), "its own headers arrive");
    for planted in [VENDOR_KEY, &app.admin_key, PROMPT_CANARY, " word"] {
        assert!(!collector.saw(planted), "{planted} was told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_not_to_be_traced_is_not_and_no_collector_stops_nobody() {
    let collector = Collector::start().await;
    let (app, vendor) = story(&collector.url, &[("WHARFINGER_OTLP_SAMPLING", "0")]).await;

    ask(&app, false, "00").await;
    app.admin().post("/llm/v1/chat/completions", &chat(false)).await.expect(200);
    closed(&app).await;

    assert!(collector.spans().is_empty());
    let seen = vendor.seen.everything.lock().unwrap().clone();
    let passed_on = format!("00-{TRACE}-{CALLER}-00");
    assert_eq!(seen.iter().filter(|request| request.contains(&passed_on)).count(), 2, "as it came");
    assert_eq!(seen.iter().filter(|request| request.contains("traceparent")).count(), 2);

    let (app, _vendor) = story("http://127.0.0.1:9", &[]).await;
    ask(&app, true, "01").await;
    closed(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_a_trace_goes_on_as_it_came() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("good", backend(&vendor, Provider::Openai, "ok"))]));

    ask(&app, false, "01").await;

    assert!(app.handles.services.telemetry.is_none());
    let seen = vendor.seen.everything.lock().unwrap().concat();
    assert!(seen.contains(&format!("00-{TRACE}-{CALLER}-01")) && seen.contains("house=7"), "{seen}");
}
