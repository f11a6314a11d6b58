//! A load at a fixed rate, for latencies: requests are sent when they are due, and their time runs from then on.
//!
//!     paced_load 127.0.0.1:8080 /llm/v1/chat/completions body.json KEY RATE CONNECTIONS SECONDS
//!
//! Prints how many were answered, how many were not, and the latencies p50 and p99 in milliseconds.

use std::error::Error;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, file, key, rate, connections, seconds] = arguments.as_slice() else {
        return Err("see the head of this file for the arguments".into());
    };
    let body = std::fs::read_to_string(file)?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let connections: u32 = connections.parse()?;
    let every = Duration::from_secs_f64(f64::from(connections) / rate.parse::<f64>()?);
    let begin = Instant::now() + Duration::from_millis(200);
    let end = begin + Duration::from_secs(seconds.parse()?);
    let running: Vec<_> = (0..connections)
        .map(|at| {
            let first = begin + every * at / connections;
            tokio::spawn(one_connection(address.clone(), request.clone(), first, every, end))
        })
        .collect();
    let (mut latencies, mut failed) = (Vec::new(), 0);
    for connection in running {
        let (answered, not) = connection.await?;
        latencies.extend(answered);
        failed += not;
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!("{} {failed} {:.4} {:.4}", latencies.len(), at(0.5), at(0.99));
    Ok(())
}

/// The latencies of a connection's requests, and how many had no good answer.
async fn one_connection(
    address: String,
    request: String,
    mut due: Instant,
    every: Duration,
    end: Instant,
) -> (Vec<Duration>, u32) {
    let (mut latencies, mut failed) = (Vec::new(), 0);
    let Ok(mut tcp) = TcpStream::connect(&address).await else { return (latencies, 1) };
    if tcp.set_nodelay(true).is_err() {
        return (latencies, 1);
    }
    let mut buffer = Vec::with_capacity(64 * 1024);
    while due < end {
        sleep_until(due).await;
        if tcp.write_all(request.as_bytes()).await.is_err() {
            return (latencies, failed + 1);
        }
        match answer(&mut tcp, &mut buffer).await {
            Some(true) => latencies.push(due.elapsed()),
            Some(false) => failed += 1,
            None => return (latencies, failed + 1),
        }
        due += every;
    }
    (latencies, failed)
}

/// Whether the answer was good; none when it cannot be read.
async fn answer(tcp: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<bool> {
    buffer.clear();
    loop {
        if tcp.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        let Some(head) = memchr::memmem::find(buffer, b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let whole = match length {
            Some(length) => buffer.len() >= head + 4 + length,
            None => buffer.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            return Some(text.starts_with("http/1.1 200"));
        }
    }
}
