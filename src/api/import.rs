//! Importing many: JSON lines are read as they arrive and stored in batches; a rejected line loses no other.

use crate::auth::{Actor, Permission};
use crate::base::{FieldError, HttpClient, Slug};
use crate::catalog::{Catalog, Imported, Outcome};
use crate::door::{Caller, Failure, Query, fetch_for_line, problem_of_body};
use axum::body::Body;
use axum::extract::State;
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Lines stored in one transaction.
const BATCH_LINES: usize = 100;
/// A batch is stored early when its lines are long.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The longest line.
const MAX_LINE: usize = 4 * 1024 * 1024;
/// More rejected lines are counted and not listed.
const MAX_LISTED: usize = 10_000;

/// How the lines are taken.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Where lines go that name no workspace; `default` where not said.
    #[param(value_type = Option<String>, min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    workspace: Option<Slug>,
    /// Tells what would happen and stores nothing.
    #[param(default = false)]
    dry_run: Option<bool>,
}

/// What came of an import.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ImportReport {
    /// Lines with something on them.
    lines: u64,
    /// New assets.
    registered: u64,
    /// New versions, and new contents of versions that were there.
    updated: u64,
    /// Lines that say what is stored already.
    unchanged: u64,
    /// Changes of what is approved, which wait for approval.
    proposed: u64,
    /// The rejected lines, at most the first ten thousand.
    rejected: Vec<RejectedLine>,
    /// How many lines were rejected in all.
    #[serde(rename = "rejectedTotal")]
    rejected_total: u64,
}

/// A line that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedLine {
    /// From 1.
    line: usize,
    /// What the line calls its asset, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    reason: String,
    /// The wrong places in the line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    errors: Vec<FieldError>,
}

/// Imports JSON lines, one asset a line.
///
/// A line is the register body, a `server.json`, an entry of an MCP registry (`{"server": ..., "_meta": ...}`), or
/// `{id, kind, name, title, description, tools[], tags[]}`; any of them may name its `workspace`. A line may have 4 MiB.
/// Lines are stored a hundred at a time: when the answer is an error, what came before it may be stored, and sending all
/// again changes nothing of it.
#[utoipa::path(
    post, path = "/api/v1/import", operation_id = "importAssets", tag = "import and export", params(ImportQuery),
    request_body(content((String = "application/x-ndjson"), (String = "text/plain"))),
    responses((status = 200, description = "What came of each line.", body = ImportReport)),
)]
pub async fn import(
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    caller: Caller,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<axum::Json<ImportReport>, Failure> {
    let run = Run {
        catalog: &catalog,
        http: &http,
        actor: &caller,
        workspace: query.workspace.as_ref().map_or("default", Slug::as_str),
        dry_run: query.dry_run.unwrap_or(false),
    };
    // Refused before the first byte is read: an import may be long.
    caller.require_somewhere(Permission::WriteCatalog)?;

    let mut report = ImportReport::default();
    let mut lines = Lines::default();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Failure(problem_of_body(&error)))?;
        lines.take(&piece);
        while lines.is_full() {
            run.store(lines.batch(), &mut report).await?;
        }
    }
    lines.end();
    while !lines.ready.is_empty() {
        run.store(lines.batch(), &mut report).await?;
    }
    Ok(axum::Json(report))
}

struct Run<'a> {
    catalog: &'a Catalog,
    http: &'a HttpClient,
    actor: &'a Actor,
    workspace: &'a str,
    dry_run: bool,
}

impl Run<'_> {
    async fn store(&self, batch: Vec<(usize, Line)>, report: &mut ImportReport) -> Result<(), Failure> {
        report.lines += batch.len() as u64;
        let mut whole: Vec<(usize, Bytes)> = Vec::with_capacity(batch.len());
        for (number, line) in batch {
            let Line::Text(text) = line else {
                report.reject(number, None, format!("The line is longer than {} MiB.", MAX_LINE >> 20), Vec::new());
                continue;
            };
            match fetch_for_line(self.http, self.actor, &text).await {
                Ok(fetched) => whole.push((number, fetched.map_or(text, Bytes::from))),
                Err(problem) => report.reject(number, None, problem.detail, problem.errors),
            }
        }
        let texts: Vec<(usize, &[u8])> = whole.iter().map(|(number, text)| (*number, text.as_ref())).collect();
        let done = self.catalog.import(self.actor, self.workspace, &texts, self.dry_run).await?;
        done.into_iter().for_each(|one| report.count(one));
        Ok(())
    }
}

