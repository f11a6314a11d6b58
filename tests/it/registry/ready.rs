//! Answers that lie ready go out before a request is routed, and nothing that is promised of an answer gets lost by it.

use super::*;

#[tokio::test]
async fn a_ready_answer_is_the_answer_of_the_long_way_under_an_id_of_its_own() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/alpha", "1.0.0")).await.expect(200);
    for path in ["/v0.1/servers".to_owned(), at("com.example/alpha", "latest")] {
        let first = app.stranger().get(&path).await.expect(200);

        let again = app.stranger().get(&path).await.expect(200);

        assert_eq!(again.text, first.text);
        let names = |answer: &Answer| {
            let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&again), names(&first));
        assert!(names(&again).contains(&"content-security-policy".to_owned()));
        for name in ["content-type", "etag", "cache-control", "vary", "access-control-allow-origin", "content-length"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        let known = app.stranger().request(reqwest::Method::GET, &path).header("if-none-match", again.header("etag"));
        app.stranger().send(known).await.expect(304);
    }
}

#[tokio::test]
async fn each_gets_the_ready_answer_of_what_they_may_see() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/alpha", "1.0.0")).await.expect(200);
    let private = json!({"visibility": "private"});
    app.admin().patch("/api/v1/workspaces/default/assets/com.example%2Falpha", &private).await.expect(200);
    let path = at("com.example/alpha", "latest");

    for _ in 0..2 {
        app.stranger().get(&path).await.expect(404);
        app.admin().get(&path).await.expect(200);
        let wrong = app.stranger().request(reqwest::Method::GET, &path).header("x-api-key", "whf_nobody");
        app.stranger().send(wrong).await.expect(401);
    }
}

#[tokio::test]
async fn a_ready_answer_is_gone_with_what_it_told_of() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/alpha", "1.0.0")).await.expect(200);
    let path = at("com.example/alpha", "latest");
    app.stranger().get(&path).await.expect(200);
    app.stranger().get(&path).await.expect(200);

    let address = "/api/v1/workspaces/default/assets/com.example%2Falpha";
    app.admin().delete(address).await.expect(204);

    app.stranger().get(&path).await.expect(404);
}

#[tokio::test]
async fn a_key_that_was_taken_back_gets_no_ready_answer() {
    let app = TestApp::start_running().await;
    app.admin().publish(&server("com.example/alpha", "1.0.0")).await.expect(200);
    let private = json!({"visibility": "private"});
    app.admin().patch("/api/v1/workspaces/default/assets/com.example%2Falpha", &private).await.expect(200);
    let wanted = json!({"name": "reader", "role": "reader", "workspace": "default"});
    let made = app.admin().post("/api/v1/keys", &wanted).await.expect(201).json();
    let reader = app.with_key(made["text"].as_str().unwrap());
    let path = at("com.example/alpha", "latest");
    for _ in 0..3 {
        reader.get(&path).await.expect(200);
    }

    app.admin().delete(&format!("/api/v1/keys/{}", made["id"].as_str().unwrap())).await.expect(204);

    for _ in 0..3 {
        reader.get(&path).await.expect(401);
    }
}
