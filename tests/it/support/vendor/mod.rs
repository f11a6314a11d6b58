//! A vendor of models that does as it is told: OpenAI's, Azure's and Anthropic's shapes, and every fault that is met.
//!
//! How it behaves is the first segment of the address a backend gives: `http://127.0.0.1:{port}/{mood}/v1`. A mood is `ok`
//! or a fault, with a number where it has one (`cut-3`); `silent+` before it keeps usage to itself. It counts what it was
//! asked and what it produced.

mod events;
mod mood;
mod shape;
mod stored;
mod stream;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::ListenerExt;
use http::{HeaderMap, header};
use mood::Mood;
use serde_json::Value;
use shape::{Shape, whole};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use stream::stream;

/// Prompt tokens of every request, as reported.
pub const PROMPT: u64 = 11;
/// Reply tokens where the request sets no bound.
pub const USUAL: u64 = 5;
/// What its token endpoint gives, `.../token`.
pub const ACCESS_TOKEN: &str = "CANARY-access-token-0f3c51";

/// What a vendor has seen and done.
#[derive(Default)]
pub struct Seen {
    /// Requests by mood.
    pub requests: Mutex<BTreeMap<String, u64>>,
    /// Values of all headers that carry credentials.
    pub credentials: Mutex<BTreeSet<String>>,
    /// All header names and values, and all bodies, as text.
    pub everything: Mutex<Vec<String>>,
    /// Reply tokens that were handed out.
    pub produced: AtomicU64,
    /// Streams whose reader left before their end.
    pub given_up: AtomicU64,
    /// Each chat, in the order in which they came.
    pub served: Mutex<Vec<Served>>,
    /// What was asked of responses that are stored: method, id and what follows it.
    pub stored: Mutex<Vec<String>>,
    /// Whether `everything` is kept; the load mock does not.
    pub keep: bool,
}

/// What became of a chat.
#[derive(Clone, Debug)]
pub struct Served {
    pub mood: String,
    /// What the request calls its `user`: stories mark their requests with it.
    pub mark: String,
    /// Reply tokens that were handed out.
    pub produced: u64,
    /// Whether it came to its end.
    pub is_whole: bool,
}

#[derive(Clone)]
pub struct Vendor {
    pub port: u16,
    pub seen: Arc<Seen>,
}

impl Vendor {
    /// Starts on a free port; it ends with the test's runtime.
    pub async fn start() -> Self {
        Self::start_on(0, true).await
    }

    pub async fn start_on(port: u16, keep: bool) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen { keep, ..Seen::default() });
        let service = service(&seen);
        tokio::spawn(async move { axum::serve(listener.tap_io(|tcp| drop(tcp.set_nodelay(true))), service).await });
        Self { port, seen }
    }

    /// The base of a backend's URL, in this mood.
    pub fn url(&self, mood: &str) -> String {
        format!("http://127.0.0.1:{}/{mood}", self.port)
    }

    pub fn requests(&self, mood: &str) -> u64 {
        self.seen.requests.lock().unwrap().get(mood).copied().unwrap_or(0)
    }

    pub fn produced(&self) -> u64 {
        self.seen.produced.load(Ordering::SeqCst)
    }
}

/// What answers; `seen` is told.
pub fn service(seen: &Arc<Seen>) -> Router {
    Router::new().fallback(answer).with_state(seen.clone())
}

async fn answer(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut segments = head.uri.path().trim_start_matches('/').split('/');
    let mood = segments.next().unwrap_or_default().to_owned();
    *seen.requests.lock().unwrap().entry(mood.clone()).or_default() += 1;
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    note(&seen, &head.headers, &bytes);
    let asked: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let place = seen.serve(&mood, &asked);
    let mood = Mood::of(&mood);
    if let Some(answer) = stored::answer(&seen, &head.method, &head.uri, &mood) {
        return answer;
    }
    let shape = Shape::of(head.uri.path());
    if let Some(fault) = mood.answer(shape, &head.headers).await {
        return fault;
    }
    match shape {
        Shape::Responses if asked["background"] == true && asked["stream"] != true => {
            json_answer(200, &stored::begun(&asked).to_string())
        }
        Shape::Chat | Shape::Responses | Shape::Messages if asked["stream"] == true => {
            stream(seen, place, shape, &asked, &mood)
        }
        _ => json_answer(200, &whole(&seen, place, shape, &asked, &mood, head.uri.path()).to_string()),
    }
}

fn json_answer(status: u16, body: &str) -> Response {
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    answer.body(Body::from(body.to_owned())).unwrap()
}

fn note(seen: &Seen, headers: &HeaderMap, body: &[u8]) {
    for name in ["authorization", "api-key", "x-api-key"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            let mut known = seen.credentials.lock().unwrap();
            if known.len() < 1_000 && !known.contains(value) {
                known.insert(value.to_owned());
            }
        }
    }
    if seen.keep {
        let text = format!("{headers:?} {}", String::from_utf8_lossy(body));
        seen.everything.lock().unwrap().push(text);
    }
}

impl Seen {
    /// Begins the note of a chat; gives its place.
    fn serve(&self, mood: &str, asked: &Value) -> usize {
        let mut served = self.served.lock().unwrap();
        if !self.keep {
            return 0;
        }
        let mark = asked["user"].as_str().unwrap_or_default().to_owned();
        served.push(Served { mood: mood.to_owned(), mark, produced: 0, is_whole: false });
        served.len() - 1
    }

    fn produce(&self, place: usize, tokens: u64, is_whole: bool) {
        self.produced.fetch_add(tokens, Ordering::SeqCst);
        if let Some(served) = self.served.lock().unwrap().get_mut(place) {
            served.produced += tokens;
            served.is_whole = is_whole;
        }
    }
}
