//! An upstream that answers 500, or half a page, or in circles, loses nothing and brings nothing wrong.

use super::{downstream, entries, point_at, run, sync};
use crate::support::TestApp;
use axum::{Router, body::Body, extract::State, response::Response};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// What stands between: passes on, or does harm to the next answers.
#[derive(Clone)]
struct Between {
    target: String,
    http: reqwest::Client,
    /// What happens to the next requests, the first at the end.
    harms: Arc<Mutex<Vec<Harm>>>,
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Fine,
    Answers500,
    /// A body that ends in the middle, with a length that fits.
    HalfAPage,
    /// A connection that ends before the announced length.
    CutOff,
    SameCursor,
}

async fn pass(State(between): State<Between>, request: Request<Body>) -> Response {
    let harm = between.harms.lock().unwrap().pop().unwrap_or(Harm::Fine);
    let url = format!("{}{}", between.target, request.uri().path_and_query().unwrap());
    let text = between.http.get(url).send().await.unwrap().text().await.unwrap();
    let half = text[..text.len() / 2].to_owned();
    let json = || Response::builder().header("content-type", "application/json");
    match harm {
        Harm::Fine => json().body(text.into()).unwrap(),
        Harm::Answers500 => Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body("no".into()).unwrap(),
        Harm::HalfAPage => json().body(half.into()).unwrap(),
        Harm::CutOff => {
            let pieces = futures::stream::iter([Ok(half), Err(std::io::Error::other("gone"))]);
            json().body(Body::from_stream(pieces)).unwrap()
        }
        Harm::SameCursor => {
            let mut page: Value = serde_json::from_str(&text).unwrap();
            page["metadata"]["nextCursor"] = json!("com.acme/server-000:1.0.0");
            json().body(page.to_string().into()).unwrap()
        }
    }
}

async fn between(target: &TestApp) -> (String, Arc<Mutex<Vec<Harm>>>) {
    let harms = Arc::default();
    let between = Between { target: target.url.clone(), http: reqwest::Client::new(), harms: Arc::clone(&harms) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass).with_state(between)).await.unwrap() });
    (url, harms)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_upstream_answers_nothing_is_lost_and_nothing_half_is_taken() {
    let there = TestApp::start().await;
    let line = |number: usize| {
        json!({"server": {"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": format!("com.acme/server-{number:03}"), "description": "Reads", "version": "1.0.0"}})
        .to_string()
            + "\n"
    };
    let lines: String = (0..250).map(line).collect();
    let request = there.admin().request(reqwest::Method::POST, "/api/v1/import");
    there.admin().send(request.header("content-type", "application/x-ndjson").body(lines)).await.expect(200);
    let (url, harms) = between(&there).await;
    let here = downstream().await;
    point_at(&here, &url, json!({})).await;

    // Each run reads one page well and is then harmed; the next goes on where it stood.
    for (harm, have) in [(Harm::Answers500, 100), (Harm::HalfAPage, 200), (Harm::CutOff, 200)] {
        harms.lock().unwrap().extend([harm, Harm::Fine]);
        if have == 200 && matches!(harm, Harm::CutOff) {
            harms.lock().unwrap().pop();
        }
        let run = sync(&here).await;
        assert_eq!(run["state"], "failed", "{harm:?}: {run}");
        assert!(!run["error"].as_str().unwrap().is_empty());
        assert_eq!(entries(&here, false).await.len(), have, "after {harm:?}");
        println!("{harm:?}: {}", run["error"]);
    }
    let last = sync(&here).await;
    assert_eq!((&last["state"], &last["resumed"]), (&json!("succeeded"), &json!(true)), "{last}");
    assert_eq!(entries(&here, false).await, entries(&there, false).await);

    // In a circle: it ends, and says so.
    harms.lock().unwrap().extend([Harm::SameCursor, Harm::SameCursor]);
    here.admin()
        .post("/api/v1/workspaces/default/upstreams/official/sync", &json!({"everything": true}))
        .await
        .expect(202);
    let circle = run(&here).await;
    assert!(circle["error"].as_str().unwrap().contains("circle"), "{circle}");

    // After a failure the next run waits; how long, the upstream tells.
    let listed = here.admin().get("/api/v1/workspaces/default/upstreams").await.json();
    assert_eq!(listed["items"][0]["failures"], 1, "{listed}");
    assert_eq!(listed["items"][0]["nextRunAt"], "2026-03-01T12:00:30Z");
    assert_eq!(run(&here).await["id"], circle["id"], "not due yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_behind_our_walls_is_not_read() {
    let there = TestApp::start().await;
    let here = TestApp::start().await;
    let path = "/api/v1/workspaces/default/upstreams";
    let written = json!({"name": "official", "url": there.url});
    let refused = here.admin().post(path, &written).await.expect(422);
    assert!(refused.text.contains("public internet"), "{}", refused.text);

    // Written while the network was still open: refused when it is read.
    point_at(&here, "https://example.com/", json!({})).await;
    let statement = "update upstream set url = $1";
    sqlx::query(statement).bind(&there.url).execute(&here.handles.db.write).await.unwrap();
    let run = run(&here).await;

    assert_eq!(run["state"], "failed");
    assert!(run["error"].as_str().unwrap().contains("public internet"), "{run}");
}
