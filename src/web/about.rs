//! What this is, for people who look behind the pages: the ways in for programs, and the state of the service.

use super::layout::{Layout, page};
use super::ways_in::WaysIn;
use super::words;
use crate::auth::Auth;
use crate::base::{Clock, Database};
use crate::catalog::Catalog;
use crate::door::{Failure, Liveness};
use crate::gateway::policy::Services;
use crate::search::{Readiness, Search};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use time::OffsetDateTime;

#[derive(Template)]
#[template(path = "about.html")]
struct About {
    layout: Layout,
    ways_in: WaysIn,
}

/// `GET /about`.
pub(super) async fn about(layout: Layout) -> Result<Response, Failure> {
    page(&About { ways_in: WaysIn::to(&layout.public_url), layout })
}

#[derive(Template)]
#[template(path = "status.html")]
struct Status {
    layout: Layout,
    parts: Vec<Part>,
    at: OffsetDateTime,
}

/// A part of the service, and how it is.
struct Part {
    name: &'static str,
    /// `ok`, `warn` or `bad`, beside the word.
    class: &'static str,
    word: &'static str,
    /// What follows from it for the reader.
    meaning: String,
}

impl Status {
    fn worst(&self) -> &Part {
        let rank = |part: &&Part| ["ok", "warn", "bad"].iter().position(|class| *class == part.class);
        self.parts.iter().max_by_key(rank).expect("the database is always among the parts")
    }
}

/// `GET /status`. Answers 503 when the service cannot do its work, like `/readyz`.
pub(super) async fn status(
    layout: Layout,
    State(db): State<Database>,
    State(catalog): State<Catalog>,
    State(search): State<Search>,
    State(auth): State<Auth>,
    State(services): State<Services>,
    State(liveness): State<Liveness>,
    State(clock): State<Clock>,
) -> Result<Response, Failure> {
    let mut parts = vec![match db.ping().await {
        Ok(()) => {
            let counts = catalog.counts(&layout.actor).await?;
            let total: i64 = counts.kinds.iter().map(|(_, count)| count).sum();
            let meaning = format!(
                "{} with {} that you can see.",
                words::count(total, "asset", "assets"),
                words::count(counts.operations, "tool or operation", "tools and operations"),
            );
            Part { name: "Record", class: "ok", word: "Ready", meaning }
        }
        Err(_) => Part {
            name: "Record",
            class: "bad",
            word: "Away",
            meaning: "The database does not answer: nothing can be read or written until it does.".to_owned(),
        },
    }];
    let is_away = parts[0].class == "bad";
    if !is_away {
        let state = search.status().await?;
        parts.push(lexical(state.lexical));
        parts.push(semantic(state.semantic, state.pending > 0));
    }
    if services.limits.store_answers().await == Some(false) {
        let meaning = "Redis does not answer: limits go by what each replica holds, and no answers are shared.";
        parts.push(Part { name: "Sharing among replicas", class: "warn", word: "Away", meaning: meaning.to_owned() });
    }
    let failing: Vec<_> = auth.failing_providers().collect();
    if !failing.is_empty() {
        let meaning = format!("No usable answer came from {}: nobody new signs in there.", failing.join(", "));
        parts.push(Part { name: "Sign-in", class: "warn", word: "Away", meaning });
    }
    if liveness.is_stopping() {
        let meaning = "This process finishes what it has begun and takes no new work.".to_owned();
        parts.push(Part { name: "Process", class: "warn", word: "Stopping", meaning });
    }
    let answer = page(&Status { layout, parts, at: clock.now() })?;
    Ok(if is_away { (StatusCode::SERVICE_UNAVAILABLE, answer).into_response() } else { answer })
}

fn lexical(state: Readiness) -> Part {
    let name = "Search by words";
    let part = |class, word, meaning: &str| Part { name, class, word, meaning: meaning.to_owned() };
    match state {
        Readiness::Ready => {
            part("ok", "Ready", "Words, beginnings of words and small slips of the keyboard find what is registered.")
        }
        Readiness::Rebuilding => {
            part("warn", "Being rebuilt", "The index is made again; the one before answers, or plain text comparison.")
        }
        Readiness::Loading | Readiness::Absent => {
            part("warn", "Loading", "The index is being read; until it is, texts are compared plainly.")
        }
    }
}

/// What is pending is told without its number: it counts what not everybody may see.
fn semantic(state: Readiness, is_pending: bool) -> Part {
    let name = "Search by meaning";
    let part = |class, word, meaning: &str| Part { name, class, word, meaning: meaning.to_owned() };
    match state {
        Readiness::Ready if is_pending => {
            part("warn", "Catching up", "Some assets are still to be read for their meaning; by words they are found.")
        }
        Readiness::Ready => part("ok", "Ready", "What is asked in other words than the documents use is found too."),
        Readiness::Loading | Readiness::Rebuilding => {
            part("warn", "Loading", "The embedding model is being read; until it is, the search goes by words only.")
        }
        Readiness::Absent => part(
            "warn",
            "Off",
            "There is no embedding model; the search goes by words only. The operator finds the reason at /readyz.",
        ),
    }
}
