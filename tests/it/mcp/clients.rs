//! Real clients, as `scripts/setup test` installs them; where they are not there, the story says so and ends.

use super::harbour;
use crate::support::visit;

/// Runs a script of `tests/clients` against a server of its own.
async fn visited_by(script: &'static str) {
    let app = harbour().await;
    // By the name that pages on the same machine use: the suite judges a server by its host.
    visit(script, &[&format!("{}/mcp", app.url.replace("127.0.0.1", "localhost"))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_suite_finds_nothing_wrong_in_either_era() {
    visited_by("mcp-conformance").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inspector_lists_and_calls_in_either_era() {
    visited_by("mcp-inspector").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_lists_and_calls_in_every_mode() {
    visited_by("mcp-python").await;
}
