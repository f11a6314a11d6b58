//! Fetching on behalf of somebody reaches what they could reach themselves, and nothing behind our walls.

use axum::{Router, response::Redirect, routing::get};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use wharfinger::base::{Config, HttpClient};

/// A server on loopback that counts who comes.
struct Upstream {
    port: u16,
    visits: Arc<AtomicU32>,
}

async fn upstream() -> Upstream {
    let visits = Arc::new(AtomicU32::new(0));
    let counted = visits.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new()
        .route("/document", get(|| async { "openapi: 3.1.0" }))
        .route("/moved", get(|| async { Redirect::temporary("/document") }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/metadata", get(|| async { Redirect::temporary("http://169.254.169.254/latest/") }))
        .route("/file", get(|| async { Redirect::temporary("file:///etc/passwd") }))
        .route("/long", get(|| async { "x".repeat(3_000) }))
        .route("/hang", get(std::future::pending::<()>))
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { request }
        }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Upstream { port, visits }
}

fn client(settings: &str) -> HttpClient {
    let settings = format!("fetch_timeout = '500ms'\nfetch_max_size = '2KiB'\n{settings}");
    HttpClient::new(&Config::from_sources(Some(&settings), []).unwrap().fetch)
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_fetched() {
    let server = upstream().await;
    let client = client("");
    let port = server.port;
    for url in [
        format!("http://127.0.0.1:{port}/document"),
        format!("http://localhost:{port}/document"),
        format!("http://LOCALHOST.:{port}/document"),
        format!("http://2130706433:{port}/document"),
        format!("http://0x7f.1:{port}/document"),
        format!("http://0177.0.0.1:{port}/document"),
        format!("http://127.1:{port}/document"),
        format!("http://[::1]:{port}/document"),
        format!("http://[::ffff:127.0.0.1]:{port}/document"),
        format!("http://[::ffff:7f00:1]:{port}/document"),
        format!("http://[64:ff9b::7f00:1]:{port}/document"),
        format!("http://0.0.0.0:{port}/document"),
        format!("http://[::]:{port}/document"),
        format!("http://user:pw@127.0.0.1:{port}/document"),
        format!("http://127.0.0.1%2f@localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://192.168.0.1/".to_owned(),
        "http://100.64.0.1/".to_owned(),
        "http://[fe80::1]/".to_owned(),
        "http://[fd00::1]/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1:70/".to_owned(),
        "http:///document".to_owned(),
        "document".to_owned(),
        String::new(),
    ] {
        let problem = client.fetch(&url).await.unwrap_err();
        assert!([422, 502].contains(&problem.status.as_u16()), "{url}: {problem}");
    }
    assert_eq!(server.visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_allowed_network_is_fetched_from_and_redirects_are_judged_each() {
    let server = upstream().await;
    let client = client("fetch_allowed_networks = '127.0.0.0/8,::1'");
    let at = |path: &str| format!("http://127.0.0.1:{}/{path}", server.port);

    let document = client.fetch(&at("document")).await.unwrap();
    let moved = client.fetch(&at("moved")).await.unwrap();
    assert_eq!((&document.bytes[..], moved.url.path()), (&b"openapi: 3.1.0"[..], "/document"));
    assert!(document.content_type.unwrap().starts_with("text/plain"));

    for (path, status) in
        [("metadata", 422), ("file", 422), ("round", 502), ("long", 502), ("hang", 504), ("nothing", 502)]
    {
        let problem = client.fetch(&at(path)).await.unwrap_err();
        assert_eq!(problem.status.as_u16(), status, "{path}: {problem}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_in_time() {
    let client = client("fetch_allowed_networks = '127.0.0.0/8'");

    let begun = std::time::Instant::now();
    let problem = client.fetch("http://127.0.0.1:1/").await.unwrap_err();

    assert_eq!(problem.status.as_u16(), 502);
    assert!(begun.elapsed() < Duration::from_secs(2));
}
