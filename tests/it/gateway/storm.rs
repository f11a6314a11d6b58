//! Backends that speak HTTP wrongly, slowly or without end: no request is stuck, none is sent again after its first byte,
//! and no answer is taken for another's.

use super::house::{backend, events as read_events, house, house_with, install, parts, route};
use crate::support::vendor::Vendor;
use crate::support::{RawVendor, Step, TestApp};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};
use wharfinger::gateway::Parts;
use wharfinger::gateway::settings::{
    BackendSettings, Callers, Member, PoolSettings, Provider, RouteSettings, Serves, Span,
};

/// What a client may get at the most, whatever a backend does: the backend's time, and some for a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"of the raw one"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const EVENT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"of the raw one\"},\"finish_reason\":null}]}\n\n";

fn chat(stream: bool) -> Value {
    json!({"model": "fast", "stream": stream, "max_tokens": 6, "messages": [{"role": "user", "content": "hello"}]})
}

fn head(more: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n")
}

fn whole(more: &str) -> String {
    format!("{}{ANSWER}", head(&format!("content-length: {}\r\n{more}", ANSWER.len())))
}

fn events() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn packed(length: usize) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..length >> 20 {
        packer.write_all(&vec![0; 1 << 20]).unwrap();
    }
    packer.finish().unwrap()
}

