//! Fields that are judged when they are written.

use super::{listener, spelled};
use crate::support::TestApp;
use reqwest::Method;
use serde_json::{Value, json};

/// Field, method, path, where the answer places the fault, and the body with the URL.
type Field = (&'static str, Method, &'static str, &'static str, Value);

fn fields(url: &str) -> Vec<Field> {
    let assets = "/api/v1/workspaces/default/assets";
    let definition = json!({"format": "openapi", "url": url});
    let asset = |member: &str, value: Value| json!({"name": "x", "title": "x", "kind": "rest", member: value});
    let oauth = json!({"tokenUrl": url, "clientId": "a", "clientSecret": "b"});
    let budget = json!({"counterKey": "{key}", "period": "month", "soft": 1, "webhook": url});
    let post = || Method::POST;
    vec![
        ("webhook", post(), "/api/v1/workspaces/default/webhooks", "body.url", json!({"name": "x", "url": url})),
        ("definition", post(), assets, "url", asset("definition", definition.clone())),
        ("further definition", post(), assets, "url", asset("definitions", json!([definition]))),
        (
            "attached definition",
            post(),
            "/api/v1/workspaces/default/assets/holder/versions/latest/definitions",
            "url",
            definition.clone(),
        ),
        ("upstream", post(), "/api/v1/workspaces/default/upstreams", "body.url", json!({"name": "x", "url": url})),
        (
            "upstream file",
            post(),
            "/api/v1/workspaces/default/upstreams",
            "body.url",
            json!({"name": "x", "kind": "file", "url": url}),
        ),
        (
            "moved upstream",
            Method::PATCH,
            "/api/v1/workspaces/default/upstreams/public",
            "body.url",
            json!({"url": url}),
        ),
        ("backend", Method::PUT, "/api/v1/gateway/backends/x", "body.url", json!({"provider": "openai", "url": url})),
        (
            "token server",
            Method::PUT,
            "/api/v1/gateway/credentials/x",
            "clientCredentials.tokenUrl",
            json!({"clientCredentials": oauth}),
        ),
        (
            "guard hook",
            Method::PUT,
            "/api/v1/gateway/policies/x",
            "guardHook.url",
            json!({"rule": {"guardHook": {"url": url}}}),
        ),
        ("budget's webhook", Method::PUT, "/api/v1/gateway/policies/x", "webhook", json!({"rule": {"budget": budget}})),
        (
            "applied file",
            post(),
            "/api/v1/gateway/apply",
            "url",
            json!({"file": {"backends": [{"name": "x", "provider": "openai", "url": url}]}}),
        ),
        (
            "imported resource",
            post(),
            "/api/v1/gateway/import",
            "",
            json!({"name": "x", "azureOpenai": {"resource": url}, "key": "k"}),
        ),
        (
            "imported base",
            post(),
            "/api/v1/gateway/import",
            "",
            json!({"name": "x", "compatible": {"url": url}, "key": "k"}),
        ),
        ("imported description", post(), "/api/v1/gateway/import", "", json!({"name": "x", "openapi": {"url": url}})),
    ]
}

/// The same fields on pages: path and form.
fn forms(url: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let filled = |more: &[(&'static str, &str)]| {
        let rest = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        std::iter::once(("url", url.to_owned())).chain(rest).collect()
    };
    vec![
        ("/workspaces/default/webhooks", filled(&[("step", "create"), ("name", "x"), ("kind", "asset.changed")])),
        ("/workspaces/default/upstreams", filled(&[("name", "x")])),
        ("/gateway/import", filled(&[("name", "x"), ("source", "compatible"), ("key", "k")])),
        ("/gateway/import", filled(&[("name", "x"), ("source", "azure-openai"), ("key", "k")])),
        ("/gateway/import", filled(&[("name", "x"), ("source", "openapi")])),
    ]
}

#[tokio::test]
async fn no_field_takes_a_spelling_of_a_forbidden_address_and_nobody_is_called() {
    let app = TestApp::start().await;
    let (port, connections) = listener().await;
    let admin = app.admin();
    let empty = json!({"name": "holder", "title": "holder", "kind": "rest"});
    admin.post("/api/v1/workspaces/default/assets", &empty).await.expect(201);
    let upstream = json!({"name": "public", "url": "https://registry.example.com", "isPaused": true});
    admin.post("/api/v1/workspaces/default/upstreams", &upstream).await.expect(201);
    let (mut refused, mut tried) = (0, 0);

    for url in spelled(port) {
        for (field, method, path, place, body) in fields(&url) {
            tried += 1;
            let answer = admin.send(admin.request(method, path).json(&body)).await;
            assert!((400..500).contains(&answer.status), "{field} took {url:?}: {} {}", answer.status, answer.text);
            assert!(answer.text.contains(place), "{field} {url:?} was refused for another reason: {}", answer.text);
            refused += 1;
        }
        for (path, form) in forms(&url) {
            tried += 1;
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let request = admin.request(Method::POST, path).body(form);
            let answer = admin.send(request.header("content-type", "application/x-www-form-urlencoded")).await;
            assert!((400..500).contains(&answer.status), "{path} took {url:?}: {}", answer.status);
            refused += 1;
        }
        tried += 1;
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"url\"\r\n\r\n{url}\r\n--b\r\n\
             Content-Disposition: form-data; name=\"step\"\r\n\r\nread\r\n--b--\r\n"
        );
        let request = admin.request(Method::POST, "/register").body(form);
        let answer = admin.send(request.header("content-type", "multipart/form-data; boundary=b")).await;
        assert_eq!(answer.status, 422, "the register form took {url:?}: {}", answer.text);
        assert!(answer.text.contains("url-wrong"), "{url:?} was refused for another reason: {}", answer.text);
        refused += 1;
        // Of a domain a host is made; nothing else of an address gets in there.
        tried += 1;
        let proof = json!({"domain": url, "timestamp": "2026-03-01T12:00:00Z", "signed_timestamp": "00"});
        let answer = app.stranger().post("/v0.1/auth/http", &proof).await;
        assert!([401, 422].contains(&answer.status), "token exchange took {url:?}: {}", answer.status);
        refused += 1;
    }

    println!("{tried} tries, {refused} refused");
    connections.none();
}
