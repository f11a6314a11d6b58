//! The audit record: reading, exporting and checking it.

use super::narrowing::{bounded, moment};
use super::paging::{cursor, limit};
use crate::audit::chain::Verdict;
use crate::audit::{Filter, Record};
use crate::audit_trail::AuditTrail;
use crate::base::{Page, Problem};
use crate::door::{Caller, Failure, Query};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Which lines are wanted; all of it must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// An actor as it is written, its lasting id, its name alone, or the id of its key or session.
    #[param(max_length = 300)]
    who: Option<String>,
    /// A verb (`asset.register`), or a noun for all its verbs (`asset`).
    #[param(max_length = 100, example = "asset.register")]
    verb: Option<String>,
    /// The name of what was acted on, whole.
    #[param(max_length = 500)]
    subject: Option<String>,
    /// Lines of this workspace.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// `done` or `refused`.
    #[param(pattern = "^(done|refused)$")]
    outcome: Option<String>,
    /// Lines from this moment on.
    #[param(format = "date-time", example = "2026-01-01T00:00:00Z")]
    from: Option<String>,
    /// Lines before this moment.
    #[param(format = "date-time", example = "2027-01-01T00:00:00Z")]
    to: Option<String>,
    /// Lines of this request.
    #[param(max_length = 128)]
    request_id: Option<String>,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditFormat {
    /// A line of JSON each.
    #[default]
    Jsonl,
    /// With a heading; `before` and `after` as JSON.
    Csv,
}

/// Which lines are wanted, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct AuditExportQuery {
    /// `jsonl` or `csv`.
    #[param(inline, value_type = Option<AuditFormat>, default = "jsonl")]
    format: Option<String>,
    /// As in the list.
    #[param(max_length = 300)]
    who: Option<String>,
    /// As in the list.
    #[param(max_length = 100)]
    verb: Option<String>,
    /// As in the list.
    #[param(max_length = 500)]
    subject: Option<String>,
    /// As in the list.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// As in the list.
    #[param(pattern = "^(done|refused)$")]
    outcome: Option<String>,
    /// As in the list.
    #[param(format = "date-time")]
    from: Option<String>,
    /// As in the list.
    #[param(format = "date-time")]
    to: Option<String>,
    /// As in the list.
    #[param(max_length = 128)]
    request_id: Option<String>,
}

fn time(name: &str, text: Option<String>) -> Result<Option<OffsetDateTime>, Problem> {
    moment(&format!("query.{name}"), text.as_deref())
}

fn text(name: &str, text: Option<String>, most: usize) -> Result<Option<String>, Problem> {
    bounded(&format!("query.{name}"), text.as_deref(), most)?;
    Ok(text)
}

fn outcome(text: Option<String>) -> Result<Option<String>, Problem> {
    match text.as_deref() {
        None | Some("done" | "refused") => Ok(text),
        Some(_) => Err(Problem::invalid_field("query.outcome", "must be `done` or `refused`")),
    }
}

