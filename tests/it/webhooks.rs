//! Webhooks: signed so that others can check it, tried again, laid aside, replayed, and silent about what is not to be seen.

use crate::support::{Answer, Receiver, TestApp};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use wharfinger::auth::{Actor, HolderName, Role, Scope};
use wharfinger::embed::Embedder;

async fn app() -> TestApp {
    let settings = [("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8")];
    TestApp::start_with(&settings, Embedder::hashed()).await
}

async fn settle(app: &TestApp) {
    while app.handles.webhooks.run_due().await.unwrap() > 0 {}
}

async fn register(app: &TestApp, name: &str, visibility: &str) {
    let body = json!({"name": name, "title": name, "kind": "rest", "visibility": visibility});
    app.admin().post("/api/v1/workspaces/default/assets", &body).await.expect(201);
}

async fn subscribe(app: &TestApp, receiver: &Receiver, kinds: Value) -> Value {
    let body = json!({"name": "ops", "url": receiver.url, "kinds": kinds});
    app.admin().post("/api/v1/workspaces/default/webhooks", &body).await.expect(201).json()
}

async fn deliveries(app: &TestApp, webhook: &Value) -> Vec<Value> {
    let path = format!("/api/v1/workspaces/default/webhooks/{}/deliveries", webhook["id"].as_str().unwrap());
    let page = app.admin().get(&path).await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

async fn post(app: &TestApp, webhook: &Value, rest: &str) -> Answer {
    let path = format!("/api/v1/workspaces/default/webhooks/{}/{rest}", webhook["id"].as_str().unwrap());
    app.admin().post(&path, &json!({})).await
}

#[tokio::test]
async fn what_happens_arrives_as_a_cloud_event_that_others_can_verify() {
    let (app, receiver) = (app().await, Receiver::start().await);
    let webhook = subscribe(&app, &receiver, json!(["asset.registered", "asset.deleted"])).await;
    let secret = webhook["secret"].as_str().unwrap();

    register(&app, "payments", "public").await;
    app.admin().patch("/api/v1/workspaces/default/assets/payments", &json!({"title": "Pay"})).await.expect(200);
    app.admin().delete("/api/v1/workspaces/default/assets/payments").await.expect(204);
    settle(&app).await;

    let mut got = receiver.take();
    got.sort_by_key(|one| one.json()["type"].as_str() == Some("wharfinger.asset.deleted"));
    assert_eq!(got.len(), 2, "the change was not asked for: {got:?}");
    let (event, deleted) = (got[0].json(), got[1].json());
    assert_eq!(got[0].header("content-type"), "application/cloudevents+json");
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("wharfinger.asset.registered")));
    assert_eq!(event["source"], format!("{}/workspaces/default", app.url));
    assert_eq!((&event["subject"], &event["data"]["asset"]["name"]), (&json!("default/payments"), &json!("payments")));
    assert_eq!(event["id"], got[0].header("webhook-id"));
    assert_eq!(event["time"], "2026-03-01T12:00:00Z");
    assert!(deleted["data"]["asset"]["deletedAt"].is_string(), "{deleted}");
    assert!(got.iter().all(|one| one.is_signed_with(secret)));
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert!(!got[0].is_signed_with(other), "the check itself can fail");
    let again = app.admin().get("/api/v1/workspaces/default/webhooks").await.expect(200).text;
    assert!(!again.contains(secret) && !again.contains("secret\":"), "shown once: {again}");

    // Two secrets hold for a day.
    let newer = post(&app, &webhook, "secret").await.expect(200).json()["secret"].as_str().unwrap().to_owned();
    post(&app, &webhook, "test").await.expect(202);
    settle(&app).await;
    let tested = receiver.take().remove(0);
    assert!(newer != secret && tested.is_signed_with(secret) && tested.is_signed_with(&newer));
    app.clock.advance(Duration::from_secs(25 * 3_600));
    post(&app, &webhook, "test").await.expect(202);
    settle(&app).await;
    let later = receiver.take().remove(0);
    assert!(!later.is_signed_with(secret) && later.is_signed_with(&newer));
}

