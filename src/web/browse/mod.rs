//! Browsing and searching: one list for everything, narrowed by facets, each hit with the reason it is there.

mod marked;
mod question;
mod view;

use super::layout::{Layout, Place, page};
use super::words;
use crate::auth::Actor;
use crate::base::{Limit, Problem};
use crate::catalog::Catalog;
use crate::door::Failure;
use crate::search::{Degraded, Results, Search};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use question::{Question, SORTS};
use view::{Chip, FacetView, Row};

#[derive(Template)]
#[template(path = "browse.html")]
struct Browse {
    layout: Layout,
    question: Question,
    facets: Vec<FacetView>,
    chips: Vec<Chip>,
    rows: Vec<Row>,
    total: u64,
    /// Why a part of the search is missing, where one is.
    degraded: Option<&'static str>,
    hints: Vec<String>,
    next: Option<String>,
    /// For an empty page: what finds more, with how many.
    ways_on: Vec<WayOn>,
}

struct WayOn {
    href: String,
    label: String,
    total: u64,
}

impl Browse {
    fn sorts(&self) -> Vec<(String, &'static str, bool)> {
        SORTS
            .into_iter()
            .map(|(sort, name)| {
                let name = if sort == SORTS[0].0 && self.question.text.is_empty() { "Recent" } else { name };
                (self.question.sorted(sort).href(), name, sort == self.question.sort)
            })
            .collect()
    }

    fn heading(&self) -> String {
        match self.question.text.as_str() {
            "" => words::count(self.total, "asset", "assets"),
            text => format!("{text}: {}", words::count(self.total, "result", "results")),
        }
    }
}

/// `GET /browse`.
pub(super) async fn show(
    layout: Layout,
    State(search): State<Search>,
    State(catalog): State<Catalog>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (mut question, unknown) = Question::read(query.as_deref().unwrap_or_default());
    let mut hints = take_metadata_filters(&catalog, &mut question, unknown).await?;

    let results = search.find(&layout.actor, &question.request()).await?;

    hints.extend(results.hints.iter().cloned());
    let ways_on = match results.total {
        0 => ways_on(&search, &layout.actor, &question).await?,
        _ => Vec::new(),
    };
    let mut layout = layout.at(Place::Browse);
    layout.text.clone_from(&question.text);
    page(&Browse {
        facets: view::facets(&question, &results.facets),
        chips: view::chips(&question),
        next: results.next.as_ref().map(|cursor| question.after(cursor, results.items.len()).href()),
        degraded: degraded(&results),
        total: results.total,
        rows: results.items.into_iter().map(Row::of).collect(),
        layout,
        question,
        hints,
        ways_on,
    })
}

/// `GET /search`: the same, under the name people guess.
pub(super) async fn search(RawQuery(query): RawQuery) -> Response {
    match query {
        Some(query) => Redirect::permanent(&format!("/browse?{query}")).into_response(),
        None => Redirect::permanent("/browse").into_response(),
    }
}

/// Takes parameters that name a metadata field as filters. Says so of those that name nothing, but for what other
/// sites add to links.
async fn take_metadata_filters(
    catalog: &Catalog,
    question: &mut Question,
    unknown: Vec<(String, String)>,
) -> Result<Vec<String>, Problem> {
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let fields = catalog.metadata_facets().await?;
    let mut hints = Vec::new();
    for (name, value) in unknown {
        if fields.contains(&name) {
            question.add(&name, value);
        } else if !name.starts_with("utm_") && hints.len() < 3 {
            let name: String = name.chars().take(40).collect();
            hints.push(format!("There is no filter {name}; the address was read without it."));
        }
    }
    Ok(hints)
}

/// What the page would find with one filter let go each, and with all of them.
async fn ways_on(search: &Search, actor: &Actor, question: &Question) -> Result<Vec<WayOn>, Problem> {
    let mut ways: Vec<(String, Question)> = question
        .set()
        .take(5)
        .map(|(facet, value)| {
            (format!("Without “{}”", view::filter_title(facet, value)), question.toggled(facet, value))
        })
        .collect();
    if question.filters.values().map(Vec::len).sum::<usize>() > 1 {
        ways.push(("Without any filter".to_owned(), question.without_filters()));
    }
    if !question.text.is_empty() && !question.filters.is_empty() {
        let text = String::new();
        ways.push((format!("Without the words “{}”", question.text), Question { text, ..question.first_page() }));
    }
    let mut found = Vec::new();
    for (label, question) in ways {
        let request = crate::search::Request { limit: Limit(1), ..question.request() };
        let total = search.find(actor, &request).await?.total;
        if total > 0 {
            found.push(WayOn { href: question.href(), label, total });
        }
    }
    Ok(found)
}

fn degraded(results: &Results) -> Option<&'static str> {
    if results.degraded.contains(&Degraded::Lexical) {
        Some("plain text comparison only: the index is being built")
    } else if results.degraded.contains(&Degraded::Semantic) {
        Some("by words only: meanings are not available now")
    } else {
        None
    }
}
