//! What a `server.json` must satisfy: the published JSON schema, and what the official registry asks beyond it.
//!
//! The schema's rules are written out here by hand, one function an object, so that a breach is told in words that
//! help and next to the rules of meaning about the same field. `tests/it/server_json.rs` holds them against the schema.

mod found;
mod input;
mod package;
mod server;
mod text;
mod transport;

pub use found::{Issue, IssueKind};

use crate::wire::Severity;
use found::{Found, Place};
use serde_json::Value;

/// The dates of the schemas a document may name, oldest first.
pub const ACCEPTED_SCHEMAS: [&str; 6] =
    ["2025-07-09", "2025-09-16", "2025-09-29", "2025-10-11", "2025-10-17", NEWEST_SCHEMA];
/// The date of the newest published schema, whose rules are the ones checked.
pub const NEWEST_SCHEMA: &str = "2025-12-11";

const SCHEMA_PREFIX: &str = "https://static.modelcontextprotocol.io/schemas/";
const SCHEMA_SUFFIX: &str = "/server.schema.json";

/// For what a document is read, which decides how strict the rules are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Someone publishes it and can mend it: every rule holds.
    Published,
    /// It comes from elsewhere as it is. What the official registry itself let pass in earlier days, a missing
    /// `$schema` or an empty `repository`, is a warning then.
    Imported,
}

/// The address of the schema of `date`.
#[must_use]
pub fn schema_url(date: &str) -> String {
    format!("{SCHEMA_PREFIX}{date}{SCHEMA_SUFFIX}")
}

/// Everything that breaks a rule or is worth a word, in the order of the document's fields.
#[must_use]
pub fn check(document: &Value, reading: Reading) -> Vec<Issue> {
    let mut found = Found::new(reading);
    match document.as_object() {
        Some(map) => server::check(&mut found, Place::root(map)),
        None => found.schema("", "server", "a server.json is a JSON object"),
    }
    found.issues
}

/// Whether nothing among `issues` is an error.
#[must_use]
pub fn is_valid(issues: &[Issue]) -> bool {
    issues.iter().all(|issue| issue.severity != Severity::Error)
}

/// The date in the address of a schema, known or not; a fragment behind the address is passed over.
pub(super) fn schema_date(url: &str) -> Option<&str> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    url.strip_prefix(SCHEMA_PREFIX)?.strip_suffix(SCHEMA_SUFFIX)
}

#[cfg(test)]
mod tests;
