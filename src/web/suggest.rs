//! Suggestions while typing: as a list box for our own pages, and as browsers ask for them in their address bar.

use super::asset_path;
use super::layout::page;
use crate::catalog::Kind;
use crate::door::{Caller, Failure};
use crate::search::{Search, Suggestion};
use askama::Template;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// How many suggestions are shown: as many as are read at a glance.
const MOST: usize = 8;

#[derive(Template)]
#[template(path = "suggest.html")]
struct List {
    options: Vec<Choice>,
}

/// One suggestion with where it leads.
struct Choice {
    text: String,
    /// What stands beside it: the asset's name, or what sort of suggestion it is.
    beside: String,
    href: String,
}

impl Choice {
    fn of(suggestion: Suggestion) -> Self {
        match suggestion.asset {
            Some((workspace, name)) => {
                Self { href: asset_path(&workspace, &name), beside: name, text: suggestion.text }
            }
            None => Self {
                href: format!("/browse?q={}", utf8_percent_encode(&suggestion.text, NON_ALPHANUMERIC)),
                beside: beside(&suggestion),
                text: suggestion.text,
            },
        }
    }
}

/// `kind:mcp` is read more easily with its title.
fn beside(suggestion: &Suggestion) -> String {
    let kind = suggestion.text.rsplit_once("kind:").and_then(|(_, kind)| kind.parse::<Kind>().ok());
    kind.map_or(suggestion.sort, Kind::title).to_owned()
}

fn asked(query: Option<&str>) -> String {
    let query = query.unwrap_or_default();
    let text = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
    text.map(|(_, text)| text.into_owned()).unwrap_or_default()
}

/// `GET /search/suggest?q=`: a list box.
pub(super) async fn list(
    Caller(actor): Caller,
    State(search): State<Search>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let found = search.suggest(&actor, &asked(query.as_deref()), MOST);
    page(&List { options: found.into_iter().map(Choice::of).collect() })
}

/// `GET /search/suggest.json?q=`: the question and its completions, after OpenSearch's suggestions.
pub(super) async fn for_browsers(
    Caller(actor): Caller,
    State(search): State<Search>,
    RawQuery(query): RawQuery,
) -> Json<Value> {
    let text = asked(query.as_deref());
    let found = search.suggest(&actor, &text, MOST);
    let completions: Vec<_> = found.into_iter().map(|suggestion| suggestion.text).collect();
    Json(json!([text, completions]))
}
