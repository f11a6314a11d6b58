//! Responses that a vendor stores: seen, cancelled and removed by whom they were given to, and charged once, also when they
//! are made in the background.

use super::house::{backend, events, house, house_with, install, parts, read, route};
use crate::support::TestApp;
use crate::support::vendor::{PROMPT, USUAL, Vendor};
use serde_json::{Value, json};
use std::time::Duration;
use wharfinger::auth::Role;
use wharfinger::gateway::settings::{PolicySettings, Provider, Rule, TokenLimit};

const RESPONSES: &str = "/llm/v1/responses";

fn asking(more: Value) -> Value {
    let mut body = json!({"model": "fast", "input": "Where does the ferry to the island leave, and when?"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// What was asked of the vendor's responses since this was last called.
fn asked(vendor: &Vendor) -> Vec<String> {
    std::mem::take(&mut vendor.seen.stored.lock().unwrap())
}

/// The prompt and reply tokens of the requests so far, the oldest first, with where they are from.
async fn charged(app: &TestApp) -> Vec<(i64, i64, String)> {
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    app.handles.ledger.clone().run(stop).await;
    let statement = "select input, output, source from usage_record order by at";
    sqlx::query_as(statement).fetch_all(&app.handles.db.read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_seen_cancelled_and_removed_by_whom_it_was_given_to() {
    let (app, vendor) = house().await;
    let backends =
        [("down", backend(&vendor, Provider::Openai, "status-500")), ("one", backend(&vendor, Provider::Openai, "ok"))];
    install(&app, route(parts(), "fast", &backends));
    let (ann, ben) = (app.member(Role::Consumer, "team").await, app.member(Role::Consumer, "team").await);
    let id = ann.post(RESPONSES, &asking(json!({}))).await.expect(200).json()["id"].as_str().unwrap().to_owned();
    let down = vendor.requests("status-500");

    let one = format!("{RESPONSES}/{id}");
    assert_eq!(ann.get(&one).await.expect(200).json()["id"], *id);
    let listed = ann.get(&format!("{one}/input_items?limit=2&api-version=2024-10-21")).await.expect(200).json();
    assert_eq!(listed["object"], "list");
    let cancelled = ann.post(&format!("{one}/cancel"), &json!({})).await.expect(200).json();
    assert_eq!(cancelled["status"], "cancelled");
    let told = ann.request(reqwest::Method::GET, &format!("{one}?stream=true")).send().await.unwrap();
    let (text, ended_well) = read(told).await;
    assert!(ended_well && events(&text).last().unwrap()["type"] == "response.completed", "{text}");
    assert_eq!(ann.delete(&one).await.expect(200).json()["deleted"], true);

    let (seen, items) = (format!("GET {id}"), format!("GET {id}/input_items?limit=2"));
    let (cancel, stream) = (format!("POST {id}/cancel"), format!("GET {id}?stream=true"));
    assert_eq!(asked(&vendor), [seen, items, cancel, stream, format!("DELETE {id}")]);
    assert_eq!(vendor.requests("status-500"), down, "nobody else is asked for it");

    for path in [one.clone(), format!("{one}/input_items")] {
        assert_eq!(ben.get(&path).await.expect(403).json()["error"]["code"], "response_of_another");
    }
    ben.post(&format!("{one}/cancel"), &json!({})).await.expect(403);
    ben.delete(&one).await.expect(403);
    let unknown = ben.get(&format!("{RESPONSES}/resp_of_nobody")).await.expect(404).json();
    assert!(unknown["error"]["message"].as_str().unwrap().contains("resp_of_nobody"), "{unknown}");
    assert!(asked(&vendor).is_empty(), "the vendor is not asked");
    assert_eq!(ann.request(reqwest::Method::PUT, &one).send().await.unwrap().headers()["allow"], "GET, DELETE");
    let all = charged(&app).await;
    assert_eq!(all[0], (PROMPT as i64, USUAL as i64, "reported".to_owned()));
    assert!(all[1..].iter().all(|line| *line == (0, 0, "none".to_owned())), "it is charged once: {all:?}");
    assert_eq!(all.len(), 6);
}

/// Waits until so many requests are settled.
async fn settled(app: &TestApp, count: usize) -> Vec<(i64, i64, String)> {
    let begun = std::time::Instant::now();
    loop {
        let all = charged(app).await;
        if all.len() >= count {
            return all;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{all:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_in_the_background_is_charged_when_it_is_done_and_once() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "slowly"))]));
    let begun = app.admin().post(RESPONSES, &asking(json!({"background": true}))).await.expect(200).json();
    assert_eq!(begun["status"], "queued");
    let one = format!("{RESPONSES}/{}", begun["id"].as_str().unwrap());
    assert_eq!(app.admin().get(&one).await.expect(200).json()["status"], "in_progress");
    assert_eq!(settled(&app, 1).await, [(0, 0, "none".to_owned())], "it is under way");

    let all = settled(&app, 2).await;

    let reported = (PROMPT as i64, USUAL as i64, "reported".to_owned());
    assert!(all.contains(&reported), "{all:?}");
    assert_eq!(app.admin().get(&one).await.expect(200).json()["status"], "completed");
    let all = settled(&app, 3).await;
    assert_eq!(all.iter().filter(|line| **line == reported).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|line| **line == (0, 0, "none".to_owned())).count(), 2, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_when_its_client_has_left_is_charged_when_it_is_done() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "pace-200"))]));
    let body = asking(json!({"background": true, "stream": true, "max_output_tokens": 50}));
    let mut response = app.admin().request(reqwest::Method::POST, RESPONSES).json(&body).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);

    let all = settled(&app, 1).await;

    assert_eq!(all, [(PROMPT as i64, USUAL as i64, "reported".to_owned())]);
    assert_eq!(asked(&vendor), ["GET resp_1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_before_it_is_known_is_charged_as_it_was_expected() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "gone"))]));
    app.admin().post(RESPONSES, &asking(json!({"background": true, "max_output_tokens": 40}))).await.expect(200);

    let all = settled(&app, 1).await;

    assert!(matches!(&all[..], [(5.., 40, source)] if source == "estimated"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_tokens_left_may_look_and_cancel() {
    let (app, vendor) = house().await;
    let limit = Rule::TokenLimit(TokenLimit {
        tokens_per_minute: Some(12),
        requests_per_minute: Some(4),
        ..TokenLimit::default()
    });
    let all = route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "ok"))]);
    let mut all = all.with_policy("each", PolicySettings::new(limit));
    all.routes[0].settings.policies = vec!["each".to_owned()];
    install(&app, all);
    let body = json!({"model": "fast", "input": "hello", "max_output_tokens": 9});
    let id = app.admin().post(RESPONSES, &body).await.expect(200).json()["id"].as_str().unwrap().to_owned();
    app.admin().post(RESPONSES, &body).await.expect(429);

    let one = format!("{RESPONSES}/{id}");
    app.admin().get(&one).await.expect(200);
    app.admin().post(&format!("{one}/cancel"), &json!({})).await.expect(200);
    app.admin().delete(&one).await.expect(200);

    app.admin().get(&one).await.expect(429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_nobody_knows_may_be_refused() {
    let (app, vendor) = house_with(&[("WHARFINGER_UNKNOWN_RESPONSES", "refuse")]).await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "ok"))]));
    let ann = app.member(Role::Consumer, "team").await;

    let refused = ann.post(RESPONSES, &asking(json!({"previous_response_id": "resp_of_before"}))).await.expect(403);

    assert_eq!(refused.json()["error"]["code"], "response_unknown");
    assert_eq!(vendor.requests("ok"), 0);
    let own = ann.post(RESPONSES, &asking(json!({}))).await.expect(200).json();
    ann.post(RESPONSES, &asking(json!({"previous_response_id": own["id"]}))).await.expect(200);
}
