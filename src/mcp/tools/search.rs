//! `search_catalog`: what fits a question.

use super::super::address::Address;
use super::super::answer::{Found, Link, Sorry};
use super::{Asked, cut};
use crate::base::{Cursor, Limit};
use crate::catalog::Kind;
use crate::search::{self, Filters, Request, Sort};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Arguments {
    /// What you want to do, in plain words; "exact words" and filters like tag:payments work too.
    query: String,
    #[serde(default)]
    #[schemars(schema_with = "super::kind_schema")]
    kind: Option<Kind>,
    /// Only assets of this workspace.
    #[serde(default)]
    workspace: Option<String>,
    /// Only assets with any of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// How many hits to give; 10 unless told.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    limit: Option<u32>,
    /// `next` of an earlier answer, for the hits after it.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hits {
    items: Vec<Hit>,
    /// How many hits there are in all.
    total: u64,
    /// Parts of the search that did not answer.
    degraded: Vec<String>,
    /// What of the query was not understood.
    hints: Vec<String>,
    /// Leads to the next hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Hit {
    workspace: String,
    name: String,
    kind: String,
    title: String,
    summary: String,
    /// Of the latest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// `deprecated` when it should not be chosen anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    tags: Vec<String>,
    /// How many operations or tools it has.
    operations: i64,
    /// The operations or tools that fit best.
    matched: Vec<Matched>,
    /// Address of the asset as a resource.
    uri: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Matched {
    name: String,
    description: String,
}

const DEFAULT: u32 = 10;
const MOST: u32 = 50;

pub(super) async fn call(asked: &Asked<'_>, arguments: Arguments) -> Result<Found, Sorry> {
    let limit = arguments.limit.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&limit) {
        return Err(Sorry::new(format!("The arguments are wrong: `limit` is from 1 to {MOST}, not {limit}.")));
    }
    let mut filters =
        Filters::default().with("kind", arguments.kind.map(Kind::as_str)).with("workspace", arguments.workspace);
    for tag in arguments.tags {
        filters = filters.with("tag", Some(tag));
    }
    let request = Request {
        text: arguments.query,
        filters,
        sort: Sort::Relevance,
        limit: Limit(limit as usize),
        cursor: arguments.cursor.as_deref().map(Cursor::from_text),
    };

    let results = asked.handles.search.find(&asked.actor, &request).await?;

    let links: Vec<_> = results
        .items
        .iter()
        .map(|hit| Link { address: Address::asset(&hit.card.workspace, &hit.card.name), title: hit.card.title.clone() })
        .collect();
    let hits = Hits {
        items: results.items.into_iter().map(shown).collect(),
        total: results.total,
        degraded: results.degraded.iter().map(|part| format!("{part:?}").to_lowercase()).collect(),
        hints: results.hints,
        next: results.next.map(|next| next.as_str().to_owned()),
    };
    Ok(Found::new(&hits).with_links(links))
}

fn shown(hit: search::Hit) -> Hit {
    let card = hit.card;
    let matched = hit.matched.into_iter().take(5);
    Hit {
        uri: Address::asset(&card.workspace, &card.name).uri(),
        kind: card.kind.to_string(),
        summary: cut(&card.summary, 300),
        stage: card.stage.map(|stage| stage.to_string()),
        status: card.status.map(|status| status.to_string()),
        matched: matched
            .map(|one| Matched { name: one.name, description: cut(&search::unmarked(&one.description), 160) })
            .collect(),
        workspace: card.workspace,
        name: card.name,
        title: card.title,
        version: card.version,
        tags: card.tags,
        operations: card.operations,
    }
}
