//! The form that registers: by file, by paste, by address; shown as understood before anything is stored.

use super::seen;
use crate::support::{Answer, Person, TestApp};
use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::get;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use wharfinger::auth::Role;

/// A document as somebody might paste it.
pub const DOCUMENT: &str = "openapi: 3.0.4
info: {title: Shipment tracking, version: 1.4.0, description: Where a parcel is.}
servers: [{url: https://track.example/v1}]
paths:
  /parcels/{id}:
    get:
      operationId: getParcel
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: The parcel}}
";

/// Sends the register form as a browser does.
async fn send(app: &TestApp, fields: &[(&str, &str)], site: &str) -> Answer {
    send_as(&app.stranger(), fields, site).await
}

async fn send_as(person: &Person<'_>, fields: &[(&str, &str)], site: &str) -> Answer {
    let mut body = String::new();
    for (name, value) in fields {
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += "--b--\r\n";
    let request = person.request(reqwest::Method::POST, "/register").header("accept", "text/html");
    let request = request.header("content-type", "multipart/form-data; boundary=b").header("sec-fetch-site", site);
    person.send(request.body(body)).await
}

#[tokio::test]
async fn a_document_is_shown_as_understood_before_anything_is_stored() {
    let app = TestApp::start().await;

    let read = send(&app, &[("document", DOCUMENT), ("step", "read")], "same-origin").await.expect(200);

    let text = seen(&read);
    for part in ["REST API, OpenAPI 3.0.4", "Shipment tracking", "1.4.0", "getParcel", "https://track.example/v1"] {
        assert!(text.contains(part), "{part:?} is not on {text}");
    }
    assert!(read.text.contains(r#"name="name" value="shipment-tracking""#));
    let home = app.stranger().get("/").await.expect(200);
    assert!(seen(&home).contains("assets you can see 0"));
}

#[tokio::test]
async fn registering_needs_a_key_that_is_never_shown_again() {
    let app = TestApp::start().await;
    let key = app.admin_key.clone();
    let fields = [("document", DOCUMENT), ("workspace", "default"), ("name", "tracking"), ("step", "register")];
    let with = |key: &'static str| -> Vec<(&str, &str)> { fields.iter().copied().chain([("key", key)]).collect() };

    let without = send(&app, &fields, "same-origin").await.expect(401);
    let wrong = send(&app, &with("whf_wrong"), "same-origin").await.expect(401);
    let elsewhere = send(&app, &with("whf_x"), "cross-site").await.expect(403);
    let right: Vec<_> = fields.iter().copied().chain([("key", key.as_str())]).collect();
    let stored = send(&app, &right, "same-origin").await.expect(200);
    let again = send(&app, &right, "same-origin").await.expect(409);

    assert!(seen(&without).contains("Registering needs a key"), "{}", seen(&without));
    assert!(seen(&wrong).contains("not known here") && !wrong.text.contains("whf_wrong"));
    assert!(seen(&elsewhere).contains("another site"), "{}", seen(&elsewhere));
    assert!(stored.text.contains("Shipment tracking"), "the form leads to the asset: {}", stored.text);
    assert!(seen(&again).contains("already has an asset named tracking") && !again.text.contains(&key));
}

#[tokio::test]
async fn a_broken_document_is_answered_with_its_place() {
    let app = TestApp::start().await;

    let broken = send(&app, &[("document", "openapi: 3.0.4\ninfo: [unclosed"), ("step", "read")], "same-origin").await;
    let empty = send(&app, &[("document", " "), ("step", "read")], "same-origin").await.expect(422);

    assert_eq!(broken.status, 422);
    assert!(seen(&broken).contains("line 2"), "{}", seen(&broken));
    assert!(broken.text.contains("[unclosed"), "what was pasted is still there");
    assert!(seen(&empty).contains("choose a file, or give an address, or paste a document"), "{}", seen(&empty));
}

/// A server with documents, which counts who comes.
async fn elsewhere() -> (String, Arc<AtomicU32>) {
    let visits = Arc::new(AtomicU32::new(0));
    let counted = visits.clone();
    let router = Router::new()
        .route("/v1/tracking.yaml", get(|| async { DOCUMENT }))
        .route("/latest", get(|| async { Redirect::temporary("/v1/tracking.yaml") }))
        .route("/inside", get(|| async { Redirect::temporary("http://10.0.0.1/latest/meta-data/") }))
        .route("/page", get(|| async { Html("<!doctype html><title>Tracking</title>") }))
        .route("/windows", get(|| async { DOCUMENT.replace('\n', "\r\n") }))
        .route("/long", get(|| async { "x".repeat(6_100_000) }))
        .route("/longer", get(|| async { "x".repeat(9_000_000) }))
        .route("/hang", get(std::future::pending::<()>))
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { request }
        }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, visits)
}

/// The program, which may fetch from this host.
async fn fetching() -> TestApp {
    let settings = [("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8"), ("WHARFINGER_FETCH_TIMEOUT", "2s")];
    TestApp::start_with(&settings, wharfinger::embed::Embedder::hashed()).await
}

#[tokio::test]
async fn a_document_is_fetched_by_its_address_and_goes_the_way_of_a_paste() {
    let (app, (address, visits)) = (fetching().await, elsewhere().await);
    let publisher = app.member(Role::Publisher, "team").await;
    let url = format!("{address}/latest");
    let asked = [("url", url.as_str()), ("document", "what was there"), ("workspace", "team"), ("step", "register")];

    let read = send_as(&publisher, &asked, "same-origin").await.expect(200);
    let list = publisher.get("/api/v1/assets").await.expect(200).json();

    let text = seen(&read);
    for part in ["REST API, OpenAPI 3.0.4", "Shipment tracking", "getParcel", "Fetched from", "/v1/tracking.yaml"] {
        assert!(text.contains(part), "{part:?} is not on {text}");
    }
    assert_eq!(list["total"], 0, "it is shown before it is stored, whichever button was pressed");
    assert!(!read.text.contains("what was there") && read.text.contains(r#"name="url" type="url" value="""#));
    let fetched = visits.load(Ordering::SeqCst);
    assert_eq!(fetched, 2, "the redirect and the document");

    let fields = [("document", DOCUMENT), ("workspace", "team"), ("name", "tracking"), ("step", "register")];
    send_as(&publisher, &fields, "same-origin").await.expect(200);
    let windows = format!("{address}/windows");
    let kept = send_as(&publisher, &[("url", &windows), ("step", "read")], "same-origin").await.expect(200);

    publisher.get("/api/v1/workspaces/team/assets/tracking").await.expect(200);
    assert_eq!(visits.load(Ordering::SeqCst), fetched + 1);
    assert!(kept.text.contains(r#"name="kept" value="b3Blb"#), "byte for byte where a text field would change it");
}

#[tokio::test]
async fn nobody_who_may_not_register_makes_the_server_fetch() {
    let (app, (address, visits)) = (fetching().await, elsewhere().await);
    let reader = app.member(Role::Reader, "team").await;
    let fields = [("url", address.as_str()), ("step", "read")];

    let stranger = send(&app, &fields, "same-origin").await.expect(401);
    let reader = send_as(&reader, &fields, "same-origin").await.expect(403);
    let site = send_as(&app.admin(), &fields, "cross-site").await.expect(403);
    let form = app.stranger().get("/register").await.expect(200);

    assert!(seen(&stranger).contains("sign in to have it fetched"), "{}", seen(&stranger));
    assert!(seen(&reader).contains("publisher"), "{}", seen(&reader));
    assert!(seen(&site).contains("another site"), "{}", seen(&site));
    assert!(!form.text.contains(r#"name="url""#) && seen(&form).contains("Sign in to have it fetched"));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_address_that_gives_no_document_is_told_beside_its_field() {
    let (app, (address, _)) = (fetching().await, elsewhere().await);
    let admin = app.admin();

    for (url, why) in [
        (format!("{address}/nothing"), "answered 404 Not Found"),
        (format!("{address}/inside"), "does not lie on the public internet"),
        (format!("{address}/page"), "is a web page"),
        (format!("{address}/long"), "is longer than 6000000 bytes"),
        (format!("{address}/longer"), "the most that is fetched"),
        (format!("{address}/hang"), "did not answer"),
        ("tracking.yaml".to_owned(), "is no URL"),
        ("ftp://example.com/a".to_owned(), "neither http nor https"),
    ] {
        let answer = send_as(&admin, &[("url", &url), ("step", "read")], "same-origin").await.expect(422);

        assert!(seen(&answer).contains(why), "{url}: {}", seen(&answer));
        assert!(
            answer.text.contains(r#"id="url-wrong""#) && answer.text.contains(&format!(r#"value="{url}""#)),
            "{url}"
        );
    }
}
