//! Bad input, several hundred kinds of it: refused in time, with a problem that says why wherever the application
//! answers, never with a 5xx, never twice, and without leaving anything behind.

mod bodies;
mod framing;
mod targets;

use crate::support::{Home, Program, TestApp, fresh_database_url};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wharfinger::embed::Embedder;

/// Longer than any timeout of the settings below; an answer that is not there by then is a hang.
const PATIENCE: Duration = Duration::from_secs(5);
const SETTINGS: &[(&str, &str)] = &[
    ("WHARFINGER_HEADER_TIMEOUT", "1s"),
    ("WHARFINGER_FIRST_BYTE_TIMEOUT", "1s"),
    ("WHARFINGER_BODY_IDLE_TIMEOUT", "1s"),
];

/// What must come of a case.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// A problem of this status from the application.
    Problem(&'static [u16]),
    /// At most one answer, and it is a refusal; or none and the connection closes.
    Refused,
    /// Anything but a 5xx: the input is odd, and legal.
    Harmless,
}

/// A connection that is silent so long after an answer is kept for the next request.
const KEPT_ALIVE: Duration = Duration::from_millis(700);

/// Bytes for a connection, and what must come of them.
struct Case {
    what: String,
    bytes: Vec<u8>,
    outcome: Outcome,
}

impl Case {
    fn new(what: impl Into<String>, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Self {
        Self { what: what.into(), bytes: bytes.into(), outcome }
    }
}

/// A whole request with the headers every good one has.
fn request(key: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    bytes.extend_from_slice(format!("Authorization: Bearer {key}\r\n").as_bytes());
    if !body.is_empty() || !["GET", "HEAD"].contains(&method) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Tries a case; gives what was wrong with its outcome.
async fn breach(address: &str, case: &Case) -> Option<String> {
    let answer = match tokio::time::timeout(PATIENCE, converse(address, &case.bytes)).await {
        Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
        Err(_) => return Some(format!("{}: no end after {PATIENCE:?}", case.what)),
    };
    let wrong =
        |reason: &str| Some(format!("{}: {reason}: {}", case.what, answer.chars().take(400).collect::<String>()));
    let statuses: Vec<u16> = answer
        .match_indices("HTTP/1.1 ")
        .filter(|(at, _)| *at == 0 || answer[..*at].ends_with('\n'))
        .filter_map(|(at, _)| answer.get(at + 9..at + 12)?.parse().ok())
        .filter(|status| *status != 100)
        .collect();
    if statuses.iter().any(|status| *status >= 500) {
        return wrong("a 5xx");
    }
    match case.outcome {
        Outcome::Harmless => None,
        Outcome::Refused if statuses.len() > 1 => wrong("answered twice"),
        Outcome::Refused if statuses.iter().any(|status| *status < 400) => wrong("served"),
        Outcome::Refused => None,
        Outcome::Problem(expected) => match statuses.as_slice() {
            [status] if expected.contains(status) => {
                let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
                let is_problem = head.to_ascii_lowercase().contains("content-type: application/problem+json");
                let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
                if !is_problem || problem["status"] != *status {
                    return wrong("no problem+json");
                }
                let leaks = ["panicked", "src/", "sqlx", "SQLSTATE", "select ", "at line 0"];
                if leaks.iter().any(|leak| body.contains(leak)) { wrong("tells of our insides") } else { None }
            }
            _ => wrong("another status"),
        },
    }
}

/// Sends all and reads until the other side closes, or has answered and waits for the next request.
async fn converse(address: &str, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let mut answer = Vec::new();
    // A refusal may come, and the connection end, before all is sent.
    let sending = async {
        writer.write_all(bytes).await.ok();
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut piece = [0; 16 * 1024];
        loop {
            let more = reader.read(&mut piece);
            let count = match answer.is_empty() {
                true => more.await.unwrap_or(0),
                false => tokio::time::timeout(KEPT_ALIVE, more).await.map_or(0, |read| read.unwrap_or(0)),
            };
            if count == 0 {
                return;
            }
            answer.extend_from_slice(&piece[..count]);
        }
    };
    tokio::select! {
        () = sending => {}
        () = reading => {}
    }
    answer
}

/// Tries all cases, a few at a time, and fails with all that went wrong.
async fn try_all(address: &str, cases: &[Case]) {
    use futures::StreamExt;
    let tried = futures::stream::iter(cases).map(|case| breach(address, case)).buffer_unordered(8);
    let breaches: Vec<String> = tried.filter_map(|breach| async { breach }).collect().await;
    assert!(breaches.is_empty(), "{} of {} cases:\n{}", breaches.len(), cases.len(), breaches.join("\n\n"));
}

async fn app() -> (TestApp, String) {
    let app = TestApp::start_with(SETTINGS, Embedder::hashed()).await;
    let address = app.url.trim_start_matches("http://").to_owned();
    (app, address)
}

#[tokio::test]
async fn ambiguous_or_broken_framing_is_never_served() {
    let (_app, address) = app().await;
    try_all(&address, &framing::cases()).await;
}

#[tokio::test]
async fn targets_and_queries_that_mean_nothing_are_told_so() {
    let (app, address) = app().await;
    try_all(&address, &targets::cases(&app.admin_key)).await;
}

#[tokio::test]
async fn bodies_that_cannot_be_taken_are_told_where_and_why() {
    let (app, address) = app().await;
    try_all(&address, &bodies::cases(&app.admin_key)).await;
}

#[tokio::test]
async fn all_of_it_leaves_the_program_as_it_was() {
    let (home, url) = (Home::new("bad-input"), fresh_database_url(true).await);
    let mut settings = SETTINGS.to_vec();
    settings.extend([("WHARFINGER_DATA_DIR", home.text()), ("WHARFINGER_DATABASE_URL", url.as_str())]);
    // A model that is loaded beside the first rounds would be counted.
    settings.push(("WHARFINGER_MODEL_DIR", home.text()));
    let program = Program::serve(&settings).await;
    let key = program.admin_key.clone().unwrap();
    let address = program.url.trim_start_matches("http://").to_owned();
    let cases: Vec<Case> =
        [framing::cases(), targets::cases(&key), bodies::cases(&key)].into_iter().flatten().collect();
    assert!(cases.len() >= 200, "{} cases", cases.len());

    // The first round fills caches and pools that every program has after a while.
    try_all(&address, &cases).await;
    let before = resident(program.child.id().unwrap());
    for _ in 0..2 {
        try_all(&address, &cases).await;
    }
    let after = resident(program.child.id().unwrap());

    // The largest documents take twenty megabytes while they are read, which the allocator gives back by and by.
    assert!(after.saturating_sub(before) < 32 << 20, "{before} -> {after} bytes resident");
    assert_eq!(program.http.get(format!("{}/readyz", program.url)).send().await.unwrap().status(), 200);
    assert!(program.stop().await.0);
}

/// Bytes of memory a process holds, without those of files, which the system gives and takes as it sees fit; nothing where
/// /proc is not.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