/// The raw one first, then one that serves.
async fn before_a_good_one(app: &TestApp, vendor: &Vendor, steps: Vec<Step>) -> RawVendor {
    let raw = RawVendor::start(steps).await;
    let mut bad = BackendSettings::new(Provider::Openai, format!("{}/v1", raw.url()));
    let good = backend(vendor, Provider::Openai, "ok");
    (bad.timeouts, bad.breaker) = (good.timeouts, good.breaker.clone());
    bad.timeouts.total = Span::millis(2_500);
    install(app, route(parts(), "fast", &[("bad", bad), ("good", good)]));
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_none_goes_to_the_next_backend() {
    let (app, vendor) = house().await;
    let elsewhere = RawVendor::start(vec![Step::send(whole(""))]).await;
    let short = format!("content-length: {}\r\n", ANSWER.len() - 9);
    let long = format!("content-length: {}\r\n", ANSWER.len() + 9);
    let twice = format!("content-length: {}\r\ncontent-length: 7\r\n", ANSWER.len());
    let bomb = packed(64 << 20);
    let mut of_gzip = head(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len())).into_bytes();
    of_gzip.extend(bomb);
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/v1\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let cases: Vec<(&str, Vec<Step>)> = vec![
        ("a redirect", vec![Step::send(redirect)]),
        ("no HTTP", vec![Step::send("SSH-2.0-OpenSSH_9.9\r\n\r\n"), Step::Close]),
        ("closed at once", vec![Step::Close]),
        ("reset at once", vec![Step::Reset]),
        ("reset within the head", vec![Step::send("HTTP/1.1 200 OK\r\ncontent-ty"), Step::Reset]),
        (
            "reset after the head",
            vec![Step::send(head("content-length: 500\r\n")), Step::Wait(Duration::from_millis(50)), Step::Reset],
        ),
        (
            "reset within the body",
            vec![
                Step::send(head("content-length: 500\r\n") + "{\"choices\":"),
                Step::Wait(Duration::from_millis(50)),
                Step::Reset,
            ],
        ),
        ("closed within the body", vec![Step::send(head("content-length: 500\r\n") + "{\"choices\":"), Step::Close]),
        ("shorter than it is", vec![Step::send(head(&short) + ANSWER)]),
        ("longer than it is", vec![Step::send(head(&long) + ANSWER), Step::Close]),
        ("two lengths", vec![Step::send(head(&twice) + ANSWER)]),
        ("a length below zero", vec![Step::send(head("content-length: -1\r\n") + ANSWER)]),
        ("a chunk without a size", vec![Step::send(head("transfer-encoding: chunked\r\n") + "zz\r\n" + ANSWER)]),
        (
            "chunks that stop",
            vec![Step::send(head("transfer-encoding: chunked\r\n") + &chunk("{\"choices\":")), Step::Close],
        ),
        ("nothing", vec![Step::send(head("content-length: 0\r\n"))]),
        ("no object", vec![Step::send(head("content-length: 4\r\n") + "null")]),
        ("half an object", vec![Step::send(head("content-length: 12\r\n") + "{\"choices\": [")]),
        ("a gzip bomb", vec![Step::Send(of_gzip)]),
        (
            "a head without end",
            vec![Step::send("HTTP/1.1 200 OK\r\n"), Step::Forever(b"x-more: and more and more and more\r\n".to_vec())],
        ),
        ("only interim heads", vec![Step::Forever(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec())]),
        ("a head byte by byte", vec![Step::Trickle(whole("").into_bytes(), Duration::from_millis(50))]),
        ("no answer", vec![Step::Wait(Duration::from_secs(60))]),
    ];
    for (what, steps) in cases {
        let raw = before_a_good_one(&app, &vendor, steps).await;
        for stream in [false, true] {
            let (asked, served, begun) = (raw.requests(), vendor.requests("ok"), Instant::now());

            let answer = app.admin().post("/llm/v1/chat/completions", &chat(stream)).await.expect(200);

            assert_eq!(answer.text.matches(" word").count(), 6, "{what}: {}", answer.text);
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", begun.elapsed());
            assert_eq!(vendor.requests("ok"), served + 1, "{what}");
            assert!(raw.requests() <= asked + 1, "{what}: sent {} times", raw.requests() - asked);
        }
    }
    assert_eq!(elsewhere.requests(), 0, "a redirect was followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_heads_are_passed_over() {
    let (app, vendor) = house().await;
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"] {
        let raw = before_a_good_one(&app, &vendor, vec![Step::send(interim.repeat(3)), Step::send(whole(""))]).await;

        let answer = app.admin().post("/llm/v1/chat/completions", &chat(false)).await.expect(200);

        assert_eq!(answer.json()["choices"][0]["message"]["content"], "of the raw one");
        assert!(answer.header("link").is_empty());
        assert_eq!((raw.requests(), vendor.requests("ok")), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_an_answer_is_no_answer_to_the_next() {
    let (app, vendor) = house().await;
    let planted = whole("").replace("of the raw one", "of another!!!!");
    let raw = before_a_good_one(&app, &vendor, vec![Step::send(whole("") + &planted)]).await;

    for _ in 0..6 {
        let answer = app.admin().post("/llm/v1/chat/completions", &chat(false)).await.expect(200);
        assert!(!answer.text.contains("of another"), "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }

    assert!(raw.requests() >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_goes_wrong_after_its_first_event_is_told_and_never_sent_again() {
    let (app, vendor) = house().await;
    let first = || Step::send(events() + &chunk(EVENT));
    let pause = || Step::Wait(Duration::from_millis(60));
    let slow = |text: &str| Step::Trickle(text.as_bytes().to_vec(), Duration::from_millis(100));
    let cases: Vec<(&str, Vec<Step>)> = vec![
        ("reset", vec![first(), pause(), Step::Reset]),
        ("closed", vec![first(), pause(), Step::Close]),
        ("reset within an event", vec![first(), Step::send(chunk(&EVENT[..50])), pause(), Step::Reset]),
        ("ended without an end", vec![first(), pause(), Step::send("0\r\n\r\n")]),
        ("a chunk without a size", vec![first(), pause(), Step::send("zz\r\n")]),
        ("silent", vec![first(), Step::Wait(Duration::from_secs(60))]),
        ("an event byte by byte", vec![first(), slow(&chunk(&EVENT.repeat(40)))]),
        ("events without end", vec![first(), Step::Forever(chunk(EVENT).into_bytes())]),
        ("an event without end", vec![first(), Step::Forever(chunk(&"a".repeat(1 << 16)).into_bytes())]),
        ("a chunk of all there is", vec![first(), Step::send("ffffffffffffffff\r\n"), pause(), Step::Close]),
    ];
    for (what, steps) in cases {
        let raw = before_a_good_one(&app, &vendor, steps).await;
        let begun = Instant::now();

        let request = app.admin().request(reqwest::Method::POST, "/llm/v1/chat/completions");
        let mut response = request.json(&chat(true)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{what}");
        let (mut length, mut tail) = (0, Vec::new());
        let ended_well = loop {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    length += piece.len();
                    tail.extend_from_slice(&piece);
                    let kept = tail.len().saturating_sub(4_096);
                    tail.drain(..kept);
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };

        let tail = String::from_utf8_lossy(&tail).into_owned();
        println!("{what}: {length} bytes in {:?}", begun.elapsed());
        assert!(!ended_well, "{what}: it must not look whole");
        let whole = tail.find("\n\n").map_or(0, |at| at + 2);
        let told = read_events(&tail[if length > tail.len() { whole } else { 0 }..]);
        assert!(told.last().unwrap()["error"]["message"].is_string(), "{what}: {tail}");
        assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", begun.elapsed());
        assert_eq!((raw.requests(), vendor.requests("ok")), (1, 0), "{what}: sent again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_byte_by_byte_ends_at_its_time() {
    let (app, vendor) = house().await;
    let steps = vec![
        Step::send(head("content-length: 5000\r\n")),
        Step::Trickle(vec![b' '; 5_000], Duration::from_millis(100)),
    ];
    let raw = before_a_good_one(&app, &vendor, steps).await;
    let begun = Instant::now();

    let answer = app.admin().post("/llm/v1/chat/completions", &chat(false)).await;

    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    // The time of a request is one for all its attempts: whether another fits depends on what is left.
    assert!([200, 503, 504].contains(&answer.status), "{}", answer.text);
    assert_eq!(raw.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rest_backend_packed_goes_on_as_it_is() {
    let (app, _) = house().await;
    let bomb = packed(64 << 20);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    answer.extend_from_slice(&bomb);
    let raw = RawVendor::start(vec![Step::Send(answer)]).await;
    install(&app, rest(&raw));

    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let request = client.get(format!("{}/rest/default/raw/bomb", app.url)).bearer_auth(&app.admin_key);
    let answer = request.send().await.unwrap();

    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.bytes().await.unwrap(), bomb);
}

/// A route to a REST API of this name.
fn rest(raw: &RawVendor) -> Parts {
    let pool = PoolSettings { members: vec![Member::new("raw")], ..PoolSettings::default() };
    let settings = RouteSettings {
        title: String::new(),
        serves: Serves::Rest("default/raw".to_owned()),
        pool: "raw".to_owned(),
        asset: None,
        dialects: Vec::new(),
        policies: Vec::new(),
        callers: Callers::Everyone,
        disabled: false,
    };
    parts()
        .with_backend("raw", BackendSettings::new(Provider::Rest, raw.url()))
        .with_pool("raw", pool)
        .with_route("raw", settings)
}

/// A request for a stream of so many words.
fn stream_of(app: &TestApp, words: u64) -> http::Request<Full<Bytes>> {
    let mut asking = chat(true);
    asking["max_tokens"] = words.into();
    http::Request::post(format!("{}/llm/v1/chat/completions", app.url))
        .header("authorization", format!("Bearer {}", app.admin_key))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(asking.to_string())))
        .unwrap()
}

/// One stream over HTTP/2, with the connection it is on.
async fn over_http2(app: &TestApp) -> (hyper::client::conn::http2::SendRequest<Full<Bytes>>, hyper::body::Incoming) {
    let tcp = tokio::net::TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(stream_of(app, 60)).await.unwrap();
    assert_eq!(response.status(), 200);
    (sender, response.into_body())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_its_stream_leaves_and_the_others_of_its_connection_go_on() {
    let (app, vendor) = house().await;
    let slow = backend(&vendor, Provider::Openai, "pace-20");
    install(&app, route(parts(), "fast", &[("one", slow)]));

    let (mut sender, mut left) = over_http2(&app).await;
    let stays = sender.send_request(stream_of(&app, 60)).await.unwrap().into_body();
    left.frame().await.unwrap().unwrap();
    // What is dropped is reset (RFC 9113, 6.4).
    drop(left);

    let text = stays.collect().await.unwrap().to_bytes();
    assert_eq!(memchr::memmem::find_iter(&text, b" word").count(), 60);
    let given_up = vendor.seen.given_up.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(given_up, 1, "the vendor of the one that was reset sees that nobody waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_it_is_leaving_still_gets_its_stream() {
    let (app, vendor) = house().await;
    let slow = backend(&vendor, Provider::Openai, "pace-20");
    install(&app, route(parts(), "fast", &[("one", slow)]));

    let (sender, mut body) = over_http2(&app).await;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    // With no more to send, the client says GOAWAY (RFC 9113, 6.8) and reads on.
    drop(sender);

    let text = [first, body.collect().await.unwrap().to_bytes()].concat();
    assert_eq!(memchr::memmem::find_iter(&text, b" word").count(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_opens_its_window_holds_no_backend() {
    let (app, vendor) = house_with(&[("WHARFINGER_WRITE_TIMEOUT", "500ms")]).await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "pace-20"))]));
    let tcp = tokio::net::TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let mut narrow = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    narrow.initial_stream_window_size(16).keep_alive_interval(Duration::from_millis(100)).timer(TokioTimer::new());
    let (mut sender, connection) = narrow.handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);

    // Its head comes, and of its body nothing is read.
    let response = sender.send_request(stream_of(&app, 400)).await.unwrap();

    let begun = Instant::now();
    while vendor.seen.given_up.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(4), "the backend is still held");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(response);
}