impl ImportReport {
    fn count(&mut self, one: Imported) {
        match one.result {
            Ok(Outcome::Registered) => self.registered += 1,
            Ok(Outcome::Updated) => self.updated += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            Ok(Outcome::Proposed) => self.proposed += 1,
            Err(problem) => self.reject(one.line, one.name, problem.detail, problem.errors),
        }
    }

    fn reject(&mut self, line: usize, name: Option<String>, reason: String, errors: Vec<FieldError>) {
        self.rejected_total += 1;
        if self.rejected.len() < MAX_LISTED {
            self.rejected.push(RejectedLine { line, name, reason, errors });
        }
    }
}

/// One line with something on it.
#[derive(Debug, PartialEq)]
enum Line {
    Text(Bytes),
    TooLong,
}

/// Cuts pieces of a body into lines, holding no more of a line than may be in one.
#[derive(Default)]
struct Lines {
    rest: BytesMut,
    /// Within a line that is too long already.
    skipping: bool,
    number: usize,
    ready: std::collections::VecDeque<(usize, Line)>,
    ready_bytes: usize,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        let mut piece = piece;
        while let Some(end) = memchr::memchr(b'\n', piece) {
            self.append(&piece[..end]);
            self.end_line();
            piece.advance(end + 1);
        }
        self.append(piece);
    }

    fn append(&mut self, text: &[u8]) {
        if self.skipping || self.rest.len() + text.len() > MAX_LINE {
            self.skipping = true;
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(text);
        }
    }

    fn end_line(&mut self) {
        self.number += 1;
        let text = self.rest.split().freeze();
        if std::mem::take(&mut self.skipping) {
            self.ready.push_back((self.number, Line::TooLong));
        } else if !text.iter().all(u8::is_ascii_whitespace) {
            self.ready_bytes += text.len();
            self.ready.push_back((self.number, Line::Text(text)));
        }
    }

    /// The body has ended; its last line need not.
    fn end(&mut self) {
        if self.skipping || !self.rest.is_empty() {
            self.end_line();
        }
    }

    fn is_full(&self) -> bool {
        self.ready.len() >= BATCH_LINES || self.ready_bytes >= BATCH_BYTES
    }

    fn batch(&mut self) -> Vec<(usize, Line)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_LINES
            && bytes < BATCH_BYTES
            && let Some((number, line)) = self.ready.pop_front()
        {
            if let Line::Text(text) = &line {
                bytes += text.len();
            }
            batch.push((number, line));
        }
        self.ready_bytes -= bytes;
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(usize, Line)> {
        let mut lines = Lines::default();
        pieces.iter().for_each(|piece| lines.take(piece));
        lines.end();
        lines.ready.into()
    }

    #[test]
    fn lines_are_found_however_the_body_is_cut() {
        let text = |text: &'static str| Line::Text(Bytes::from_static(text.as_bytes()));

        assert_eq!(
            cut(&[b"a\nb", b"c\n\n d\n", b"e"]),
            [(1, text("a")), (2, text("bc")), (4, text(" d")), (5, text("e"))]
        );
        assert_eq!(cut(&[b"", b"\n\r\n"]), []);
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let long = vec![b'x'; MAX_LINE / 2 + 1];

        let found = cut(&[b"a\n", &long, &long, &long, b"\nb"]);

        assert_eq!(found[1], (2, Line::TooLong));
        assert_eq!(found[2], (3, Line::Text(Bytes::from_static(b"b"))));
    }

    #[test]
    fn long_lines_make_small_batches() {
        let mut lines = Lines::default();
        for _ in 0..3 {
            lines.take(&vec![b'x'; 3 * 1024 * 1024]);
            lines.take(b"\n");
        }

        assert!(lines.is_full());
        assert_eq!(lines.batch().len(), 2);
        assert!(!lines.is_full());
    }
}
