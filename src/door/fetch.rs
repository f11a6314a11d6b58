//! Fetching documents that a body names by their address.

use crate::auth::{Actor, Permission};
use crate::base::{Fetched, HttpClient, Problem};
use crate::catalog::{NewAsset, NewDefinition};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Fetches the documents of `new` that are given by their address only; they are then carried as if they had been sent.
///
/// # Errors
/// 401 or 403 for those who may register nothing: nobody makes us call others for nothing. 422 naming the place when a
/// document cannot be fetched.
pub async fn fetch_definitions(http: &HttpClient, actor: &Actor, new: &mut NewAsset) -> Result<(), Problem> {
    if let Some(definition) = &mut new.definition {
        fetch_definition(http, actor, definition, "body.definition.url").await?;
    }
    for (i, further) in new.definitions.iter_mut().flatten().enumerate() {
        fetch_definition(http, actor, further, &format!("body.definitions[{i}].url")).await?;
    }
    Ok(())
}

/// As [`fetch_definitions`], of one document that stands at `location`.
///
/// # Errors
/// As there.
pub async fn fetch_definition(
    http: &HttpClient,
    actor: &Actor,
    definition: &mut NewDefinition,
    location: &str,
) -> Result<(), Problem> {
    let Some(url) = definition.url.clone() else { return Ok(()) };
    if definition.value.is_some() || definition.base64.is_some() {
        return Ok(());
    }
    let fetched = fetch_document(http, actor, &url, location).await?;
    definition.base64 = Some(STANDARD.encode(&fetched.bytes));
    Ok(())
}

/// The document at `url`, an address that stands at `location` of what was sent.
///
/// # Errors
/// As [`fetch_definitions`].
pub async fn fetch_document(http: &HttpClient, actor: &Actor, url: &str, location: &str) -> Result<Fetched, Problem> {
    actor.require_somewhere(Permission::WriteCatalog)?;
    http.fetch(url).await.map_err(|problem| {
        let message = problem.detail.trim_end_matches('.').to_owned();
        Problem { help: problem.help, ..Problem::invalid_field(location, message) }
    })
}