#[tokio::test]
async fn what_fails_is_tried_again_laid_aside_and_replayed() {
    let (app, receiver) = (app().await, Receiver::start().await);
    let webhook = subscribe(&app, &receiver, json!([])).await;
    receiver.answer.store(500, Ordering::SeqCst);
    register(&app, "a", "public").await;

    settle(&app).await;
    assert_eq!(receiver.take().len(), 1);
    app.clock.advance(Duration::from_secs(4));
    settle(&app).await;
    assert!(receiver.take().is_empty(), "not before its time");
    receiver.answer.store(200, Ordering::SeqCst);
    app.clock.advance(Duration::from_secs(3));
    settle(&app).await;
    assert_eq!(receiver.take().len(), 1);
    let told = deliveries(&app, &webhook).await.remove(0);
    assert_eq!((&told["state"], &told["attempts"]), (&json!("delivered"), &json!(2)));
    assert_eq!((&told["answers"][0]["status"], &told["answers"][1]["status"]), (&json!(200), &json!(500)));

    // A redirect is an answer like any other: nothing is sent to where it points.
    receiver.answer.store(307, Ordering::SeqCst);
    register(&app, "b", "public").await;
    for _ in 0..12 {
        settle(&app).await;
        app.clock.advance(Duration::from_secs(8 * 3_600));
    }
    let tried = receiver.take();
    assert_eq!(tried.len(), 10);
    assert!(tried.iter().all(|one| one.header("webhook-id") == tried[0].header("webhook-id")), "one event, one id");
    let dead = deliveries(&app, &webhook).await.remove(0);
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(10)), "{dead}");

    receiver.answer.store(200, Ordering::SeqCst);
    let replay = format!("deliveries/{}/replay", dead["id"].as_str().unwrap());
    post(&app, &webhook, &replay).await.expect(202);
    settle(&app).await;
    let replayed = receiver.take();
    assert_eq!((replayed.len(), replayed[0].header("webhook-id")), (1, tried[0].header("webhook-id")));
    assert_eq!(deliveries(&app, &webhook).await[0]["state"], "delivered");
}

#[tokio::test]
async fn an_event_about_what_its_subscriber_may_not_see_stays_here() {
    let (app, receiver) = (app().await, Receiver::start().await);
    let system = Actor::system("test");
    let default = app.handles.catalog.workspace(&system, "default").await.unwrap();
    let anna = app.person("anna").await;
    let scope = Scope::Workspace(default.workspace_id);
    let holder = HolderName::User("anna".into());
    let given = app.handles.auth.assign_role(&system, Role::Administrator, &holder, scope, None).await.unwrap();
    let body = json!({"name": "anna's", "url": receiver.url});
    let webhook = anna.post("/api/v1/workspaces/default/webhooks", &body).await.expect(201).json();

    register(&app, "secret-one", "private").await;
    settle(&app).await;
    assert_eq!(receiver.take().len(), 1, "as long as she belongs to the workspace");

    app.handles.auth.remove_role(&system, given.role_assignment_id).await.unwrap();
    register(&app, "secret-two", "private").await;
    register(&app, "open", "public").await;
    settle(&app).await;

    let got = receiver.take();
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(got[0].body.contains("open") && !got[0].body.contains("secret"), "{}", got[0].body);
    let states: Vec<_> = deliveries(&app, &webhook).await.iter().map(|one| one["state"].clone()).collect();
    assert!(states.contains(&json!("withheld")), "{states:?}");
    // And who may not govern a workspace learns nothing of its webhooks.
    let path = "/api/v1/workspaces/default/webhooks";
    anna.get(path).await.expect(403);
    app.stranger().get(path).await.expect(401);
    let publisher = app.member(Role::Publisher, "default").await;
    publisher.post(path, &body).await.expect(403);
}

#[tokio::test]
async fn without_a_subscription_nothing_is_kept() {
    let app = app().await;
    register(&app, "a", "public").await;

    let kept: i64 = sqlx::query_scalar("select count(*) from notice").fetch_one(&app.handles.db.read).await.unwrap();

    assert_eq!(kept, 0);
}
