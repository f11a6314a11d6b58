//! A vendor of models that does as it is told: OpenAI's, Azure's and Anthropic's shapes, and every fault that is met.
//!
//! How it behaves is the first segment of the address a backend gives: `http://127.0.0.1:{port}/{mood}/v1`. A mood is `ok`
//! or a fault, with a number where it has one (`cut-3`); `silent+` before it keeps usage to itself. It counts what it was
//! asked and what it produced.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::ListenerExt;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

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

/// How it behaves: a fault, its number, and whether it keeps usage to itself.
struct Mood {
    fault: String,
    number: u64,
    silent: bool,
}

impl Mood {
    fn of(text: &str) -> Self {
        let silent = text.starts_with("silent");
        let text = text.strip_prefix("silent+").unwrap_or(text);
        let numbered = text.rsplit_once('-').and_then(|(fault, number)| Some((fault, number.parse().ok()?)));
        let (fault, number) = numbered.unwrap_or((text, 0));
        Self { fault: fault.to_owned(), number, silent }
    }
}

/// What answers; `seen` is told.
pub fn service(seen: &Arc<Seen>) -> Router {
    Router::new().fallback(answer).with_state(seen.clone())
}

/// The shape of an answer.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Chat,
    Responses,
    Embeddings,
    Messages,
    CountTokens,
    Models,
    Token,
    Other,
}

fn shape(path: &str) -> Shape {
    [
        ("/chat/completions", Shape::Chat),
        ("/responses", Shape::Responses),
        ("/embeddings", Shape::Embeddings),
        ("/count_tokens", Shape::CountTokens),
        ("/messages", Shape::Messages),
        ("/models", Shape::Models),
        ("/token", Shape::Token),
    ]
    .into_iter()
    .find(|(end, _)| path.ends_with(end))
    .map_or(Shape::Other, |(_, shape)| shape)
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
    let (fault, number) = (mood.fault.as_str(), mood.number);
    let shape = shape(head.uri.path());
    let plain = |status: u16, body: &str| {
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    const REFUSED: &str = r#"{"error":{"message":"the vendor's own words","type":"x"}}"#;
    match fault {
        "hang" => std::future::pending().await,
        "slow" => tokio::time::sleep(Duration::from_millis(number)).await,
        "status" => return plain(u16::try_from(number).unwrap(), REFUSED),
        "wait-s" | "wait-date" | "wait-ms" | "wait-bad" | "wait-reset" => {
            let mut response = plain(429, REFUSED);
            let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(number));
            let (name, value) = match fault {
                "wait-s" => ("retry-after", number.to_string()),
                "wait-date" => ("retry-after", date()),
                "wait-ms" => ("retry-after-ms", number.to_string()),
                "wait-reset" => ("x-ratelimit-reset-tokens", format!("{number}ms")),
                _ => ("retry-after", "soon".to_owned()),
            };
            response.headers_mut().insert(name, value.parse().unwrap());
            return response;
        }
        // As some vendors do, it repeats the credential that it refuses.
        "echo" if shape == Shape::Other => {
            let said = format!("{:?}", head.headers).replace("Sensitive", "");
            let first = head.headers.get("authorization").cloned().unwrap_or(http::HeaderValue::from_static("none"));
            return Response::builder().header("x-you-sent", first).body(Body::from(said)).unwrap();
        }
        "echo" => {
            let said = ["authorization", "api-key", "x-api-key"].map(|name| head.headers.get(name));
            let said: Vec<_> = said.into_iter().flatten().filter_map(|value| value.to_str().ok()).collect();
            let words = format!("Incorrect API key provided: {}.", said.join(" "));
            return plain(
                u16::try_from(number).unwrap(),
                &json!({"error": {"message": words, "type": "x"}}).to_string(),
            );
        }
        "json" => return plain(200, "{\"choices\": [nonsense"),
        "html" => {
            return Response::builder().header("content-type", "text/html").body(Body::from("<h1>hi</h1>")).unwrap();
        }
        "length" => {
            let body =
                Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{\"a\":"))]));
            return Response::builder()
                .header("content-length", "500")
                .header("content-type", "application/json")
                .body(body)
                .unwrap();
        }
        "gzip" => {
            let bomb = vec![0_u8; 1 << 20];
            return Response::builder()
                .header("content-encoding", "gzip")
                .header("content-type", "application/json")
                .body(Body::from(bomb))
                .unwrap();
        }
        _ => {}
    }
    match shape {
        Shape::Chat | Shape::Responses | Shape::Messages if asked["stream"] == true => {
            stream(seen, place, shape, &asked, &mood)
        }
        _ => plain(200, &whole(&seen, place, shape, &asked, &mood, head.uri.path()).to_string()),
    }
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

