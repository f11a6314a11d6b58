//! Which asset a tool is asked about: by workspace and name, by name alone where it is unambiguous, or by address.

use super::super::address::{Address, SCHEME};
use super::super::answer::Sorry;
use super::Asked;
use crate::base::Limit;
use crate::search::Request;

/// The workspace and the name of the asset that is meant.
pub(super) async fn find(asked: &Asked<'_>, workspace: Option<&str>, name: &str) -> Result<(String, String), Sorry> {
    if name.starts_with(SCHEME) {
        return match Address::parse(name) {
            Some(address) => Ok((address.workspace, address.name)),
            None => {
                Err(Sorry::new(format!("{name:?} is no address of an asset; it looks like {SCHEME}default/payments.")))
            }
        };
    }
    if let Some(workspace) = workspace {
        return Ok((workspace.to_owned(), name.to_owned()));
    }
    let cards = asked.handles.catalog.named(&asked.actor, name).await?;
    match cards.as_slice() {
        [only] => Ok((only.workspace.clone(), only.name.clone())),
        [] => Err(missing(asked, name).await),
        several => {
            let names: Vec<_> = several.iter().map(|card| card.workspace.as_str()).collect();
            Err(Sorry::new(format!(
                "Several workspaces have {name:?}; say which with `workspace`: {}.",
                names.join(", ")
            )))
        }
    }
}

/// There is none; the nearest ones are named.
async fn missing(asked: &Asked<'_>, name: &str) -> Sorry {
    let words: String = name.chars().map(|one| if one.is_alphanumeric() { one } else { ' ' }).collect();
    let request = Request { text: words, limit: Limit(3), ..Request::default() };
    let near = match asked.handles.search.find(&asked.actor, &request).await {
        Ok(results) => results.items,
        Err(_) => Vec::new(),
    };
    let near: Vec<_> = near.iter().map(|hit| format!("{} in {}", hit.card.name, hit.card.workspace)).collect();
    let hint = if near.is_empty() { String::new() } else { format!(" Near it: {}.", near.join("; ")) };
    Sorry::new(format!("There is no asset {name:?} that you may see.{hint} search_catalog finds by what things do."))
}
