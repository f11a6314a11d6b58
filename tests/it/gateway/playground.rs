//! The playground: prompts sent through the gateway from a page, in its reader's name.

use super::house::{VENDOR_KEY, backend, house, install, parts, route};
use crate::support::vendor::Vendor;
use crate::support::{Answer, Browser, Person, TestApp};
use reqwest::Method;
use serde_json::Value;
use wharfinger::auth::{KeyHolder, NewKey, Role};
use wharfinger::gateway::settings::{
    PolicySettings, PriceSettings, Provider, RequestRate, Rule, SemanticCache, Span, TokenLimit,
};

const PAGE: &str = "/gateway/playground";

/// `fast`, answered by `eu` after `broken` failed, with a price, a limit and a cache.
fn installed(app: &TestApp, vendor: &Vendor, per_minute: u64) {
    let broken = backend(vendor, Provider::Openai, "status-500");
    let eu = backend(vendor, Provider::Openai, "ok");
    let limit = TokenLimit { tokens_per_minute: Some(per_minute), ..TokenLimit::default() };
    let price = PriceSettings { input: "2".parse().unwrap(), output: "6".parse().unwrap(), ..PriceSettings::default() };
    let parts = route(parts(), "fast", &[("broken", broken), ("eu", eu)])
        .with_price("fast", price)
        .with_policy("again", PolicySettings::everywhere(Rule::SemanticCache(SemanticCache::default())))
        .with_policy("per-key", PolicySettings::everywhere(Rule::TokenLimit(limit)));
    install(app, parts);
}

