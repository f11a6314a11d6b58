//! Search: what fits the question, why, and how it can be narrowed.

use super::narrowing::bounded;
use super::paging;
use crate::base::Problem;
use crate::catalog::{Kind, Stage, Visibility};
use crate::door::{Caller, Failure, Query};
use crate::search::{Degraded, FacetValue, Filters, Hit, Matched, Request, Search, Sort, Why, unmarked};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Agents hand in whole tasks; what lies beyond is no question any more.
const LONGEST_TEXT: usize = 10_000;

/// The question. Each filter takes several values with commas between them: any of these.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words, `"exact words"`, and filters like `kind:mcp tag:payments`; everything where empty. A task told in
    /// sentences is fine: the first 2,000 characters count.
    #[param(max_length = 10000, example = "refund a card kind:mcp")]
    q: Option<String>,
    /// One or more kinds: `mcp`, `rest,graphql`.
    #[param(max_length = 1000)]
    kind: Option<String>,
    #[param(max_length = 1000)]
    tag: Option<String>,
    #[param(max_length = 1000)]
    owner: Option<String>,
    /// One or more stages: `production`, `preview,production`.
    #[param(max_length = 1000)]
    stage: Option<String>,
    #[param(max_length = 1000)]
    workspace: Option<String>,
    #[param(max_length = 1000)]
    environment: Option<String>,
    /// `streamable-http`, `sse` or `stdio` of MCP servers.
    #[param(max_length = 1000)]
    transport: Option<String>,
    #[param(inline)]
    sort: Option<Order>,
    /// How many hits; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// In which order hits come; best first where not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    Relevance,
    Name,
    Newest,
    Updated,
}

/// A page of hits.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResults {
    items: Vec<SearchHit>,
    /// What the hits can be narrowed by: values with counts, by the filter's name.
    facets: BTreeMap<String, Vec<FacetValue>>,
    total: u64,
    /// Which parts of the search did not answer; empty when all did.
    degraded: Vec<Degraded>,
    /// What in the question was not understood.
    hints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An asset that was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchHit {
    id: Uuid,
    workspace: String,
    name: String,
    kind: Kind,
    title: String,
    summary: String,
    /// 0 to 1, within one answer.
    score: f32,
    why: Vec<Reason>,
    /// The operations or tools that fit best, best first.
    matched: Vec<MatchedPart>,
    tags: Vec<String>,
    owners: Vec<String>,
    visibility: Visibility,
    /// Of the latest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
}

/// Why an asset was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "reason", rename_all = "lowercase")]
pub enum Reason {
    /// Words of the question stand in this field.
    Words { field: String, text: String, words: Vec<String> },
    /// The meaning is near, whatever the words.
    Meaning { similarity: f32 },
}

/// An operation or tool that fits; `tool` or `operation` has its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatchedPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    score: f32,
}

/// Finds assets by words and by meaning.
#[utoipa::path(
    get, path = "/api/v1/search", operation_id = "search", tag = "search", params(SearchQuery),
    responses((status = 200, description = "One page of hits.", body = SearchResults)),
)]
pub async fn find(
    State(search): State<Search>,
    caller: Caller,
    Query(query): Query<SearchQuery>,
) -> Result<axum::Json<SearchResults>, Failure> {
    let found = search.find(&caller, &request(query)?).await?;
    Ok(axum::Json(SearchResults {
        items: found.items.into_iter().map(SearchHit::from).collect(),
        facets: found.facets.into_iter().map(|facet| (facet.name, facet.values)).collect(),
        total: found.total,
        degraded: found.degraded,
        hints: found.hints,
        next: found.next.map(|cursor| cursor.as_str().to_owned()),
    }))
}

/// What is being typed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SuggestQuery {
    /// The text so far; its last word is completed.
    #[param(max_length = 10000, example = "pay")]
    q: String,
    /// How many; 10 where not said.
    #[param(minimum = 1, maximum = 20, default = 10)]
    limit: Option<u32>,
}

/// What the text could become.
#[derive(Debug, Serialize, ToSchema)]
pub struct Suggestions {
    items: Vec<SuggestedText>,
}

/// A completion.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestedText {
    /// What the box would say.
    text: String,
    /// `asset`, `tag`, `tool` ...
    sort: &'static str,
    /// Of an asset: where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// Completes what is being typed.
