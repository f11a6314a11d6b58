//! Requests in one dialect that a vendor of the other serves.

use super::house::{backend, house, install, parts, route};
use serde_json::json;
use wharfinger::gateway::settings::Provider;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_its_time_and_calls_functions_as_they_were_offered() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Anthropic, "ok"))]));
    let asked = json!({"model": "fast", "messages": [{"role": "user", "content": "hello"}],
        "functions": [{"name": "weather", "parameters": {"type": "object"}}]});

    let before = app.clock.now().unix_timestamp();
    let answer = app.admin().post("/llm/v1/chat/completions", &asked).await.expect(200).json();

    let created = answer["created"].as_i64().unwrap();
    assert!((before..=app.clock.now().unix_timestamp()).contains(&created), "{created}");
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({"name": "weather", "arguments": "{\"city\":\"Cork\"}"}));
    assert_eq!(choice["finish_reason"], "function_call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_tokens_of_a_reply_are_told_as_the_provider_wants() {
    let (app, vendor) = house().await;
    let asked = json!({"model": "fast", "max_tokens": 6, "messages": [{"role": "user", "content": "hello"}]});

    for (provider, name) in [(Provider::Openai, "max_completion_tokens"), (Provider::Compatible, "max_tokens")] {
        install(&app, route(parts(), "fast", &[("one", backend(&vendor, provider, "ok"))]));
        app.admin().post("/llm/anthropic/v1/messages", &asked).await.expect(200);

        let seen = vendor.seen.everything.lock().unwrap().last().unwrap().clone();
        assert!(seen.contains(&format!("\"{name}\":6")), "{seen}");
    }
}
