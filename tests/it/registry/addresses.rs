//! Addresses as clients make them, methods, and pages of other origins.

use super::*;

#[tokio::test]
async fn all_forms_of_an_address_are_served_without_a_redirect() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/a1", "1.0.0")).await.expect(200);
    let plain = app.stranger().list("").await.expect(200).text;

    for path in [
        "/v0/servers",
        "/v0.1/servers/",
        "/v0.1/v0.1/servers",
        "/v0.1/servers/v0.1/servers",
        "/v0.1/servers/v0.1/servers/",
        "/servers",
        "/workspaces/default/v0.1/v0.1/servers",
        "/workspaces/default/servers",
    ] {
        assert_eq!(app.stranger().get(path).await.expect(200).text, plain, "{path}");
    }
    let detail = app.stranger().get(&at("com.example/a1", "latest")).await.expect(200).text;
    for path in [
        "/v0.1/servers/com.example/a1/versions/latest",
        "/v0.1/servers/com.example%252Fa1/versions/latest",
        "/v0.1/servers/com.example%2fa1/versions/latest/",
        "/v0.1/servers/v0.1/servers/com.example%2Fa1/versions/latest",
        "/servers/com.example%2Fa1/versions/1.0.0",
        "/workspaces/default/servers/com.example%2Fa1/versions/latest",
    ] {
        assert_eq!(app.stranger().get(path).await.expect(200).text, detail, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_a_hint() {
    let app = TestApp::start().await;

    for path in ["/v0.1", "/v0.1/", "/v0.1/server", "/v0/servers/com.example%2Fa1", "/v0.1/x/unknown"] {
        let answer = app.stranger().get(path).await;
        assert_problem(&answer, 404, "Endpoint not found. Did you mean");
    }
    assert_eq!(app.stranger().get("/v0.1/servers/a%00b/versions/latest").await.status, 400);
    assert_eq!(app.stranger().get("/workspaces/no-such-team/v0.1/servers").await.status, 404);
}

#[tokio::test]
async fn a_method_that_is_not_possible_is_told_which_are() {
    let app = TestApp::start().await;

    for (method, path, allowed) in [
        ("POST", "/v0.1/servers", "GET, HEAD, OPTIONS"),
        ("GET", "/v0.1/publish", "POST, OPTIONS"),
        ("DELETE", "/v0.1/validate", "POST, OPTIONS"),
        ("PATCH", "/v0.1/servers/a.b%2Fcd/versions/1", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("GET", "/v0.1/servers/a.b%2Fcd/status", "PATCH, OPTIONS"),
    ] {
        let stranger = app.stranger();
        let answer = stranger.send(stranger.request(method.parse().unwrap(), path)).await;
        assert_problem(&answer, 405, "");
        assert_eq!(answer.header("allow"), allowed);
    }
}

#[tokio::test]
async fn the_service_says_how_it_is() {
    let app = TestApp::start().await;

    assert_eq!(app.stranger().get("/v0.1/health").await.expect(200).json()["status"], "ok");
    assert_eq!(app.stranger().get("/v0/ping").await.expect(200).json(), json!({"pong": true}));
    let version = app.stranger().get("/v0/version").await.expect(200).json();
    assert!(["version", "git_commit", "build_time"].iter().all(|member| version[member].is_string()), "{version}");
}

#[tokio::test]
async fn a_head_request_is_a_get_without_the_body() {
    let app = TestApp::start().await;
    let stranger = app.stranger();

    let head = stranger.send(stranger.request(reqwest::Method::HEAD, "/v0.1/servers")).await.expect(200);

    assert_eq!(head.text, "");
    assert_eq!(head.header("etag"), app.stranger().list("").await.header("etag"));
}

#[tokio::test]
async fn pages_of_other_origins_may_call() {
    let app = TestApp::start().await;
    let stranger = app.stranger();

    for path in ["/v0.1/servers", "/v0.1/publish", "/v0.1/servers/a.b%2Fcd/versions/latest", "/v0.1/no-such-thing"] {
        let preflight = stranger
            .request(reqwest::Method::OPTIONS, path)
            .header("origin", "https://editor.example")
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,x-custom");
        let answer = stranger.send(preflight).await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(
            ["GET", "OPTIONS", "PATCH"]
                .iter()
                .all(|method| answer.header("access-control-allow-methods").contains(method))
        );
        assert_eq!(answer.header("access-control-allow-headers"), "authorization,x-custom");
        let answer = stranger
            .send(stranger.request(reqwest::Method::GET, path).header("origin", "https://editor.example"))
            .await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path} {}", answer.status);
    }
    let plain = stranger.send(stranger.request(reqwest::Method::OPTIONS, "/v0.1/servers")).await.expect(204);
    assert!(plain.header("access-control-allow-headers").starts_with("Authorization, Content-Type"));
}
