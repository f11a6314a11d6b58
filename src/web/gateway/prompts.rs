//! What was asked and answered, where a policy keeps it: for those who may read the audit record.

use crate::base::{Cursor, Limit};
use crate::door::{Failure, Query};
use crate::gateway::usage::{KeptPrompt, Ledger, PromptFilter};
use crate::web::audit::{given, moment};
use crate::web::layout::{Layout, Place, page};
use crate::web::words;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How many a page shows, and how much of each text: some have 64 KiB, which the JSON lines give whole.
const PAGE: usize = 10;
const SHOWN: usize = 400;

/// The form above the list; an empty field asks for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(in crate::web) struct Asked {
    key: String,
    model: String,
    route: String,
    workspace: String,
    from: String,
    to: String,
    request_id: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "gateway/prompts.html")]
struct Page {
    layout: Layout,
    asked: Asked,
    prompts: Vec<KeptPrompt>,
    /// Leads to older ones.
    next: Option<String>,
    /// The same as JSON lines.
    export: String,
    is_filtered: bool,
}

impl Page {
    /// The begin of a text, and how many characters that leaves out.
    fn begin<'a>(&self, text: &'a str) -> (&'a str, usize) {
        let (begin, rest) = text.split_at(text.floor_char_boundary(SHOWN));
        (begin, rest.chars().count())
    }
}

/// `GET /gateway/prompts`.
pub(in crate::web) async fn show(
    layout: Layout,
    State(ledger): State<Ledger>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    Ledger::require_reader_of_prompts(&layout.actor)?;
    let filter = PromptFilter {
        from: moment("from", &asked.from, false)?,
        to: moment("to", &asked.to, true)?,
        workspace: given(&asked.workspace),
        key: given(&asked.key),
        model: given(&asked.model),
        route: given(&asked.route),
        request_id: given(&asked.request_id),
    };
    let cursor = given(&asked.cursor).map(|text| Cursor::from_text(&text));
    let found = ledger.prompts(&layout.actor, &filter, cursor.as_ref(), Limit(PAGE)).await?;
    let next = found.next.map(|cursor| format!("/gateway/prompts?{}", query(&filter, Some(&cursor))));
    let export = format!("/api/v1/gateway/prompts/export?{}", query(&filter, None));
    let is_filtered = filter != PromptFilter::default();
    let layout = layout.at(Place::Gateway);
    page(&Page { layout, asked, prompts: found.items, next, export, is_filtered })
}

/// The same question, for the next page and for the export.
fn query(filter: &PromptFilter, cursor: Option<&Cursor>) -> String {
    let exactly = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok());
    let pairs = [
        ("from", exactly(filter.from)),
        ("to", exactly(filter.to)),
        ("workspace", filter.workspace.clone()),
        ("key", filter.key.clone()),
        ("model", filter.model.clone()),
        ("route", filter.route.clone()),
        ("requestId", filter.request_id.clone()),
        ("cursor", cursor.map(|cursor| cursor.as_str().to_owned())),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query.finish()
}
