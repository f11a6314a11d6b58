//! A load at a fixed rate, for latencies: requests are sent when they are due, and their time runs from then on.
//!
//!     paced_load 127.0.0.1:8080 /llm/v1/chat/completions body.json KEY RATE CONNECTIONS SECONDS
//!
//! Prints how many were answered, how many were not, and the latencies p50 and p99 in milliseconds.
//!
//! A thread for each connection, which sleeps until its next request is due: the timer of an asynchronous runtime goes by
//! whole milliseconds, so that all that is due in one would be sent at once and its latency be that of a queue.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

/// A request without an answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
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
    let (mut latencies, mut failed) = (Vec::new(), 0);
    thread::scope(|scope| {
        let (address, request) = (address.as_str(), request.as_str());
        let start = |at: u32| {
            scope.spawn(move || one_connection(address, request, begin + every * at / connections, every, end))
        };
        let running: Vec<_> = (0..connections).map(start).collect();
        for connection in running {
            let (answered, not) = connection.join().expect("a connection counts its errors");
            latencies.extend(answered);
            failed += not;
        }
    });
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!("{} {failed} {:.4} {:.4}", latencies.len(), at(0.5), at(0.99));
    Ok(())
}

/// The latencies of a connection's requests, and how many had no good answer.
fn one_connection(
    address: &str,
    request: &str,
    mut due: Instant,
    every: Duration,
    end: Instant,
) -> (Vec<Duration>, u32) {
    let (mut latencies, mut failed) = (Vec::new(), 0);
    // The system may wake a sleeper this much late: 50 us if nothing is said.
    if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000)) {
        eprintln!("latencies are some 50 us too long: {error}");
    }
    let connected = TcpStream::connect(address).and_then(|tcp| {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        Ok(tcp)
    });
    let Ok(mut tcp) = connected else { return (latencies, 1) };
    let mut buffer = Vec::with_capacity(64 * 1024);
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let answered = tcp.write_all(request.as_bytes()).is_ok().then(|| answer(&mut tcp, &mut buffer)).flatten();
        match answered {
            Some(true) => latencies.push(due.elapsed()),
            Some(false) => failed += 1,
            None => return (latencies, failed + 1),
        }
        due += every;
    }
    (latencies, failed)
}

/// Whether the answer was good; none when it cannot be read.
fn answer(tcp: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<bool> {
    let mut piece = [0; 16 * 1024];
    buffer.clear();
    loop {
        let length = tcp.read(&mut piece).ok().filter(|length| *length > 0)?;
        buffer.extend_from_slice(&piece[..length]);
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
