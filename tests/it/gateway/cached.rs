//! The semantic cache, through the door: what means the same is answered again, and whatever may change an answer, or is
//! another's, is asked anew.

use super::house::{backend, house, install, parts, route};
use crate::support::vendor::Vendor;
use crate::support::{Answer, Person, TestApp};
use serde_json::{Value, json};
use wharfinger::auth::Role;
use wharfinger::gateway::settings::{Content, Mask, MaskKind, PolicySettings, Provider, Rule, SemanticCache, Share};

const CHAT: &str = "/llm/v1/chat/completions";

/// Two models of one vendor, each behind the cache.
async fn with_cache(share: Share) -> (TestApp, Vendor) {
    with_cache_and(share, None).await
}

/// As [`with_cache`], with another policy beside it.
async fn with_cache_and(share: Share, other: Option<Rule>) -> (TestApp, Vendor) {
    let (app, vendor) = house().await;
    app.handles.services.cache.purge(&wharfinger::gateway::cache::Purge::default(), app.clock.monotonic()).await;
    let mut settings = parts();
    for model in ["fast", "clever"] {
        settings = route(settings, model, &[(model, backend(&vendor, Provider::Openai, "ok"))]);
    }
    // The story's embedder sees words, not meanings; how near is near with the real one is another story.
    let cache = SemanticCache { share, threshold: 0.4, ..SemanticCache::default() };
    settings = settings.with_policy("again", PolicySettings::new(Rule::SemanticCache(cache)));
    for route in &mut settings.routes {
        route.settings.policies = vec!["again".to_owned()];
    }
    if let Some(rule) = other {
        settings = settings.with_policy("other", PolicySettings::everywhere(rule));
    }
    install(&app, settings);
    (app, vendor)
}

fn question(text: &str) -> Value {
    json!({"model": "fast", "max_tokens": 6, "temperature": 0, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]})
}

fn with(name: &str, value: Value) -> Value {
    let mut body = question("Where does the ferry to the island leave?");
    body[name] = value;
    body
}