async fn sent(person: &Person<'_>, fields: &[(&str, &str)], accept: &str) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = person.request(Method::POST, PAGE).header("accept", accept);
    person.send(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
}

/// Name and data of each event.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |part: &str| {
        let (name, data) = part.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((name.to_owned(), serde_json::from_str(data).ok()?))
    };
    text.split("\n\n").filter(|part| !part.is_empty()).map(|part| event(part).expect("an event")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_a_script_shows_the_answer_and_what_everything_did() {
    let (app, vendor) = house().await;
    installed(&app, &vendor, 10_000);
    let caller = app.member(Role::Consumer, "team").await;
    let offered = caller.get(PAGE).await.expect(200).text;
    assert!(offered.contains("<option value=\"fast\""));

    let fields = [("model", "fast"), ("system", "be brief"), ("prompt", "<b>hello</b>"), ("temperature", "0.5")];
    let page = sent(&caller, &fields, "text/html").await.expect(200).text;

    for words in [
        " word word word word word",
        "11 of prompt (2 cached), 5 of answer, as the vendor reported",
        "16 of 10,000 tokens in a minute used by consumer-of-team",
        "let it through",
        "said 500 Internal Server Error",
        "answered",
        "First token after",
        "0.0001",
        "&#60;b&#62;hello",
    ] {
        assert!(page.contains(words), "{words:?} is missing in {page}");
    }
    assert!(!page.contains(&caller.key()) && !page.contains(VENDOR_KEY), "no key stands in the page");
    assert!(vendor.seen.everything.lock().unwrap().iter().any(|text| text.contains("be brief")));
    assert!(vendor.seen.everything.lock().unwrap().iter().all(|text| !text.contains(&caller.key())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_gets_the_answer_as_it_comes_and_the_account_at_the_end() {
    let (app, vendor) = house().await;
    installed(&app, &vendor, 10_000);
    let caller = app.member(Role::Consumer, "team").await;
    let fields = [("model", "fast"), ("prompt", "hello"), ("maxTokens", "7")];

    let answer = sent(&caller, &fields, "text/event-stream").await.expect(200);
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    let found = events(&answer.text);
    let text: String =
        found.iter().filter(|(name, _)| name == "text").map(|(_, data)| data.as_str().unwrap().to_owned()).collect();
    assert_eq!(text, " word".repeat(7));
    let (name, html) = found.last().unwrap();
    assert!(name == "done" && html.as_str().unwrap().contains("7 of answer"), "{html}");

    // The same again comes from the cache, and past it when that is wished.
    let again = events(&sent(&caller, &fields, "text/event-stream").await.text).pop().unwrap().1.to_string();
    assert!(again.contains("the same question, similarity 1.000") && again.contains("answered it"), "{again}");
    assert!(again.contains("18 tokens"), "{again}");
    let fresh = [("model", "fast"), ("prompt", "hello"), ("maxTokens", "7"), ("fresh", "yes")];
    let anew = events(&sent(&caller, &fresh, "text/event-stream").await.text).pop().unwrap().1.to_string();
    assert!(!anew.contains("similarity"), "{anew}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_its_policy_and_when_to_try_again() {
    let (app, vendor) = house().await;
    let rate = |requests| {
        let (counter_key, per) = ("{key}".parse().unwrap(), Span::seconds(600));
        PolicySettings::everywhere(Rule::RequestRate(RequestRate { counter_key, requests, per }))
    };
    let made = |requests| {
        route(parts(), "fast", &[("eu", backend(&vendor, Provider::Openai, "ok"))])
            .with_policy("slowly", rate(requests))
    };
    install(&app, made(1));
    let caller = app.member(Role::Consumer, "team").await;
    let fields = [("model", "fast"), ("prompt", "hello")];
    sent(&caller, &fields, "text/html").await.expect(200);

    let page = sent(&caller, &fields, "text/html").await.expect(429).text;
    for words in ["Limit reached", "Policy slowly", "refused it", "Try again in"] {
        assert!(page.contains(words), "{words:?} is missing in {page}");
    }
    assert!(page.contains(">hello</textarea>"), "what was written is kept");
    let streamed = sent(&caller, &fields, "text/event-stream").await.expect(429);
    assert!(events(&streamed.text)[0].1.to_string().contains("Policy slowly"));

    let down = [
        ("one", backend(&vendor, Provider::Openai, "status-503")),
        ("two", backend(&vendor, Provider::Openai, "hang")),
    ];
    install(&app, route(parts(), "fast", &down));
    let page = sent(&caller, &fields, "text/html").await.expect(503).text;
    for words in ["No backend is available", "said 503", "timed out (first byte)"] {
        assert!(page.contains(words), "{words:?} is missing in {page}");
    }
    let broken = backend(&vendor, Provider::Openai, "cut-3");
    install(&app, route(parts(), "fast", &[("broken", broken)]));
    let page = sent(&caller, &fields, "text/html").await.expect(200).text;
    assert!(page.contains(" word word word") && page.contains("The answer broke off"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_may_not_call_or_did_not_write_is_told_as_such() {
    let (app, vendor) = house().await;
    installed(&app, &vendor, 10_000);
    let reader = app.member(Role::Reader, "team").await;
    assert!(reader.get(PAGE).await.expect(200).text.contains("There is no model that you may call"));
    sent(&reader, &[("model", "fast"), ("prompt", "hello")], "text/html").await.expect(404);

    let caller = app.member(Role::Consumer, "team").await;
    let wrong = sent(&caller, &[("model", "fast"), ("prompt", "hi"), ("temperature", "hot")], "text/html").await;
    assert!(wrong.expect(422).text.contains("write a number from 0 to 2"));
    sent(&app.stranger(), &[("model", "fast"), ("prompt", "hello")], "text/html").await.expect(401);
    app.stranger().get(PAGE).await.expect(401);
    let forged = caller.request(Method::POST, PAGE).header("sec-fetch-site", "cross-site");
    let forged = forged.header("content-type", "application/x-www-form-urlencoded").body("model=fast&prompt=hello");
    caller.send(forged).await.expect(403);
    assert_eq!(vendor.requests("ok"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_in_person_calls_as_herself_or_as_one_of_her_keys() {
    let (app, vendor) = house().await;
    installed(&app, &vendor, 10_000);
    let admin = app.admin();
    admin.post("/api/v1/workspaces", &serde_json::json!({"name": "team", "title": "Team"})).await.expect(201);
    let invited = admin.post("/api/v1/users", &serde_json::json!({"name": "anna"})).await.expect(201).json();
    let anna = app.person("anna").await;
    let role = serde_json::json!({"role": "consumer", "holderKind": "user", "holder": "anna", "workspace": "team"});
    admin.post("/api/v1/role-assignments", &role).await.expect(201);
    let actor = app.actor(&anna).await;
    let new = NewKey {
        name: "laptop".into(),
        holder: KeyHolder::Own,
        scopes: vec!["gateway:call:fast".into()],
        expires_at: None,
    };
    let (key, _) = app.handles.auth.create_key(&actor, new).await.unwrap();
    let ben = app.person("ben").await;
    let new = NewKey { name: "bens".into(), holder: KeyHolder::Own, scopes: Vec::new(), expires_at: None };
    let (bens, _) = app.handles.auth.create_key(&app.actor(&ben).await, new).await.unwrap();
    let mut browser = Browser::new();
    let page = browser.open(invited["link"].as_str().unwrap()).await.expect(200);
    browser
        .send(&page, "/invitation", &[("password", "a long enough password"), ("again", "a long enough password")])
        .await;

    let page = browser.open(&format!("{}{PAGE}", app.url)).await.expect(200);
    let (mine, other) = (key.key_id.to_string(), bens.key_id.to_string());
    assert!(page.text.contains("your key laptop") && !page.text.contains("your key bens"), "{}", page.text);
    let fields = |key| [("model", "fast"), ("prompt", "hello"), ("key", key)];
    let herself = browser.send_once(&page, PAGE, &fields("")).await.expect(200);
    assert!(herself.text.contains("used by anna"), "{}", herself.text);
    let as_key = browser.send_once(&page, PAGE, &fields(&mine)).await.expect(200);
    assert!(as_key.text.contains("used by laptop"), "{}", as_key.text);
    browser.send_once(&page, PAGE, &fields(&other)).await.expect(422);
    let forged = [("sec-fetch-site", "same-origin")];
    let url = format!("{}{PAGE}", app.url);
    browser.step(Method::POST, &url, Some(&fields("")), &forged).await.expect(403);
}
