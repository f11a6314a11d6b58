//! Changing, deleting and restoring, each on top of what was read.

use super::names;
use crate::support::TestApp;
use reqwest::Method;
use serde_json::json;

const ASSET: &str = "/api/v1/workspaces/default/assets/payments";

#[tokio::test]
async fn a_patch_changes_what_it_names_and_counts_the_revision_up() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&json!({"name": "payments", "kind": "rest", "title": "Old", "tags": ["money"]})).await.expect(201);

    let changed = admin.patch(ASSET, &json!({"title": "New", "visibility": "internal"})).await.expect(200);

    assert_eq!(changed.header("etag"), "\"2\"");
    let body = admin.get(ASSET).await.expect(200).json();
    assert_eq!(
        (&body["title"], &body["tags"], &body["visibility"]),
        (&json!("New"), &json!(["money"]), &json!("internal"))
    );
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_seen() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let read = admin.register(&json!({"name": "payments", "kind": "rest"})).await.expect(201);
    let tag = read.header("etag").to_owned();
    let patch = |title: &'static str| {
        admin.send(admin.request(Method::PATCH, ASSET).header("if-match", &tag).json(&json!({"title": title})))
    };

    patch("First").await.expect(200);
    let late = patch("Second").await.expect(412);

    assert_eq!(late.json()["revision"], 2);
    assert_eq!(admin.get(ASSET).await.json()["title"], "First");
    let stale = admin.send(admin.request(Method::DELETE, ASSET).header("if-match", &tag)).await;
    stale.expect(412);
}

#[tokio::test]
async fn what_the_asker_has_is_not_sent_again() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&json!({"name": "payments", "kind": "rest"})).await.expect(201);
    let tag = admin.get(ASSET).await.expect(200).header("etag").to_owned();

    let unchanged = admin.send(admin.request(Method::GET, ASSET).header("if-none-match", &tag)).await.expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.text.as_str()), (tag.as_str(), ""));

    admin.patch(ASSET, &json!({"title": "New"})).await.expect(200);
    admin.send(admin.request(Method::GET, ASSET).header("if-none-match", &tag)).await.expect(200);
}

#[tokio::test]
async fn a_deleted_asset_is_gone_keeps_its_name_and_comes_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&json!({"name": "payments", "kind": "rest", "title": "Payments"})).await.expect(201);

    admin.delete(ASSET).await.expect(204);
    admin.get(ASSET).await.expect(404);
    assert!(names(&admin.get("/api/v1/assets").await.json()).is_empty());
    let taken = admin.register(&json!({"name": "payments", "kind": "rest"})).await.expect(409);
    assert!(taken.json()["detail"].as_str().unwrap().contains("restore"), "{}", taken.text);

    let back = admin.post(&format!("{ASSET}/restore"), &json!({})).await.expect(200).json();
    assert_eq!(back["title"], "Payments");
    admin.post(&format!("{ASSET}/restore"), &json!({})).await.expect(409);
}

#[tokio::test]
async fn who_may_write_an_asset_reads_its_history_page_by_page() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&json!({"name": "payments", "kind": "rest"})).await.expect(201);
    admin.patch(ASSET, &json!({"title": "New"})).await.expect(200);

    let first = admin.get(&format!("{ASSET}/history?limit=1")).await.expect(200).json();
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("{ASSET}/history?limit=1&cursor={next}")).await.expect(200).json();

    assert_eq!(first["items"][0]["verb"], "asset.update");
    assert_eq!(first["items"][0]["after"]["title"], "New");
    assert_eq!((&second["items"][0]["verb"], second.get("next")), (&json!("asset.register"), None));
    app.stranger().get(&format!("{ASSET}/history")).await.expect(401);
}