async fn ask(person: &Person<'_>, body: &Value) -> Answer {
    person.post(CHAT, body).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_question_and_one_that_means_the_same_are_answered_again() {
    let (app, vendor) = with_cache(Share::Key).await;
    let asked = question("Where does the ferry to the island leave?");
    let first = ask(&app.admin(), &asked).await;
    assert_eq!(first.header("x-wharfinger-cache"), "miss");

    let again = ask(&app.admin(), &asked).await;
    let worded = ask(&app.admin(), &question("Please tell me, where does the ferry to the island leave")).await;

    assert_eq!((again.header("x-wharfinger-cache"), again.header("x-wharfinger-cache-similarity")), ("exact", "1.000"));
    assert_eq!(worded.header("x-wharfinger-cache"), "semantic");
    assert!(worded.header("x-wharfinger-cache-similarity").parse::<f32>().unwrap() < 1.0);
    assert_eq!((&again.text, &worded.text), (&first.text, &first.text));
    assert_eq!(vendor.requests("ok"), 1);
    for other in ["Where does the ferry from the island leave?", "When does the ferry to the island leave?"] {
        assert_eq!(ask(&app.admin(), &question(other)).await.header("x-wharfinger-cache"), "miss", "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_given_again_as_a_stream() {
    let (app, vendor) = with_cache(Share::Key).await;
    let asked = with("stream", json!(true));
    let first = ask(&app.admin(), &asked).await;

    let again = ask(&app.admin(), &asked).await;

    assert_eq!(again.header("x-wharfinger-cache"), "exact");
    assert!(again.header("content-type").starts_with("text/event-stream") && again.text.ends_with("data: [DONE]\n\n"));
    assert_eq!(again.text, first.text);
    assert_eq!(vendor.requests("ok"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_may_change_an_answer_is_asked_anew_however_widely_answers_are_shared() {
    let (app, vendor) = with_cache(Share::Route).await;
    let asked = question("Where does the ferry to the island leave?");
    ask(&app.admin(), &asked).await;
    assert_eq!(ask(&app.admin(), &asked).await.header("x-wharfinger-cache"), "exact");
    let tool = |name: &str| json!([{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}]);
    let messages = |more: Value| {
        let mut messages = question("")["messages"].clone();
        messages[1] = json!({"role": "user", "content": "Where does the ferry to the island leave?"});
        messages[0]["content"] = more;
        messages
    };
    let mut dialogue = messages("Be brief.".into());
    dialogue.as_array_mut().unwrap().insert(1, json!({"role": "assistant", "content": "Which island?"}));
    let others = [
        with("model", "clever".into()),
        with("temperature", json!(1)),
        with("top_p", json!(0.5)),
        with("max_tokens", json!(7)),
        with("seed", json!(3)),
        with("n", json!(2)),
        with("stop", json!(["."])),
        with("response_format", json!({"type": "json_object"})),
        with("logit_bias", json!({"50256": -100})),
        with("a_member_we_do_not_know", json!(true)),
        with("tools", tool("weather")),
        with("tools", tool("tides")),
        with("stream", json!(true)),
        with("messages", messages("Be long.".into())),
        with("messages", dialogue),
    ];

    for (at, other) in others.iter().enumerate() {
        let before = vendor.requests("ok");
        assert_eq!(ask(&app.admin(), other).await.header("x-wharfinger-cache"), "miss", "{other}");
        assert_eq!(vendor.requests("ok"), before + 1, "{at}: {other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_what_another_was_answered_unless_the_policy_says_so() {
    let asked = question("Where does the ferry to the island leave?");
    for share in [Share::Key, Share::Workspace, Share::Route] {
        let (app, _vendor) = with_cache(share).await;
        let (one, colleague) = (app.member(Role::Consumer, "north").await, app.member(Role::Publisher, "north").await);
        let (elsewhere, admin) = (app.member(Role::Consumer, "south").await, app.admin());
        ask(&one, &asked).await;

        let seen = [
            ask(&one, &asked).await,
            ask(&colleague, &asked).await,
            ask(&elsewhere, &asked).await,
            ask(&admin, &asked).await,
        ];

        let hits: Vec<_> = seen.iter().map(|answer| answer.header("x-wharfinger-cache") == "exact").collect();
        let expected = match share {
            Share::Key => [true, false, false, false],
            Share::Workspace => [true, true, false, false],
            Share::Route => [true; 4],
        };
        assert_eq!(hits, expected, "{share:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_have_the_model_asked_and_nothing_kept() {
    let (app, vendor) = with_cache(Share::Key).await;
    let asked = question("Where does the ferry to the island leave?");
    let person = app.admin();
    let told = |directive: &'static str| {
        person.request(reqwest::Method::POST, CHAT).header("cache-control", directive).json(&asked)
    };

    person.send(told("no-store")).await.expect(200);
    assert_eq!(ask(&person, &asked).await.header("x-wharfinger-cache"), "miss", "nothing was kept");
    assert_eq!(person.send(told("no-cache")).await.header("x-wharfinger-cache"), "miss");
    assert_eq!(vendor.requests("ok"), 3);
    assert_eq!(ask(&person, &asked).await.header("x-wharfinger-cache"), "exact");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_back_into_an_answer_for_one_caller_is_given_to_no_other() {
    let content = Content { masks: vec![Mask::Known(MaskKind::Email)], restore: true, ..Content::default() };
    let (app, vendor) = with_cache_and(Share::Route, Some(Rule::Content(content))).await;

    for who in ["ann@example.com", "bob@example.com"] {
        ask(&app.admin(), &question(&format!("Write to {who}"))).await;
    }

    assert_eq!(vendor.requests("ok"), 2, "hidden, both ask the same; put back, the answers differ");
    let asked = question("Where does the ferry to the island leave?");
    ask(&app.admin(), &asked).await;
    assert_eq!(ask(&app.admin(), &asked).await.header("x-wharfinger-cache"), "exact", "where nothing was hidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_very_same_text_has_the_same_vector() {
    let (app, vendor) = with_cache(Share::Key).await;
    let embed = async |text: &str| {
        let asked = json!({"model": "fast", "input": text});
        let answer = app.admin().post("/llm/v1/embeddings", &asked).await.expect(200);
        answer.header("x-wharfinger-cache").to_owned()
    };

    assert_eq!(embed("Where does the ferry to the island leave?").await, "miss");
    assert_eq!(embed("Please tell me, where does the ferry to the island leave").await, "miss");
    assert_eq!(embed("Where does the ferry to the island leave?").await, "exact");
    assert_eq!(vendor.requests("ok"), 2);
}
