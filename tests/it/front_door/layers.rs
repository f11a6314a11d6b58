//! The layers, around handlers made for these stories.

use crate::support::TestApp;
use axum::{
    Router,
    body::Body,
    response::Response,
    routing::{get, post},
};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tower::ServiceExt;
use wharfinger::base::Problem;
use wharfinger::door::{self, Body as WholeBody, Failure, Json, ProblemPage};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Crate {
    weight: u32,
}

/// Handlers that count, fail and panic, behind the layers of the house.
struct Front {
    app: TestApp,
    router: Router,
    deeds: Arc<AtomicU32>,
}

impl Front {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let deeds = Arc::new(AtomicU32::new(0));
        let counted = deeds.clone();
        let deed = move |Json(_): Json<Value>| {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            async move { (StatusCode::CREATED, [(header::LOCATION, format!("/deeds/{number}"))], format!("deed {number}")) }
        };
        let router = Router::new()
            .route("/deeds", door::guarded_writes(post(deed), &Arc::new(app.handles.clone())))
            .route("/crates", post(|Json(Crate { weight }): Json<Crate>| async move { weight.to_string() }))
            .route("/whole", post(|WholeBody(bytes): WholeBody| async move { bytes.len().to_string() }))
            .route("/panic", get(|| async { panic!("canary") as &'static str }))
            .route("/away", get(|| async { Err::<(), _>(Failure(Problem::unavailable("The crane is away."))) }))
            .route("/long", get(|| async { "a line of text\n".repeat(1_000) }));
        let page =
            ProblemPage(Arc::new(|problem, context| format!("<h1>{}</h1>{}", problem.title, context.request_id)));
        let router = door::apply(router, &app.handles, Some(page));
        Self { app, router, deeds }
    }

    async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> (http::response::Parts, Vec<u8>) {
        let response: Response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        (head, body.collect().await.unwrap().to_bytes().to_vec())
    }

    async fn get(&self, path: &str) -> (http::response::Parts, Value) {
        let (head, body) = self.send(Request::get(path), Body::empty()).await;
        (head, serde_json::from_slice(&body).unwrap())
    }

    fn deed(&self, key: &str) -> http::request::Builder {
        Request::post("/deeds")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.app.admin_key))
            .header("idempotency-key", key)
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_the_id_of_its_request() {
    let front = Front::new().await;
    for (request, body, status, kind) in [
        (Request::get("/nowhere"), "", 404, "/problems/not-found"),
        (Request::delete("/long"), "", 405, "/problems/method-not-allowed"),
        (Request::get("/away"), "", 503, "/problems/unavailable"),
        (Request::post("/crates"), "{}", 415, "/problems/unsupported-media-type"),
        (Request::post("/crates").header("content-type", "application/json"), "{}", 422, "/problems/invalid"),
        (Request::post("/crates").header("content-type", "application/json"), "", 400, "/problems/body-missing"),
        (
            Request::post("/crates").header("content-type", "application/json"),
            "{\"weight\":1,\"weight\":2}",
            400,
            "/problems/bad-json",
        ),
        (Request::get("/long?a=%zz"), "", 400, "/problems/target-unreadable"),
        (Request::get("/%00"), "", 400, "/problems/target-unreadable"),
        (Request::post("/whole").header("content-encoding", "gzip"), "", 415, "/problems/unsupported-content-encoding"),
    ] {
        let (head, body) = front.send(request, body).await;
        let problem: Value = serde_json::from_slice(&body).unwrap();

        assert_eq!((head.status.as_u16(), problem["type"].as_str().unwrap()), (status, kind), "{problem}");
        assert_eq!(head.headers["content-type"], "application/problem+json");
        assert_eq!(problem["requestId"], head.headers["x-request-id"].to_str().unwrap());
        assert_eq!(problem["status"], status);
    }
}

#[tokio::test]
async fn a_method_that_is_not_there_is_told_which_are() {
    let (head, problem) = Front::new().await.get("/deeds").await;

    assert_eq!(head.headers["allow"], "POST");
    assert!(problem["help"].as_str().unwrap().contains("Allow"), "{problem}");
}

#[tokio::test]
async fn a_panic_costs_one_request_and_tells_nothing() {
    let front = Front::new().await;

    let (head, problem) = front.get("/panic").await;

    assert_eq!(head.status.as_u16(), 500);
    assert!(!problem.to_string().contains("canary"), "{problem}");
    assert_eq!(front.send(Request::get("/long"), Body::empty()).await.0.status.as_u16(), 200);
}

#[tokio::test]
async fn a_browser_gets_a_page_and_the_api_stays_json() {
    let front = Front::new().await;
    let browser = |path| Request::get(path).header("accept", "text/html,*/*;q=0.8");

    let (page, body) = front.send(browser("/nowhere"), "").await;
    let (api, _) = front.send(browser("/api/v1/nowhere"), "").await;

    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(String::from_utf8(body).unwrap().contains(page.headers["x-request-id"].to_str().unwrap()));
    assert_eq!(api.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_body_announced_or_found_too_long_is_refused() {
    let front = Front::new().await;
    let limit = front.app.handles.config.limits.max_body.0;

    let announced = Request::post("/whole").header("content-length", limit + 1);
    let (head, _) =
        front.send(announced, Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>())).await;
    let unannounced = Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])));
    let (endless, _) = front.send(Request::post("/whole"), unannounced).await;

    assert_eq!((head.status.as_u16(), endless.status.as_u16()), (413, 413));
    assert_eq!(head.headers["connection"], "close");
}