/// Lists who did what, newest first; for those who may read the audit record.
///
/// With the role compliance in a workspace you get the lines of that workspace.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "listAudit", tag = "audit", params(AuditQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "One page.", body = Page<Record>)),
)]
pub async fn list(
    State(trail): State<AuditTrail>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Page<Record>>, Failure> {
    trail.require_reader(&caller)?;
    let (place, most) = (cursor(query.cursor.as_deref()), limit(query.limit)?);
    let filter = Filter {
        who: text("who", query.who, 300)?,
        verb: text("verb", query.verb, 100)?,
        subject: text("subject", query.subject, 500)?,
        workspace: text("workspace", query.workspace, 200)?,
        outcome: outcome(query.outcome)?,
        from: time("from", query.from)?,
        to: time("to", query.to)?,
        request_id: text("requestId", query.request_id, 128)?,
    };
    Ok(axum::Json(trail.list(&caller, &filter, place.as_ref(), most).await?))
}

/// Gives the lines as CSV or as JSON lines, newest first, all of them.
#[utoipa::path(
    get, path = "/api/v1/audit/export", operation_id = "exportAudit", tag = "audit", params(AuditExportQuery),
    security(("bearer" = [])),
    responses((
        status = 200, description = "One line of the record a line.",
        content((String = "application/x-ndjson"), (String = "text/csv")),
    )),
)]
pub async fn export(
    State(trail): State<AuditTrail>,
    caller: Caller,
    Query(query): Query<AuditExportQuery>,
) -> Result<Response, Failure> {
    // Who may read nothing is told so, and not what is wrong with the question.
    trail.require_reader(&caller)?;
    let format = match query.format.as_deref() {
        None | Some("jsonl") => AuditFormat::Jsonl,
        Some("csv") => AuditFormat::Csv,
        Some(_) => return Err(Failure(Problem::invalid_field("query.format", "must be `jsonl` or `csv`"))),
    };
    let filter = Filter {
        who: text("who", query.who, 300)?,
        verb: text("verb", query.verb, 100)?,
        subject: text("subject", query.subject, 500)?,
        workspace: text("workspace", query.workspace, 200)?,
        outcome: outcome(query.outcome)?,
        from: time("from", query.from)?,
        to: time("to", query.to)?,
        request_id: text("requestId", query.request_id, 128)?,
    };
    // The first piece before the head of the answer: a database that is away is told as a status, not by a broken body.
    let first = trail.export(&caller, &filter, None).await?;
    let head = match format {
        AuditFormat::Jsonl => String::new(),
        AuditFormat::Csv => COLUMNS.join(",") + "\r\n",
    };
    let asked = (trail, caller, filter);
    let pieces = stream::try_unfold((Some((head, first)), asked), move |(piece, (trail, caller, filter))| async move {
        let Some((head, records)) = piece else { return Ok(None) };
        let text = head + &records.iter().map(|record| format.line(record)).collect::<String>();
        let next = match records.last() {
            Some(last) => {
                let more = trail.export(&caller, &filter, Some(last.sequence)).await?;
                (!more.is_empty()).then(|| (String::new(), more))
            }
            None => None,
        };
        Ok::<_, Problem>(Some((Bytes::from(text), (next, (trail, caller, filter)))))
    });
    let (kind, name) = match format {
        AuditFormat::Jsonl => ("application/x-ndjson", "attachment; filename=\"audit.jsonl\""),
        AuditFormat::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

const COLUMNS: [&str; 13] = [
    "sequence",
    "at",
    "outcome",
    "actor",
    "actorId",
    "credential",
    "address",
    "verb",
    "subject",
    "workspace",
    "before",
    "after",
    "requestId",
];

impl AuditFormat {
    fn line(self, record: &Record) -> String {
        match self {
            Self::Jsonl => serde_json::to_string(record).expect("a record is plain data") + "\n",
            Self::Csv => csv_line(record),
        }
    }
}

/// RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe, so that a name like `=cmd()`
/// stays a name.
fn csv_line(record: &Record) -> String {
    let value = serde_json::to_value(record).expect("a record is plain data");
    let cells = COLUMNS.iter().map(|column| {
        let text = match &value[*column] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text };
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    });
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Goes through the whole audit record and tells whether it is as it was written.
///
/// The first line that was altered, removed or reordered is named. Keep `head` elsewhere from time to time: it shows later
/// that nothing before it was changed or cut off.
#[utoipa::path(
    get, path = "/api/v1/audit/verify", operation_id = "verifyAudit", tag = "audit", security(("bearer" = [])),
    responses((status = 200, description = "What was found.", body = Verdict)),
)]
pub async fn verify(State(trail): State<AuditTrail>, caller: Caller) -> Result<axum::Json<Verdict>, Failure> {
    Ok(axum::Json(trail.verify(&caller).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn no_name_makes_a_second_line_or_a_formula_of_a_csv_export() {
        let record = Record {
            sequence: 7,
            at: datetime!(2026-01-01 00:00 UTC),
            outcome: "done".into(),
            actor: "=cmd|' /C calc'!A0".into(),
            actor_id: None,
            credential: None,
            address: None,
            verb: "asset.register".into(),
            subject: "a\r\nb,\"c\"".into(),
            workspace: None,
            before: None,
            after: Some(serde_json::json!({"title": "x"})),
            request_id: None,
        };

        let line = csv_line(&record);

        assert_eq!(
            line,
            "7,2026-01-01T00:00:00Z,done,'=cmd|' /C calc'!A0,,,,asset.register,\"a\r\nb,\"\"c\"\"\",,,\
             \"{\"\"title\"\":\"\"x\"\"}\",\r\n"
        );
    }
}
