//! REST APIs behind the gateway: what goes on as it is, what stays here, and what is refused before anything is asked.

use super::house::{VENDOR_KEY, house, install, parts};
use crate::support::TestApp;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharfinger::auth::{NewKey, Role};
use wharfinger::gateway::Parts;
use wharfinger::gateway::settings::{
    BackendSettings, BreakerSettings, Callers, Member, PolicySettings, PoolSettings, Provider, RequestRate,
    RouteSettings, Rule, Serves, Span,
};

/// An API that tells what it was asked; the first segment of its path is its mood.
#[derive(Clone)]
struct Api {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let service = Router::new().fallback(answer).with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { port, asked }
    }

    /// How often this mood was asked.
    fn requests(&self, mood: &str) -> usize {
        let start = format!("/{mood}/");
        self.asked.lock().unwrap().iter().filter(|uri| uri.starts_with(&start)).count()
    }

    fn backend(&self, mood: &str) -> BackendSettings {
        let mut settings = BackendSettings::new(Provider::Rest, format!("http://127.0.0.1:{}/{mood}", self.port));
        settings.credential = Some("vendor".into());
        settings.timeouts.first_byte = Span::millis(700);
        settings.timeouts.connect = Span::millis(500);
        settings.breaker = BreakerSettings { count: None, trip: Span::millis(400), ..BreakerSettings::default() };
        settings
    }
}

async fn answer(State(asked): State<Arc<Mutex<Vec<String>>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    asked.lock().unwrap().push(head.uri.to_string());
    let mood = head.uri.path().trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    match mood.as_str() {
        "hang" => std::future::pending().await,
        "broken" => return Response::builder().status(500).body(Body::from("the API's own words")).unwrap(),
        // Two pieces, the second of which waits.
        "pieces" => {
            let pieces = futures::stream::iter([0_u64, 1_500]).then(|wait| async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                Ok::<_, std::io::Error>(Bytes::from(format!("after {wait};")))
            });
            return Response::new(Body::from_stream(pieces));
        }
        "large" => return Response::new(Body::from(vec![b'x'; 24 << 20])),
        _ => {}
    }
    let headers: serde_json::Map<String, Value> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let told = json!({"method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers, "length": body.len(),
        "last": body.last()});
    Response::builder()
        .header("content-type", "application/json")
        .header("connection", "x-hop")
        .header("x-hop", "of the API's connection")
        .header("alt-svc", "h3=\":443\"")
        .header("x-of-the-api", "kept")
        .body(Body::from(told.to_string()))
        .unwrap()
}

/// A route to `shop/orders` over these backends, each in a priority group of its own.
fn rest(backends: &[(&str, BackendSettings)]) -> Parts {
    let members = backends.iter().zip(1..).map(|((name, _), priority)| Member { priority, ..Member::new(*name) });
    let pool = PoolSettings { members: members.collect(), ..PoolSettings::default() };
    let settings = RouteSettings {
        title: String::new(),
        serves: Serves::Rest("shop/orders".to_owned()),
        pool: "orders".to_owned(),
        asset: None,
        dialects: Vec::new(),
        policies: Vec::new(),
        callers: Callers::Everyone,
        disabled: false,
    };
    let with = backends.iter().fold(parts(), |parts, (name, settings)| parts.with_backend(name, settings.clone()));
    with.with_pool("orders", pool).with_route("orders", settings)
}

async fn one(mood: &str) -> (TestApp, Api) {
    let (app, _) = house().await;
    let api = Api::start().await;
    install(&app, rest(&[("one", api.backend(mood))]));
    (app, api)
}

