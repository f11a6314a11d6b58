//! The vendor of the benchmarks: answers as fast as it can, a thousand bytes whole or a hundred events as a stream.
//!
//!     cargo run --release --example mock_vendor -- 9000 600
//!
//! It ends by itself after so many seconds. What it answers is made once; it reads no more of a request than its length
//! and whether a stream is asked for.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of a stream.
const EVENTS: usize = 100;
/// The time between the events of a stream that its request (`"user":"hold"`) asks to be held open.
const HOLD: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(9000);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(600);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let serving = async {
        loop {
            if let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp));
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), serving).await.unwrap_or(());
    Ok(())
}

async fn serve(mut tcp: TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let (whole, events) = (whole(), events());
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let (head, length) = loop {
            if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                let length = content_length(&buffer[..end]);
                if buffer.len() >= end + 4 + length {
                    break (end + 4, length);
                }
            }
            if tcp.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let body = &buffer[head..head + length];
        let is_held = memchr::memmem::find(body, b"\"user\":\"hold\"").is_some();
        let is_stream = memchr::memmem::find(body, b"\"stream\":true").is_some();
        buffer.drain(..head + length);
        if is_stream {
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            for event in &events {
                tcp.write_all(event).await?;
                if is_held {
                    tokio::time::sleep(HOLD).await;
                }
                // Each event on its own way, as a model makes them.
                tokio::task::yield_now().await;
            }
        } else {
            tcp.write_all(&whole).await?;
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:").map(str::trim).map(str::to_owned));
    line.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn whole() -> Vec<u8> {
    let text = " word".repeat(120);
    let body = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":230,"completion_tokens":120,"total_tokens":350}}}}"#
    );
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// As chunks of HTTP/1.1.
fn events() -> Vec<Vec<u8>> {
    let chunk = |choices: &str, usage: &str| {
        let data = format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":{choices},"usage":{usage}}}"#
        );
        let event = format!("data: {data}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
    };
    let word = chunk(r#"[{"index":0,"delta":{"content":" word"},"finish_reason":null}]"#, "null");
    let mut events = vec![word; EVENTS - 2];
    events.push(chunk(r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#, "null"));
    events.push(chunk("[]", r#"{"prompt_tokens":230,"completion_tokens":98,"total_tokens":328}"#));
    events.push(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n".to_vec());
    events
}
