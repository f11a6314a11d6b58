//! The audit record, with filters, and what was before and after readable.

use super::layout::{Layout, page};
use super::words;
use crate::audit::{Filter, Record};
use crate::audit_trail::AuditTrail;
use crate::base::{Cursor, Limit, Problem};
use crate::door::{Failure, Query, segment};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// How many lines a page shows.
const PAGE: usize = 15;
/// What is shown of a value, in characters.
const SHOWN: usize = 200;
/// How many fields of one line are shown; the export has all.
const FIELDS: usize = 6;

/// The form above the list; an empty field asks for nothing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Asked {
    who: String,
    verb: String,
    subject: String,
    workspace: String,
    outcome: String,
    from: String,
    to: String,
    request_id: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    layout: Layout,
    asked: Asked,
    rows: Vec<Row>,
    /// Leads to older lines.
    next: Option<String>,
    /// The same lines as CSV and as JSON lines.
    exports: [(&'static str, String); 2],
    is_filtered: bool,
}

struct Row {
    record: Record,
    /// What was done, in words: `asset register`.
    deed: String,
    changes: Vec<Change>,
    more: usize,
}

/// A field, as it was and as it is.
struct Change {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

/// `GET /audit`.
pub(super) async fn show(
    layout: Layout,
    State(trail): State<AuditTrail>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let filter = asked.filter()?;
    let cursor = given(&asked.cursor).map(|text| Cursor::from_text(&text));
    let found = trail.list(&layout.actor, &filter, cursor.as_ref(), Limit(PAGE)).await?;
    let next = found.next.map(|cursor| format!("/audit?{}", asked.query(Some(cursor.as_str()), &[])));
    let export = |format| format!("/api/v1/audit/export?{}", asked.query(None, &[("format", format)]));
    let exports = [("CSV", export("csv")), ("JSON lines", export("jsonl"))];
    let is_filtered = filter != Filter::default();
    let rows = found.items.into_iter().map(Row::of).collect();
    page(&Page { layout, asked, rows, next, exports, is_filtered })
}

/// What was written into a field, where anything was.
pub(super) fn given(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Asked {
    fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            who: given(&self.who),
            verb: given(&self.verb),
            subject: given(&self.subject),
            workspace: given(&self.workspace),
            outcome: given(&self.outcome),
            from: moment("from", &self.from, false)?,
            to: moment("to", &self.to, true)?,
            request_id: given(&self.request_id),
        })
    }

    /// The same question as a query.
    fn query(&self, cursor: Option<&str>, further: &[(&str, &str)]) -> String {
        let day = |text: &str, whole| moment("", text, whole).ok().flatten().and_then(|at| at.format(&Rfc3339).ok());
        let (from, to) = (day(&self.from, false).unwrap_or_default(), day(&self.to, true).unwrap_or_default());
        let pairs = [
            ("who", self.who.as_str()),
            ("verb", &self.verb),
            ("subject", &self.subject),
            ("workspace", &self.workspace),
            ("outcome", &self.outcome),
            // The export takes moments, the page takes days too.
            ("from", if cursor.is_some() { &self.from } else { &from }),
            ("to", if cursor.is_some() { &self.to } else { &to }),
            ("requestId", &self.request_id),
            ("cursor", cursor.unwrap_or_default()),
        ];
        let all = pairs.into_iter().chain(further.iter().copied()).filter(|(_, value)| !value.trim().is_empty());
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        all.for_each(|(name, value)| {
            query.append_pair(name, value.trim());
        });
        query.finish()
    }
}

/// A day, or a moment with its zone; `whole` takes a day to its end.
pub(super) fn moment(name: &str, text: &str, whole: bool) -> Result<Option<OffsetDateTime>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        let day = if whole { day.next_day().unwrap_or(day) } else { day };
        return Ok(Some(day.midnight().assume_utc()));
    }
    let read = OffsetDateTime::parse(text, &Rfc3339);
    let wrong =
        |_| Problem::invalid_field(format!("query.{name}"), "must be a day like 2026-01-31, or a moment with its zone");
    Ok(Some(read.map_err(wrong)?))
}

impl Row {
    fn of(record: Record) -> Self {
        let mut changes = Vec::new();
        let empty = serde_json::Map::new();
        let (before, after) = (fields(&record.before, &empty), fields(&record.after, &empty));
        for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
            changes.push(Change {
                field: name.clone(),
                before: before.get(name).map(shown),
                after: after.get(name).map(shown),
            });
        }
        let more = changes.len().saturating_sub(FIELDS);
        changes.truncate(FIELDS);
        Self { deed: record.verb.replace(['.', '-'], " "), changes, more, record }
    }

    /// The page of what it is about, where that is an asset.
    fn href(&self) -> Option<String> {
        let name = self.record.subject.as_str();
        let workspace = self.record.workspace.as_deref().filter(|_| self.record.verb.starts_with("asset."))?;
        let own = name.strip_prefix(workspace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
        Some(format!("/assets/{}/{}", segment(workspace), segment(own)))
    }

    fn is_refused(&self) -> bool {
        self.record.outcome == "refused"
    }
}

fn fields<'a>(
    value: &'a Option<Value>,
    empty: &'a serde_json::Map<String, Value>,
) -> &'a serde_json::Map<String, Value> {
    value.as_ref().and_then(Value::as_object).unwrap_or(empty)
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    };
    words::short(&text, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_its_end_and_a_moment_is_itself() {
        let read = |text, whole| moment("to", text, whole).unwrap().map(|at| at.format(&Rfc3339).unwrap());

        assert_eq!(read("2026-01-31", false).as_deref(), Some("2026-01-31T00:00:00Z"));
        assert_eq!(read("2026-01-31", true).as_deref(), Some("2026-02-01T00:00:00Z"));
        assert_eq!(read("2026-01-31T10:00:00+01:00", true).as_deref(), Some("2026-01-31T10:00:00+01:00"));
        assert_eq!(read("", true), None);
        assert!(moment("to", "yesterday", true).is_err());
    }
}
