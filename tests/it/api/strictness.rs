//! What is wrong in a request is named with its place, and never a failure of ours.

use super::places;
use crate::support::TestApp;
use serde_json::json;

#[tokio::test]
async fn unknown_and_wrong_query_parameters_are_named() {
    let app = TestApp::start().await;
    let stranger = app.stranger();

    for (path, place) in [
        ("/api/v1/assets?limit=0", "query.limit"),
        ("/api/v1/assets?limit=101", "query.limit"),
        ("/api/v1/assets?limit=x", "query.limit"),
        ("/api/v1/assets?kind=toaster", "query.kind"),
        ("/api/v1/assets?cursor=nonsense", "query.cursor"),
        ("/api/v1/search?limit=-1", "query.limit"),
    ] {
        let refused = stranger.get(path).await.expect(422);
        assert_eq!(places(&refused), [place], "{path}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    let unknown = stranger.get("/api/v1/assets?colour=red").await.expect(422);
    assert!(unknown.json()["detail"].as_str().unwrap().contains("colour"), "{}", unknown.text);
}

#[tokio::test]
async fn unknown_and_read_only_members_of_a_body_are_named() {
    let app = TestApp::start().await;
    let admin = app.admin();

    let unknown = admin.register(&json!({"name": "a", "kind": "rest", "version": {"colour": "red"}})).await.expect(422);
    let read_only =
        admin.register(&json!({"name": "a", "kind": "rest", "createdAt": "2026-01-01T00:00:00Z"})).await.expect(422);
    let wrong = admin
        .register(&json!({"name": "a", "kind": "rest", "title": "", "deployments": [{"url": "ftp://x"}]}))
        .await
        .expect(422);

    assert_eq!(places(&unknown), ["body.version.colour"]);
    assert_eq!(places(&read_only), ["body.createdAt"]);
    assert!(read_only.json()["errors"][0]["message"].as_str().unwrap().contains("cannot be written"));
    assert_eq!(places(&wrong), ["body.deployments[0].url", "body.title"]);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_answered_plainly() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let assets = "/api/v1/workspaces/default/assets";

    admin.send_text(assets, "application/json", "").await.expect(400);
    admin.send_text(assets, "application/json", "{\"name\": \"a\", \"name\": \"b\"}").await.expect(400);
    admin.send_text(assets, "application/x-www-form-urlencoded", "a=b").await.expect(415);
    admin.send_text("/api/v1/workspaces", "text/plain", "x").await.expect(415);
    admin.send_text(assets, "application/json", "[]").await.expect(422);
    app.stranger().register(&json!({"name": "a", "kind": "rest"})).await.expect(401);
    let wrong = app.stranger().request(reqwest::Method::GET, "/api/v1/assets").bearer_auth("whf_wrong");
    app.stranger().send(wrong).await.expect(401);
}

#[tokio::test]
async fn what_is_nowhere_is_a_problem_too() {
    let app = TestApp::start().await;

    for path in ["/api/v1/nothing", "/api/v1/workspaces/default/assets/a/b/c/d", "/api/v1/workspaces/default/assets/no"]
    {
        let answer = app.stranger().get(path).await.expect(404);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    let wrong_method = app.stranger().put("/api/v1/assets", &json!({})).await.expect(405);
    assert_eq!(wrong_method.header("allow"), "GET,HEAD");
}
