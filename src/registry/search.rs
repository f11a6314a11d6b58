//! The extension `search`: by words and by meaning, answered with the registry's own entries.

use super::{
    Registry,
    answer::Answer,
    query::{Parameters, failed},
    render,
};
use crate::{
    auth::Actor,
    base::{AssetId, Cursor, FieldError, Limit, Problem},
    catalog::RegistryEntry,
    search::{Filters, Hit, Request, Why, unmarked},
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The key of an entry's `_meta` with its score and why it was found.
const SEARCH: &str = "dev.wharfinger/search";
const LONGEST_QUESTION: usize = 10_000;
const FACETS: [&str; 6] = ["workspace", "tag", "owner", "stage", "environment", "transport"];

impl Registry {
    /// The latest versions of the servers that fit, best first, with what they can be narrowed by.
    pub(super) async fn search(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        query: Option<&str>,
    ) -> Result<Answer, Problem> {
        let request = request(&Parameters::parse(query)?, workspace)?;
        if let Some(workspace) = workspace {
            self.catalog.workspace(actor, workspace).await?;
        }

        let results = self.search.find(actor, &request).await?;
        let ids: Vec<AssetId> = results.items.iter().map(|hit| hit.card.asset_id).collect();
        let entries = self.catalog.registry_latest_of(actor, workspace, &ids).await?;
        let mut entries: HashMap<AssetId, RegistryEntry> =
            entries.into_iter().map(|entry| (entry.asset_id, entry)).collect();

        // A name that several workspaces have is shown once, as everywhere in the common view.
        let found: Vec<(RegistryEntry, Value)> = results
            .items
            .into_iter()
            .filter_map(|hit| Some((entries.remove(&hit.card.asset_id)?, reasons(hit))))
            .collect();
        let facets: Map<String, Value> = results
            .facets
            .into_iter()
            .filter(|facet| facet.name != "kind")
            .map(|facet| (facet.name, json!(facet.values)))
            .collect();
        let mut metadata = Map::new();
        metadata.insert("count".to_owned(), found.len().into());
        metadata.insert("total".to_owned(), results.total.into());
        if let Some(next) = results.next {
            metadata.insert("nextCursor".to_owned(), next.as_str().into());
        }
        let rest =
            json!({"facets": facets, "degraded": results.degraded, "hints": results.hints, "metadata": metadata});
        Ok(Answer::json(StatusCode::OK, render::found(&found, SEARCH, rest)))
    }
}

fn request(parameters: &Parameters, workspace: Option<&str>) -> Result<Request, Problem> {
    let text = parameters.get("q").or(parameters.get("search")).unwrap_or_default();
    if text.chars().count() > LONGEST_QUESTION {
        return Err(failed(FieldError::new("query.q", format!("expected length <= {LONGEST_QUESTION}"))));
    }
    let mut filters = Filters::default().with("kind", Some("mcp"));
    for facet in FACETS {
        let values = parameters.get(facet).filter(|_| facet != "workspace" || workspace.is_none());
        for value in values.into_iter().flat_map(|values| values.split(',')).map(str::trim) {
            filters = filters.with(facet, Some(value));
        }
    }
    Ok(Request {
        text: text.to_owned(),
        filters: filters.with("workspace", workspace),
        limit: Limit(usize::try_from(parameters.limit()?).unwrap_or(Limit::DEFAULT)),
        cursor: parameters.get("cursor").map(Cursor::from_text),
        ..Request::default()
    })
}

fn reasons(hit: Hit) -> Value {
    let why: Vec<Value> = hit
        .why
        .into_iter()
        .map(|why| match why {
            Why::Meaning { similarity } => json!({"reason": "meaning", "similarity": similarity}),
            // The marks are for pages; programs get the plain text.
            Why::Words { field, text } => {
                json!({"reason": "words", "field": field, "text": unmarked(&text)})
            }
        })
        .collect();
    let tools: Vec<Value> = hit
        .matched
        .into_iter()
        .map(|tool| json!({"name": tool.name, "description": unmarked(&tool.description), "score": tool.score}))
        .collect();
    json!({"score": hit.score, "why": why, "tools": tools})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str, workspace: Option<&str>) -> Result<Request, Problem> {
        request(&Parameters::parse(Some(query)).unwrap(), workspace)
    }

    #[test]
    fn only_servers_are_asked_for_and_only_of_the_workspace_in_the_path() {
        let request = parsed("q=refund&tag=a,b&workspace=other&limit=5", Some("team-a")).unwrap();

        assert_eq!((request.text.as_str(), request.limit.0), ("refund", 5));
        let filters: Vec<_> = request.filters.0.into_iter().collect();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            filters,
            [
                ("kind".to_owned(), words(&["mcp"])),
                ("tag".to_owned(), words(&["a", "b"])),
                ("workspace".to_owned(), words(&["team-a"])),
            ]
        );
    }

    #[test]
    fn a_question_has_an_end() {
        assert_eq!(parsed(&format!("q={}", "x".repeat(LONGEST_QUESTION + 1)), None).unwrap_err().status, 422);
        assert_eq!(parsed("limit=0", None).unwrap_err().status, 422);
    }
}