#[utoipa::path(
    get, path = "/api/v1/search/suggest", operation_id = "suggest", tag = "search", params(SuggestQuery),
    responses((status = 200, description = "The best completions.", body = Suggestions)),
)]
pub async fn suggest(
    State(search): State<Search>,
    caller: Caller,
    Query(query): Query<SuggestQuery>,
) -> Result<axum::Json<Suggestions>, Failure> {
    let limit = paging::number(query.limit, 10, 20)?;
    bounded("query.q", Some(&query.q), LONGEST_TEXT)?;
    let items = search.suggest(&caller, &query.q, limit).into_iter().map(|one| {
        let (workspace, name) = one.asset.unzip();
        SuggestedText { text: one.text, sort: one.sort, workspace, name }
    });
    Ok(axum::Json(Suggestions { items: items.collect() }))
}

fn request(query: SearchQuery) -> Result<Request, Problem> {
    let text = query.q.unwrap_or_default();
    bounded("query.q", Some(&text), LONGEST_TEXT)?;
    let given = [
        ("kind", query.kind),
        ("tag", query.tag),
        ("owner", query.owner),
        ("stage", query.stage),
        ("workspace", query.workspace),
        ("environment", query.environment),
        ("transport", query.transport),
    ];
    let mut filters = Filters::default();
    for (facet, values) in given {
        bounded(&format!("query.{facet}"), values.as_deref(), 1_000)?;
        for value in values.iter().flat_map(|values| values.split(',')).map(str::trim) {
            known(facet, value)?;
            filters = filters.with(facet, Some(value));
        }
    }
    Ok(Request {
        text,
        filters,
        sort: match query.sort {
            None | Some(Order::Relevance) => Sort::Relevance,
            Some(Order::Name) => Sort::Name,
            Some(Order::Newest) => Sort::Newest,
            Some(Order::Updated) => Sort::Updated,
        },
        limit: paging::limit(query.limit)?,
        cursor: paging::cursor(query.cursor.as_deref()),
    })
}

/// Kinds and stages are few and known: another word is a slip, and no hit at all would not tell.
fn known(facet: &str, value: &str) -> Result<(), Problem> {
    let slip = match facet {
        _ if value.is_empty() => None,
        "kind" => value.parse::<Kind>().err().map(|error| error.to_string()),
        "stage" => value.parse::<Stage>().err().map(|error| error.to_string()),
        _ => None,
    };
    slip.map_or(Ok(()), |slip| Err(Problem::invalid_field(format!("query.{facet}"), slip)))
}

impl From<Hit> for SearchHit {
    fn from(hit: Hit) -> Self {
        let card = hit.card;
        let is_mcp = card.kind == Kind::Mcp;
        Self {
            id: card.asset_id.0,
            workspace: card.workspace,
            name: card.name,
            kind: card.kind,
            title: card.title,
            summary: card.summary,
            score: hit.score,
            why: hit.why.into_iter().map(Reason::from).collect(),
            matched: hit.matched.into_iter().map(|part| MatchedPart::of(part, is_mcp)).collect(),
            tags: card.tags,
            owners: card.owners,
            visibility: card.visibility,
            version: card.version,
            stage: card.stage,
        }
    }
}

impl MatchedPart {
    fn of(part: Matched, is_tool: bool) -> Self {
        let (tool, operation) = if is_tool { (Some(part.name), None) } else { (None, Some(part.name)) };
        Self { tool, operation, title: part.title, description: unmarked(&part.description), score: part.score }
    }
}

/// The marks come as private characters; a program gets the plain text and the words apart.
impl From<Why> for Reason {
    fn from(why: Why) -> Self {
        let words = why.words().into_iter().map(str::to_owned).collect();
        match why {
            Why::Meaning { similarity } => Self::Meaning { similarity },
            Why::Words { field, text } => Self::Words { field, text: unmarked(&text), words },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_words_are_told_apart_from_their_text() {
        let text = "\u{e000}Refund\u{e001} a \u{e000}card\u{e001}, \u{e000}Refund\u{e001}".to_owned();

        let Reason::Words { text, words, .. } = Reason::from(Why::Words { field: "title".into(), text }) else {
            panic!("words stay words")
        };

        assert_eq!((text.as_str(), words), ("Refund a card, Refund", vec!["Refund".to_owned(), "card".to_owned()]));
    }

    #[test]
    fn a_filter_takes_several_values() {
        let query = SearchQuery { kind: Some("mcp, rest".into()), tag: Some(String::new()), ..SearchQuery::default() };

        let filters = request(query).unwrap().filters;

        assert_eq!(filters.0, BTreeMap::from([("kind".to_owned(), vec!["mcp".to_owned(), "rest".to_owned()])]));
    }
}