/// Sends bytes as they are; clients tidy paths up. Gives the answer's.
async fn raw(app: &TestApp, head: &str) -> String {
    let address = app.url.trim_start_matches("http://");
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", app.admin_key);
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_query_method_and_body_go_on_as_they_are() {
    let (app, _) = one("echo").await;
    for (path, sent) in [
        ("/v1/orders/7", "/echo/v1/orders/7"),
        ("", "/echo/"),
        ("/a%2Fb/c%20d/%C3%A9", "/echo/a%2Fb/c%20d/%C3%A9"),
        ("/a//b///", "/echo/a//b///"),
        ("//a", "/echo//a"),
        ("/x?a=1&a=2&empty=&u=http://h/p?q%26", "/echo/x?a=1&a=2&empty=&u=http://h/p?q%26"),
        ("/x?", "/echo/x?"),
        ("/a;v=1/b:c@d,e", "/echo/a;v=1/b:c@d,e"),
        ("/..name/.hidden/...", "/echo/..name/.hidden/..."),
    ] {
        let answer = raw(&app, &format!("GET /rest/shop/orders{path} HTTP/1.1")).await;
        assert!(answer.contains(&format!("\"uri\":\"{sent}\"")), "{path}: {answer}");
    }
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let request = app.admin().request(method.clone(), "/rest/shop/orders/x").body("four");
        let told = app.admin().send(request).await.expect(200).json();
        assert_eq!((&told["method"], &told["length"]), (&json!(method.as_str()), &json!(4)));
    }
    let head = app.admin().send(app.admin().request(Method::HEAD, "/rest/shop/orders/x")).await.expect(200);
    assert!(head.header("content-length").parse::<u64>().unwrap() > 100 && head.text.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_climbs_or_is_no_request_of_an_api_is_refused_and_never_asked() {
    let (app, api) = one("echo").await;

    for path in [
        "/rest/shop/orders/../other",
        "/rest/shop/orders/a/%2e%2e/b",
        "/rest/shop/orders/a/%2E./b",
        "/rest/shop/orders/./a",
        "/rest/shop/orders/a%2f..%2fb",
        "/rest/shop/orders/a%5c..%5cb",
        "/rest/shop/",
        "/rest/shop/unknown/x",
        "/rest/other/orders/x",
    ] {
        let answer = raw(&app, &format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    for method in ["TRACE", "CONNECT"] {
        let answer = raw(&app, &format!("{method} /rest/shop/orders/x HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{method}: {answer}");
        assert!(!answer.contains("CANARY"), "{method}: {answer}");
    }
    let upgrade = "GET /rest/shop/orders/x HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
    let answer = raw(&app, upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 501 ") && answer.contains("upgrade-unsupported"), "{answer}");
    assert!(api.asked.lock().unwrap().is_empty());
    // Some clients offer HTTP/2 with every request, and are content with none.
    let offer = raw(&app, "GET /rest/shop/orders/x HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ").await;
    assert!(offer.starts_with("HTTP/1.1 200 "), "{offer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_a_connection_and_credentials_stay_on_their_side() {
    let (app, _) = one("echo").await;
    let request = app.admin().request(Method::GET, "/rest/shop/orders/x");
    let request = request
        .header("connection", "keep-alive, x-private")
        .header("x-private", "of this connection")
        .header("te", "trailers")
        .header("cookie", "session=secret")
        .header("x-api-key", &app.admin_key)
        .header("x-forwarded-for", "1.2.3.4")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-of-the-client", "kept");

    let answer = app.admin().send(request).await.expect(200);

    let told = answer.json();
    let sent = told["headers"].as_object().unwrap();
    for gone in ["x-private", "te", "cookie", "x-api-key", "x-forwarded-for", "keep-alive", "upgrade"] {
        assert!(!sent.contains_key(gone), "{gone} went on: {told}");
    }
    // It arrived, and the answer that repeats it comes back without it.
    assert_eq!(sent["authorization"], format!("Bearer {}", "*".repeat(VENDOR_KEY.len())));
    assert_eq!((&sent["x-of-the-client"], &sent["x-wharfinger-hops"]), (&json!("kept"), &json!("1")));
    assert!(sent["traceparent"].as_str().unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
    assert!(!answer.text.contains(&app.admin_key));
    for gone in ["x-hop", "alt-svc", "connection"] {
        assert_eq!(answer.header(gone), "", "{gone} came back");
    }
    assert_eq!(answer.header("x-of-the-api"), "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_called_with_a_key_that_may_and_within_its_rate() {
    let (app, api) = one("echo").await;
    app.stranger().get("/rest/shop/orders/x").await.expect(401);
    app.with_key("whf_nobody_has_this_one").get("/rest/shop/orders/x").await.expect(401);
    let reader = app.member(Role::Reader, "team").await;
    reader.get("/rest/shop/orders/x").await.expect(404);
    assert!(api.asked.lock().unwrap().is_empty());

    let mut limited = rest(&[("one", api.backend("echo"))]);
    let counter_key = "{key}".parse().unwrap();
    let rate = RequestRate { counter_key, requests: 3, per: Span::seconds(60) };
    limited = limited.with_policy("rate", PolicySettings::new(Rule::RequestRate(rate)));
    limited.routes[0].settings.policies = vec!["rate".to_owned()];
    install(&app, limited);
    let consumer = NewKey::with_role("consumer", Role::Consumer, None);
    let (_, key) = app.handles.auth.create_key(&wharfinger::auth::Actor::system("test"), consumer).await.unwrap();
    let consumer = app.with_key(key.reveal());
    for left in [2, 1, 0] {
        let answer = consumer.get("/rest/shop/orders/x").await.expect(200);
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left.to_string());
    }
    let refused = consumer.get("/rest/shop/orders/x").await.expect(429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    app.admin().get("/rest/shop/orders/x").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_goes_to_the_next_backend_where_twice_is_no_more_than_once() {
    let (app, _) = house().await;
    let api = Api::start().await;
    for mood in ["broken", "hang"] {
        install(&app, rest(&[("bad", api.backend(mood)), ("good", api.backend("echo"))]));
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            app.admin().send(app.admin().request(method, "/rest/shop/orders/x")).await.expect(200);
        }
        let (bad, good) = (api.requests(mood), api.requests("echo"));

        let posted = app.admin().post("/rest/shop/orders/x", &json!({"pay": 1})).await;

        assert!(posted.status >= 500, "{mood}: {}", posted.text);
        assert_eq!((api.requests(mood), api.requests("echo")), (bad + 1, good), "{mood}: done twice");
        if mood == "broken" {
            assert_eq!(posted.text, "the API's own words");
        }
    }
    // Nothing was sent to one that is not there.
    let mut nowhere = api.backend("echo");
    nowhere.url = "http://127.0.0.1:9/x".to_owned();
    install(&app, rest(&[("bad", nowhere), ("good", api.backend("echo"))]));
    app.admin().post("/rest/shop/orders/x", &json!({"pay": 1})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_leaves_a_broken_api_alone_and_tries_it_again() {
    let (app, _) = house().await;
    let api = Api::start().await;
    let mut broken = api.backend("broken");
    broken.breaker = BreakerSettings { count: Some(2), trip: Span::millis(600), ..BreakerSettings::default() };
    install(&app, rest(&[("only", broken)]));

    for _ in 0..6 {
        app.admin().get("/rest/shop/orders/x").await.expect(503);
    }
    assert_eq!(api.requests("broken"), 2, "left alone after two");
    let begun = Instant::now();
    while api.requests("broken") == 2 {
        assert!(begun.elapsed() < Duration::from_secs(10), "not tried again");
        tokio::time::sleep(Duration::from_millis(50)).await;
        app.admin().get("/rest/shop/orders/x").await.expect(503);
    }
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_pass_whole_and_an_answer_comes_as_it_is_sent() {
    let (app, api) = one("echo").await;
    let pieces = futures::stream::iter((0..64_u8).map(|n| Ok::<_, std::io::Error>(Bytes::from(vec![n; 64 << 10]))));
    let request = app.admin().request(Method::POST, "/rest/shop/orders/x").body(reqwest::Body::wrap_stream(pieces));
    let told = app.admin().send(request).await.expect(200).json();
    assert_eq!((&told["length"], &told["last"]), (&json!(4 << 20), &json!(63)));

    install(&app, rest(&[("one", api.backend("pieces"))]));
    let begun = Instant::now();
    let mut answer = app.admin().request(Method::GET, "/rest/shop/orders/x").send().await.unwrap();
    let first = answer.chunk().await.unwrap().unwrap();
    let first_at = begun.elapsed();
    let rest_of_it = answer.text().await.unwrap();
    assert_eq!((first.as_ref(), rest_of_it.as_str()), (b"after 0;".as_slice(), "after 1500;"));
    assert!(begun.elapsed() - first_at >= Duration::from_millis(500), "the first piece did not wait for the second");

    install(&app, rest(&[("one", api.backend("large"))]));
    let large = app.admin().get("/rest/shop/orders/x").await.expect(200);
    assert_eq!((large.text.len(), large.header("content-length")), (24 << 20, (24 << 20).to_string().as_str()));
}
