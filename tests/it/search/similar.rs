//! What is like an asset, and only what the asker may see.

use super::{register, settle};
use crate::support::TestApp;
use serde_json::{Value, json};
use wharfinger::auth::{Actor, Role};
use wharfinger::embed::Embedder;
use wharfinger::search::{Degraded, Similar, Why};

/// Two assets that do much the same, and one that does something else.
fn harbour() -> Vec<Value> {
    vec![
        json!({"name": "refunds", "kind": "rest", "title": "Refund API",
               "description": "Gives customers the money of a card payment back.",
               "operations": [{"name": "createRefund", "summary": "Return a card payment"}]}),
        json!({"name": "com.example/chargeback", "kind": "mcp", "title": "Chargebacks",
               "description": "Gives customers the money of a card payment back.",
               "tools": [{"name": "dispute_payment", "description": "Dispute a card payment"},
                         {"name": "list_banks", "description": "Names banks"}]}),
        json!({"name": "weather", "kind": "rest", "title": "Weather", "description": "Wind and waves of every harbour."}),
    ]
}

async fn similar(app: &TestApp, actor: &Actor, name: &str) -> Similar {
    let found = app.handles.catalog.find(actor, "default", name).await.unwrap();
    app.handles.search.similar(actor, &found.asset, 5).await.unwrap()
}

fn names(similar: &Similar) -> Vec<&str> {
    similar.items.iter().map(|hit| hit.card.name.as_str()).collect()
}

#[tokio::test]
async fn what_is_near_in_meaning_comes_with_its_nearest_tool_and_what_is_not_is_left_out() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;

    let alike = similar(&app, &Actor::anonymous(), "refunds").await;

    assert_eq!((names(&alike), alike.degraded.as_slice()), (vec!["com.example/chargeback"], [].as_slice()));
    let hit = &alike.items[0];
    assert!(hit.score > 0.0 && hit.score <= 1.0);
    assert_eq!(hit.matched[0].name, "dispute_payment");
    assert!(matches!(hit.why[..], [Why::Meaning { .. }]), "{:?}", hit.why);
    assert_eq!(names(&similar(&app, &Actor::anonymous(), "com.example/chargeback").await), ["refunds"]);
    assert_eq!(names(&similar(&app, &Actor::anonymous(), "weather").await), Vec::<&str>::new());
}

#[tokio::test]
async fn without_a_model_words_in_common_decide_and_the_answer_says_so() {
    let app = TestApp::start_with(&[], Embedder::absent("none here")).await;
    register(&app, "default", &harbour()).await;

    let alike = similar(&app, &Actor::anonymous(), "refunds").await;

    assert_eq!(names(&alike), ["com.example/chargeback"]);
    assert_eq!(alike.degraded, [Degraded::Semantic]);
    assert!(alike.items[0].score > 0.0 && alike.items[0].score <= 1.0);
    assert_eq!(names(&similar(&app, &Actor::anonymous(), "weather").await), Vec::<&str>::new());
}

#[tokio::test]
async fn before_anything_is_read_nothing_is_alike_and_the_answer_says_why() {
    let app = TestApp::start().await;
    let new = serde_json::from_value(harbour()[0].clone()).unwrap();
    app.handles.catalog.register(&Actor::system("test"), "default", new).await.unwrap();

    let alike = similar(&app, &Actor::anonymous(), "refunds").await;

    assert_eq!((alike.items.len(), alike.degraded), (0, vec![Degraded::Semantic, Degraded::Lexical]));
}

#[tokio::test]
async fn only_what_the_asker_may_see_is_alike_by_meaning_and_by_words() {
    for embedder in [Embedder::hashed(), Embedder::absent("none here")] {
        let app = TestApp::start_with(&[], embedder).await;
        let member = app.actor(&app.member(Role::Reader, "default").await).await;
        let outsider = app.actor(&app.member(Role::Reader, "other").await).await;
        let assets = ["public", "internal", "private"].map(|visibility| {
            json!({"name": format!("{visibility}-pay"), "kind": "rest", "title": format!("Pay with a card, {visibility}"),
                   "visibility": visibility, "description": "Takes the money of a card payment."})
        });
        register(&app, "default", &assets).await;

        for (actor, seen) in [
            (Actor::anonymous(), vec![]),
            (outsider, vec!["internal-pay"]),
            (member, vec!["internal-pay", "private-pay"]),
        ] {
            let alike = similar(&app, &actor, "public-pay").await;
            let mut found = names(&alike);
            found.sort_unstable();
            assert_eq!(found, seen, "{actor}");
        }

        let patch = serde_json::from_value(json!({"visibility": "private"})).unwrap();
        app.handles.catalog.update(&Actor::system("test"), "default", "internal-pay", patch, None).await.unwrap();
        let other = app.actor(&app.member(Role::Publisher, "other").await).await;
        assert_eq!(names(&similar(&app, &other, "public-pay").await), Vec::<&str>::new(), "before the index knows");
    }
}

#[tokio::test]
async fn rest_and_the_page_tell_what_is_alike() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let stranger = app.stranger();
    let path = "/api/v1/workspaces/default/assets/refunds/similar";

    let told = stranger.get(path).await.expect(200).json();
    let bare = stranger.get("/api/v1/workspaces/default/assets/com.example/chargeback/similar?limit=1").await;
    let page = stranger.get("/assets/default/refunds").await.expect(200);
    let alone = stranger.get("/assets/default/weather").await.expect(200);

    let item = &told["items"][0];
    assert_eq!((&item["title"], &item["kind"], &told["degraded"]), (&json!("Chargebacks"), &json!("mcp"), &json!([])));
    assert_eq!(item["matched"][0]["tool"], "dispute_payment");
    assert!(item["score"].as_f64().is_some_and(|score| score > 0.0 && score <= 1.0));
    assert_eq!(bare.expect(200).json()["items"][0]["name"], "refunds");
    for limit in ["0", "21", "-1", "many"] {
        stranger.get(&format!("{path}?limit={limit}")).await.expect(422);
    }
    stranger.get(&format!("{path}?limit=20")).await.expect(200);
    let seen = crate::web::seen(&page);
    assert!(seen.contains("Similar assets") && seen.contains("Chargebacks Tool dispute_payment"), "{seen}");
    assert!(!alone.text.contains("Similar assets"));

    app.handles.catalog.delete(&Actor::system("test"), "default", "com.example/chargeback", None).await.unwrap();
    settle(&app).await;
    assert_eq!(stranger.get(path).await.expect(200).json()["items"], json!([]));
}