fn bound(asked: &Value) -> u64 {
    ["max_completion_tokens", "max_output_tokens", "max_tokens"]
        .iter()
        .find_map(|name| asked[*name].as_u64())
        .unwrap_or(USUAL)
}

/// The first tool that is offered is called.
fn tool(asked: &Value) -> Option<String> {
    let first = asked["tools"].get(0)?;
    first["function"]["name"].as_str().or_else(|| first["name"].as_str()).map(str::to_owned)
}

fn usage(fault: &str, output: u64, shape: Shape) -> Value {
    if fault == "lies" {
        return json!({"prompt_tokens": -4, "completion_tokens": "many"});
    }
    match shape {
        Shape::Chat => json!({"prompt_tokens": PROMPT, "completion_tokens": output, "total_tokens": PROMPT + output,
            "prompt_tokens_details": {"cached_tokens": 2}}),
        _ => json!({"input_tokens": PROMPT, "output_tokens": output, "total_tokens": PROMPT + output,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}),
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

fn whole(seen: &Seen, place: usize, shape: Shape, asked: &Value, mood: &Mood, path: &str) -> Value {
    let output = bound(asked);
    let text = " word".repeat(usize::try_from(output).unwrap());
    if matches!(shape, Shape::Chat | Shape::Responses | Shape::Messages) {
        seen.produce(place, output, true);
    }
    let model = &asked["model"];
    let mut answer = match shape {
        Shape::Chat => {
            let (message, finish) = match tool(asked) {
                None => (json!({"role": "assistant", "content": text, "refusal": null}), "stop"),
                Some(name) => {
                    let function = json!({"name": name, "arguments": "{\"city\":\"Cork\"}"});
                    let calls = json!([{"id": "call_1", "type": "function", "function": function}]);
                    (json!({"role": "assistant", "content": null, "tool_calls": calls}), "tool_calls")
                }
            };
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "system_fingerprint": "fp",
                "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}]})
        }
        Shape::Responses => response(model, &text, "completed"),
        Shape::Messages => {
            let (content, stop) = match tool(asked) {
                None => (json!([{"type": "text", "text": text}]), "end_turn"),
                Some(name) => (
                    json!([{"type": "tool_use", "id": "toolu_1", "name": name, "input": {"city": "Cork"}}]),
                    "tool_use",
                ),
            };
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
                "stop_reason": stop, "stop_sequence": null})
        }
        Shape::Embeddings => {
            return json!({"object": "list", "model": model, "usage": {"prompt_tokens": PROMPT, "total_tokens": PROMPT},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]});
        }
        Shape::CountTokens => return json!({"input_tokens": 42}),
        Shape::Models => {
            return json!({"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "v"}]});
        }
        Shape::Token => return json!({"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3_600}),
        Shape::Other => return json!({"path": path, "asked": asked}),
    };
    if !mood.silent {
        answer["usage"] = usage(&mood.fault, output, shape);
    }
    answer
}

fn response(model: &Value, text: &str, status: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    let output =
        json!([{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}]);
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": model, "output": output,
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "error": null, "incomplete_details": null,
        "instructions": null, "metadata": {}, "temperature": 1.0, "top_p": 1.0})
}

/// The events of a stream; each with how many tokens it hands out.
fn events(shape: Shape, asked: &Value, mood: &Mood) -> (Vec<String>, usize, Vec<String>) {
    let model = &asked["model"];
    let named = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let (tool, output) = (tool(asked), bound(asked));
    let (silent, fault) = (mood.silent, mood.fault.as_str());
    match shape {
        Shape::Chat => {
            let chunk = |delta: Value, finish: Value| {
                let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
                let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
                    "system_fingerprint": "fp", "choices": choices});
                format!("data: {chunk}\n\n")
            };
            let mut begin = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
            let mut end = Vec::new();
            if let Some(name) = &tool {
                let call = |call: Value| chunk(json!({"tool_calls": [call]}), Value::Null);
                begin.push(call(json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}})));
                begin.push(call(json!({"index": 0, "function": {"arguments": "{\"city\":"}})));
                begin.push(call(json!({"index": 0, "function": {"arguments": "\"Cork\"}"}})));
            }
            let finish = if tool.is_some() { "tool_calls" } else { "stop" };
            end.push(chunk(json!({}), finish.into()));
            if asked["stream_options"]["include_usage"] == true && !silent {
                let usage = usage(fault, output, shape);
                end.push(format!(
                    "data: {}\n\n",
                    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                    "model": model, "choices": [], "usage": usage})
                ));
            }
            end.push("data: [DONE]\n\n".to_owned());
            begin.push(chunk(json!({"content": " word"}), Value::Null));
            (begin, usize::from(tool.is_none()), end)
        }
        Shape::Responses => {
            let begin = vec![
                named(
                    json!({"type": "response.created", "sequence_number": 0, "response": response(model, "", "in_progress")}),
                ),
                named(json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1",
                    "output_index": 0, "content_index": 0, "delta": " word", "logprobs": []})),
            ];
            let mut done = response(model, &" word".repeat(usize::try_from(output).unwrap()), "completed");
            if !silent {
                done["usage"] = usage(fault, output, shape);
            }
            let end = vec![named(json!({"type": "response.completed", "sequence_number": 9, "response": done}))];
            (begin, 1, end)
        }
        _ => {
            let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": if silent { 0 } else { PROMPT }, "output_tokens": 1}});
            let mut begin = vec![named(json!({"type": "message_start", "message": message}))];
            let block = match &tool {
                None => json!({"type": "text", "text": ""}),
                Some(name) => json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}),
            };
            begin.push(named(json!({"type": "content_block_start", "index": 0, "content_block": block})));
            let delta = |delta: Value| named(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
            if tool.is_some() {
                begin.push(delta(json!({"type": "input_json_delta", "partial_json": "{\"city\":"})));
                begin.push(delta(json!({"type": "input_json_delta", "partial_json": "\"Cork\"}"})));
            }
            let stop = if tool.is_some() { "tool_use" } else { "end_turn" };
            let end = vec![
                named(json!({"type": "content_block_stop", "index": 0})),
                named(
                    json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": output}}),
                ),
                named(json!({"type": "message_stop"})),
            ];
            begin.push(delta(json!({"type": "text_delta", "text": " word"})));
            (begin, usize::from(tool.is_none()), end)
        }
    }
}

