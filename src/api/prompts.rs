//! What was asked and answered through the gateway, where a policy keeps it.

use super::narrowing::{bounded, moment};
use super::paging::{cursor, limit};
use crate::base::{Page, Problem};
use crate::door::{Caller, Failure, Query};
use crate::gateway::usage::{KeptPrompt, Ledger, PromptFilter};
use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which prompts are wanted; all of it must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct PromptQuery {
    /// From this moment on.
    #[param(format = "date-time", example = "2026-01-01T00:00:00Z")]
    from: Option<String>,
    /// Before this moment.
    #[param(format = "date-time", example = "2027-01-01T00:00:00Z")]
    to: Option<String>,
    /// Only what this workspace was charged.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// Only of this key, by its name.
    #[param(max_length = 200)]
    key: Option<String>,
    /// Only of this model, by the alias that was asked for.
    #[param(max_length = 200)]
    model: Option<String>,
    /// Only of this route, by its name.
    #[param(max_length = 200)]
    route: Option<String>,
    /// Only of this request.
    #[param(max_length = 128)]
    request_id: Option<String>,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// Which prompts are wanted, all of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct PromptExportQuery {
    /// As in the list.
    #[param(format = "date-time")]
    from: Option<String>,
    /// As in the list.
    #[param(format = "date-time")]
    to: Option<String>,
    /// As in the list.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// As in the list.
    #[param(max_length = 200)]
    key: Option<String>,
    /// As in the list.
    #[param(max_length = 200)]
    model: Option<String>,
    /// As in the list.
    #[param(max_length = 200)]
    route: Option<String>,
    /// As in the list.
    #[param(max_length = 128)]
    request_id: Option<String>,
}

impl PromptQuery {
    fn filter(self) -> Result<PromptFilter, Problem> {
        for (name, text, most) in [
            ("workspace", &self.workspace, 200),
            ("key", &self.key, 200),
            ("model", &self.model, 200),
            ("route", &self.route, 200),
            ("requestId", &self.request_id, 128),
        ] {
            bounded(&format!("query.{name}"), text.as_deref(), most)?;
        }
        let (from, to) = (moment("query.from", self.from.as_deref())?, moment("query.to", self.to.as_deref())?);
        let Self { workspace, key, model, route, request_id, .. } = self;
        Ok(PromptFilter { from, to, workspace, key, model, route, request_id })
    }
}

/// Lists prompts and answers that a policy `promptLog` keeps, newest first; for those who may read the audit record.
///
/// With the role compliance in a workspace you get what that workspace was charged. Each reading is itself recorded.
#[utoipa::path(
    get, path = "/api/v1/gateway/prompts", operation_id = "listPrompts", tag = "gateway", params(PromptQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "One page.", body = Page<KeptPrompt>)),
)]
pub async fn list(
    State(ledger): State<Ledger>,
    caller: Caller,
    Query(query): Query<PromptQuery>,
) -> Result<Response, Failure> {
    // Who may read nothing is told so, and not what is wrong with the question.
    Ledger::require_reader_of_prompts(&caller)?;
    let (place, most) = (cursor(query.cursor.as_deref()), limit(query.limit)?);
    let page = ledger.prompts(&caller, &query.filter()?, place.as_ref(), most).await?;
    Ok(([NO_STORE], Answer(page)).into_response())
}

const NO_STORE: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Gives the prompts and answers as JSON lines, newest first, all of them: what an evaluation takes.
#[utoipa::path(
    get, path = "/api/v1/gateway/prompts/export", operation_id = "exportPrompts", tag = "gateway",
    params(PromptExportQuery), security(("bearer" = [])),
    responses((
        status = 200, description = "An item of the list a line.", content((String = "application/x-ndjson")),
    )),
)]
pub async fn export(
    State(ledger): State<Ledger>,
    caller: Caller,
    Query(query): Query<PromptExportQuery>,
) -> Result<Response, Failure> {
    Ledger::require_reader_of_prompts(&caller)?;
    let PromptExportQuery { from, to, workspace, key, model, route, request_id } = query;
    let of_list = PromptQuery { from, to, workspace, key, model, route, request_id, ..PromptQuery::default() };
    let filter = of_list.filter()?;
    // The first piece before the head of the answer: a database that is away is told as a status, not by a broken body.
    let first = ledger.export_prompts(&caller, &filter, None).await?;
    let asked = (ledger, caller, filter);
    let pieces = stream::try_unfold((first, asked), move |(piece, (ledger, caller, filter))| async move {
        let Some(last) = piece.last().map(|last| last.id) else { return Ok(None) };
        let lines: String = piece.iter().map(line).collect();
        let next = ledger.export_prompts(&caller, &filter, Some(last)).await?;
        Ok::<_, Problem>(Some((Bytes::from(lines), (next, (ledger, caller, filter)))))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"prompts.jsonl\"")),
        NO_STORE,
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

fn line(prompt: &KeptPrompt) -> String {
    serde_json::to_string(prompt).expect("a prompt is plain data") + "\n"
}