#[tokio::test]
async fn long_text_is_compressed_for_those_who_take_it() {
    let front = Front::new().await;

    let (packed, short) = front.send(Request::get("/long").header("accept-encoding", "gzip"), "").await;
    let (plain, long) = front.send(Request::get("/long"), "").await;

    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(!plain.headers.contains_key("content-encoding"));
    assert!(short.len() * 10 < long.len());
    assert!(packed.headers["vary"].to_str().unwrap().eq_ignore_ascii_case("accept-encoding"));
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_guard_pages() {
    let (head, _) = Front::new().await.send(Request::get("/long"), "").await;

    assert!(head.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
    assert!(!head.headers.contains_key("strict-transport-security"), "not over TLS");
    assert!(!head.headers.contains_key("server"));
}

#[tokio::test]
async fn a_long_refusal_is_not_called_compressed() {
    let front = Front::new().await;
    let body = format!("{{{:?}: 1}}", "long".repeat(1_000));
    let request = Request::post("/crates").header("content-type", "application/json").header("accept-encoding", "gzip");

    let (head, body) = front.send(request, body).await;

    assert_eq!((head.status.as_u16(), head.headers.get("content-encoding")), (422, None));
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["detail"].as_str().unwrap().contains("longlong"));
}

#[tokio::test]
async fn a_deed_sent_twice_under_one_key_is_done_once() {
    let front = Front::new().await;
    let body = json!({"load": "tea"}).to_string();

    let (first, said) = front.send(front.deed("k-1"), body.clone()).await;
    let (again, same) = front.send(front.deed("k-1"), body.clone()).await;
    let (other, _) = front.send(front.deed("k-2"), body).await;

    assert_eq!((first.status.as_u16(), again.status.as_u16(), other.status.as_u16()), (201, 201, 201));
    assert_eq!((said, first.headers["location"].clone()), (same, again.headers["location"].clone()));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(front.deeds.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_key_used_for_another_deed_is_refused() {
    let front = Front::new().await;
    front.send(front.deed("k"), "{}").await;

    let (head, body) = front.send(front.deed("k"), r#"{"other": true}"#).await;

    assert_eq!(head.status.as_u16(), 422, "{}", String::from_utf8_lossy(&body));
    assert_eq!(front.deeds.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_deed_sent_many_times_at_once_under_one_key_is_done_once() {
    let front = Front::new().await;

    let sent = (0..8).map(|_| front.send(front.deed("k"), "{}"));
    let answers = futures::future::join_all(sent).await;

    assert_eq!(front.deeds.load(Ordering::SeqCst), 1);
    for (head, body) in answers {
        assert_eq!((head.status.as_u16(), body.as_slice()), (201, &b"deed 1"[..]));
    }
}

#[tokio::test]
async fn a_refused_deed_may_be_mended_and_sent_again_under_its_key() {
    let front = Front::new().await;

    let (refused, _) = front.send(front.deed("k"), "{broken").await;
    let (done, _) = front.send(front.deed("k"), "{}").await;

    assert_eq!((refused.status.as_u16(), done.status.as_u16()), (400, 201));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let front = Front::new().await;
    for key in ["", "a b", "ü", &"k".repeat(256)] {
        let (head, _) = front.send(front.deed(key), "{}").await;
        assert_eq!(head.status.as_u16(), 400, "{key}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_told_whatever_key_the_request_carries() {
    let front = Front::new().await;
    front.send(front.deed("k"), "{}").await;
    let stranger = || Request::put("/deeds").header("idempotency-key", "k");
    let known = stranger().header("authorization", format!("Bearer {}", front.app.admin_key));

    let answers = [front.send(stranger(), "{}").await, front.send(known, "{}").await];

    for (head, _) in answers {
        assert_eq!((head.status.as_u16(), &head.headers["allow"]), (405, &"POST".parse().unwrap()));
    }
}

#[tokio::test]
async fn a_write_without_a_credential_is_refused_before_it_is_read() {
    let front = Front::new().await;
    for (content_type, body, key) in
        [("text/plain", "{broken", "a b"), ("application/json", "{\"a\": 1, \"a\": 2}", "k")]
    {
        let request = Request::post("/deeds").header("content-type", content_type).header("idempotency-key", key);

        let (head, _) = front.send(request, body).await;

        assert_eq!(head.status.as_u16(), 401, "{content_type}");
    }
    assert_eq!(front.deeds.load(Ordering::SeqCst), 0);
}