/// Counts a reader who leaves.
struct Leaving(Arc<Seen>, bool);

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.1 {
            self.0.given_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn stream(seen: Arc<Seen>, place: usize, shape: Shape, asked: &Value, mood: &Mood) -> Response {
    let (mut begin, repeats, end) = events(shape, asked, mood);
    // The last of the beginning is the piece of text; there is none beside a tool's call.
    let word = Bytes::from(begin.pop().unwrap());
    let words = if repeats == 0 { 0 } else { bound(asked) };
    let (fault, number, begin) = (mood.fault.clone(), mood.number, begin.concat());
    let pieces = async_stream::stream! {
        let mut leaving = Leaving(seen.clone(), false);
        yield Ok::<_, std::io::Error>(Bytes::from(begin));
        let mut sent = 0;
        loop {
            if sent == words && fault != "endless" {
                break;
            }
            match fault.as_str() {
                "cut" if sent == number => {
                    leaving.1 = true;
                    // What was yielded gets out first: a connection that ends drops what it has not sent. A cut before
                    // any word sends nothing at all.
                    if number > 0 {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    yield Err(std::io::Error::other("cut"));
                    return;
                }
                "fin" if sent == number => {
                    leaving.1 = true;
                    return;
                }
                "stall" if sent == number => std::future::pending::<()>().await,
                "pace" => tokio::time::sleep(Duration::from_millis(number)).await,
                _ => {}
            }
            sent += 1;
            seen.produce(place, 1, false);
            yield Ok(word.clone());
        }
        seen.produce(place, 0, true);
        for event in end {
            yield Ok(event.into());
        }
        leaving.1 = true;
    };
    Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")
        .header("x-request-id", "vendors-own-id")
        .body(Body::from_stream(pieces.boxed()))
        .unwrap()
}
