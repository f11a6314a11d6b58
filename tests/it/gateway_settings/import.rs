//! One call turns what a vendor has into everything that serves it.

use super::{GATEWAY, places};
use crate::support::TestApp;
use axum::{Json, Router, extract::RawQuery, routing::get};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use wharfinger::auth::{Actor, Role};
use wharfinger::embed::Embedder;

const KEY: &str = "CANARY-vendor-key";

/// A vendor on this machine: an OpenAI-compatible list, and the deployments of an Azure resource.
async fn vendor() -> String {
    let models = |headers: HeaderMap| async move {
        let known = headers.get("authorization").is_some_and(|value| value == format!("Bearer {KEY}").as_str());
        if !known {
            return (StatusCode::UNAUTHORIZED, Json(json!({"error": "no"})));
        }
        (StatusCode::OK, Json(json!({"data": [{"id": "llama3.2:3b"}, {"id": "nomic/embed"}]})))
    };
    let deployments = |headers: HeaderMap, RawQuery(query): RawQuery| async move {
        assert_eq!(headers.get("api-key").unwrap(), KEY);
        assert!(query.unwrap().starts_with("api-version="));
        let list = json!([
            {"id": "gpt-4o-eu", "status": "succeeded", "model": "gpt-4o"},
            {"id": "half-made", "status": "creating", "model": "gpt-4o"},
        ]);
        Json(json!({"data": list}))
    };
    let router = Router::new().route("/v1/models", get(models)).route("/openai/deployments", get(deployments));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn app() -> TestApp {
    TestApp::start_with(&[("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1")], Embedder::hashed()).await
}

async fn import(app: &TestApp, body: &Value) -> crate::support::Answer {
    app.admin().post(&format!("{GATEWAY}/import"), body).await
}

#[tokio::test]
async fn a_compatible_base_address_becomes_backend_route_limits_and_asset() {
    let app = app().await;
    let url = vendor().await;

    let done = import(&app, &json!({"name": "local", "compatible": {"url": format!("{url}/v1")}, "key": KEY}))
        .await
        .expect(201);

    assert_eq!(done.json()["models"], json!(["llama3.2:3b", "nomic/embed"]));
    assert_eq!(done.json()["made"], json!(["credential", "backend", "pool", "policy", "route"]));
    assert!(!done.text.contains(KEY));
    let snapshot = app.handles.gateway.snapshot();
    let route = snapshot.route_for_model(&Actor::system("test"), "llama3.2:3b").expect("in force at once");
    assert_eq!((route.policies.len(), route.asset()), (1, Some(("default", "local"))));
    let asset = app.admin().get("/api/v1/workspaces/default/assets/local").await.expect(200).json();
    assert_eq!((&asset["kind"], asset["summary"].as_str().unwrap().contains("llama3.2:3b")), (&json!("model"), true));
    let again = import(&app, &json!({"name": "local", "compatible": {"url": format!("{url}/v1")}, "key": KEY})).await;
    again.expect(409);
}

#[tokio::test]
async fn an_azure_resource_becomes_its_deployments_for_one_workspace() {
    let app = app().await;
    let url = vendor().await;
    let member = app.member(Role::Consumer, "team").await;
    let body = json!({
        "name": "azure", "workspace": "team", "azureOpenai": {"resource": url, "apiVersion": "2024-10-21"}, "key": KEY,
        "tokensPerMinute": 1000, "limitPerKey": 500,
    });

    let done = import(&app, &body).await.expect(201);

    assert_eq!((&done.json()["models"], &done.json()["asset"]), (&json!(["gpt-4o-eu"]), &json!("team/azure")));
    let snapshot = app.handles.gateway.snapshot();
    let route = snapshot.route_for_model(&app.actor(&member).await, "gpt-4o-eu").expect("its consumers may call it");
    assert_eq!(route.pool.members[0].backend.settings.capacity.tokens_per_minute, Some(1000));
    assert!(snapshot.route_for_model(&app.actor(&app.stranger()).await, "gpt-4o-eu").is_none());
    let other = app.member(Role::Consumer, "other").await;
    assert!(snapshot.route_for_model(&app.actor(&other).await, "gpt-4o-eu").is_none());
    assert!(snapshot.route_for_model(&app.actor(&other).await, "team/gpt-4o-eu").is_none());
}

#[tokio::test]
async fn a_description_becomes_a_rest_route_and_one_with_a_chat_endpoint_a_model_server() {
    let app = app().await;
    let described = |path: &str, url: &str| {
        json!({
            "openapi": "3.1.0", "info": {"title": "Pets", "version": "1"}, "servers": [{"url": url}],
            "paths": {path: {"post": {"operationId": "do", "responses": {"200": {"description": "Done"}}}}},
        })
    };

    let pets = described("/pets", "https://pets.example.com/v1");
    let done = import(&app, &json!({"name": "pets", "openapi": {"value": pets}})).await.expect(201);
    assert_eq!(done.json()["made"], json!(["backend", "pool", "policy", "route"]));
    let snapshot = app.handles.gateway.snapshot();
    let route = snapshot.route_for_rest(&Actor::system("test"), "default", "pets").expect("it can be called at once");
    assert_eq!(route.pool.members[0].backend.url.as_str(), "https://pets.example.com/v1");

    let url = vendor().await;
    let server = described("/chat/completions", &format!("{url}/v1"));
    let done = import(&app, &json!({"name": "server", "openapi": {"value": server}, "key": KEY})).await.expect(201);
    assert_eq!(done.json()["models"], json!(["llama3.2:3b", "nomic/embed"]));
}

#[tokio::test]
async fn an_import_that_cannot_be_is_refused_and_leaves_nothing() {
    let app = app().await;
    let url = vendor().await;

    for (body, place) in [
        (json!({"name": "x", "compatible": {"url": format!("{url}/v1")}, "key": "wrong"}), "body.models"),
        (json!({"name": "x", "compatible": {"url": "http://127.0.0.2:9/v1"}}), "body.url"),
        (json!({"name": "x", "compatible": {"url": format!("{url}/none")}, "key": KEY}), "body.models"),
        (json!({"name": "x", "compatible": {"url": url}, "azureOpenai": {"resource": url}}), "body"),
        (json!({"name": "x"}), "body"),
        (json!({"name": "X!", "compatible": {"url": url}}), "body.name"),
        (json!({"name": "x", "compatible": {"url": format!("{url}/v1")}, "models": ["a b"]}), "body.models.a b"),
    ] {
        let refused = import(&app, &body).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text);
        assert!(places(&refused).contains(&place.to_owned()), "{body}: {}", refused.text);
        assert!(!refused.text.contains(KEY), "{}", refused.text);
    }
    app.admin().get("/api/v1/workspaces/default/assets/x").await.expect(404);
    assert_eq!(app.admin().get(&format!("{GATEWAY}/export")).await.text, "{}\n");
    let publisher = app.member(Role::Publisher, "team").await;
    let body = json!({"name": "x", "workspace": "team", "compatible": {"url": url}, "models": ["a"]});
    publisher.post(&format!("{GATEWAY}/import"), &body).await.expect(403);
}
