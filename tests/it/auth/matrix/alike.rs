//! What is hidden and what was never given cannot be told apart: the same answer, byte for byte but for the name, and the
//! same statements to the database in the same order, so that the time taken tells nothing either.

use super::scene::{Asker, Spot, askers, spots};
use super::{rows, sent};
use crate::support::{Answer, TestApp};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use wharfinger::auth::Role;

/// What the database was asked, in order: sqlx tells every statement it executes.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Text {
    summary: String,
    whole: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = Text::default();
            event.record(&mut text);
            // When a key was last used is noted beside the request, and no answer waits for it.
            if !text.summary.contains("api_key_use") {
                self.0.lock().unwrap().push(format!("{}{}", text.summary, text.whole));
            }
        }
    }
}

impl Statements {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The status, the text, and the statements before it.
type Told = (u16, String, Vec<String>);

/// What of the two is not alike, each time they are asked: a notice that comes in between costs statements of its own, and so
/// does a task beside the request, but not four times; what gives the hidden away does so every time.
async fn unlike(spots: [&Spot; 2], mut ask: impl AsyncFnMut(&Spot, usize) -> Told) -> Option<String> {
    for turn in 1.. {
        let (hidden, absent) = (ask(spots[0], turn).await, ask(spots[1], turn).await);
        if hidden == absent {
            break;
        }
        if turn == 4 {
            return Some(format!("  {hidden:?}\n  {absent:?}"));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    None
}

/// An answer without what differs between any two: the names that were asked for, and the request's id.
fn told(answer: &Answer, spot: &Spot, asked: Vec<String>) -> Told {
    let request = answer.header("x-request-id");
    assert!(!request.is_empty());
    let mut text = answer.text.replace(request, "REQUEST");
    for id in spot.ids() {
        text = text.replace(id, "ID");
    }
    (answer.status, text.replace("fault", "vault").replace("lost-", "gone-"), asked)
}

// One thread, so that what the program does for a request is told to this test's subscriber.
#[tokio::test]
async fn what_is_hidden_answers_as_what_was_never_given_after_the_same_statements() {
    let statements = Statements::default();
    let _told = tracing_subscriber::registry().with(statements.clone()).set_default();
    let app = TestApp::start().await;
    app.group("crew", &["nobody"]).await;
    let hidden = spots(&app).await.pop().unwrap();
    assert_eq!(hidden.workspace, "vault");
    let absent = Spot::absent();
    assert_eq!(hidden.workspace.len() + hidden.name.len(), absent.workspace.len() + absent.name.len());
    let askers = askers(&app).await;
    let asks = |asker: &&Asker<'_>| {
        asker.anonymous || matches!(asker.role, None | Some(Role::Publisher | Role::Administrator)) && !asker.root
    };
    let (mut wrong, mut compared, mut seen) = (Vec::new(), 0, 0);

    for row in rows() {
        let (method, pattern, body, needs) = row;
        let in_path = ["{workspace}", "{name}", "{approval}"].iter().any(|part| pattern.contains(part));
        if !in_path && !["ASSET", "WORKSPACE"].iter().any(|part| body.contains(part)) {
            continue;
        }
        for asker in askers.iter().filter(asks) {
            // Only where somebody is refused: what is open to all, or judged by its proof, hides nothing.
            if needs.answer(asker, &hidden).is_none_or(|status| status == 200) {
                continue;
            }
            let differ = unlike([&hidden, &absent], async |spot, turn| {
                let path = spot.fill(&app, method, pattern, &format!("{compared}-{turn}")).await;
                // Whoever asks is known from memory, as in steady state.
                asker.person.get("/api/v1/me").await;
                statements.take();
                let answer = sent(row, spot, asker, &path, "1").await;
                let asked = statements.take();
                seen += asked.len();
                told(&answer, spot, asked)
            });
            if let Some(how) = differ.await {
                wrong.push(format!("{method} {pattern} {body} as {}:\n{how}", asker.label));
            }
            compared += 1;
        }
    }
    for tool in ["describe_asset", "get_definition", "list_versions", "connect", "search_catalog"] {
        for asker in askers.iter().filter(asks) {
            let differ = unlike([&hidden, &absent], async |spot, _| {
                let name = if tool == "search_catalog" { "query" } else { "name" };
                let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {"name": tool, "arguments": {name: spot.name}}});
                let request = asker.person.request(reqwest::Method::POST, "/mcp").json(&message);
                let request = request.header("accept", "application/json, text/event-stream");
                asker.person.get("/api/v1/me").await;
                statements.take();
                let answer = asker.person.send(request.header("mcp-protocol-version", "2025-11-25")).await;
                told(&answer, spot, statements.take())
            });
            if let Some(how) = differ.await {
                wrong.push(format!("{tool} as {}:\n{how}", asker.label));
            }
            compared += 1;
        }
    }

    assert!(seen > compared, "statements are seen: {seen} in {compared} comparisons");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{compared} pairs of answers alike, after {seen} statements");
}
