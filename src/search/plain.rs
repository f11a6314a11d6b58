//! The search of last resort: plain text comparison in the database, for the time in which no index answers.

use super::request::{Degraded, Facet, FacetValue, Filters, Hit, Request, Results, Sort};
use crate::auth::Actor;
use crate::base::{Cursor, Problem};
use crate::catalog::{Card, Catalog};
use std::collections::BTreeMap;

/// What a cursor of this search begins with: an index that is ready meanwhile counts otherwise.
const CURSOR: &str = "plain";
/// More hits than this are not looked through.
const MOST: usize = 1_000;

/// Hits that hold every word; facets and totals are of at most [`MOST`] of them.
///
/// # Errors
/// 422 for a cursor that is none; 503 when the database does not answer.
pub async fn find(catalog: &Catalog, actor: &Actor, request: &Request) -> Result<Results, Problem> {
    let words: Vec<_> = request.text.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect();
    let mut cards = catalog.cards_containing(actor.sight(), &words, MOST).await?;
    let facets = facets(&cards, &request.filters);
    cards.retain(|card| fits(card, &request.filters));
    match request.sort {
        Sort::Name => cards.sort_by_key(|card| card.title.to_lowercase()),
        Sort::Newest => cards.sort_by_key(|card| std::cmp::Reverse(card.created_at)),
        Sort::Relevance | Sort::Updated => {}
    }

    let from = match &request.cursor {
        None => 0,
        Some(cursor) => {
            let (made_by, place): (String, u32) =
                cursor.place().map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?;
            if made_by != CURSOR {
                return Err(Problem::invalid_field("query.cursor", "this cursor was not made by this search"));
            }
            place as usize
        }
    };
    let total = cards.len();
    let items: Vec<_> = cards
        .into_iter()
        .skip(from)
        .take(request.limit.0)
        .map(|card| Hit { card, score: 0.0, why: Vec::new(), matched: Vec::new() })
        .collect();
    let end = from + items.len();
    Ok(Results {
        next: (end < total && !items.is_empty()).then(|| Cursor::of(&(CURSOR, end))),
        items,
        facets,
        total: total as u64,
        degraded: vec![Degraded::Semantic, Degraded::Lexical],
        hints: Vec::new(),
    })
}

fn values(card: &Card, facet: &str) -> Vec<String> {
    match facet {
        "kind" => vec![card.kind.to_string()],
        "workspace" => vec![card.workspace.clone()],
        "tag" => card.tags.clone(),
        "owner" => card.owners.clone(),
        "stage" => card.stage.iter().map(ToString::to_string).collect(),
        "environment" => card.environments.clone(),
        "transport" => card.transports.clone(),
        field => card
            .metadata
            .get(field)
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect(),
    }
}

fn fits(card: &Card, filters: &Filters) -> bool {
    filters.0.iter().all(|(facet, wanted)| values(card, facet).iter().any(|value| wanted.contains(value)))
}

/// Each facet counted over what the other facets leave.
fn facets(cards: &[Card], filters: &Filters) -> Vec<Facet> {
    ["kind", "workspace", "tag", "owner", "stage", "environment", "transport"]
        .into_iter()
        .map(|name| {
            let others = Filters(
                filters.0.iter().filter(|(facet, _)| *facet != name).map(|(f, v)| (f.clone(), v.clone())).collect(),
            );
            let selected = filters.0.get(name).cloned().unwrap_or_default();
            let mut counts: BTreeMap<String, u64> = selected.iter().map(|value| (value.clone(), 0)).collect();
            for card in cards.iter().filter(|card| fits(card, &others)) {
                values(card, name).into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            let mut values: Vec<_> = counts
                .into_iter()
                .map(|(value, count)| FacetValue { selected: selected.contains(&value), value, count })
                .collect();
            values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            Facet { name: name.to_owned(), values }
        })
        .collect()
}
