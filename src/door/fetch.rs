//! Fetching documents that a body names by their address.

use crate::auth::{Actor, Permission};
use crate::base::{self, Fetched, HttpClient, Problem};
use crate::catalog::{NewAsset, NewDefinition};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

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

/// A line of an import with the documents that it gives by their address only; none where it gives none so.
///
/// # Errors
/// As [`fetch_definitions`].
pub async fn fetch_for_line(http: &HttpClient, actor: &Actor, line: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
    // Most lines need no second look.
    if ["\"url\"", "\"definition"].iter().any(|part| memchr::memmem::find(line, part.as_bytes()).is_none()) {
        return Ok(None);
    }
    // What is wrong with a line is told by whoever stores it.
    let Ok(Value::Object(mut line)) = base::parse_strict(line) else { return Ok(None) };
    let mut is_changed = false;
    if let Some(one) = line.get_mut("definition") {
        is_changed |= fetch_into(http, actor, one, "body.definition.url").await?;
    }
    for (i, one) in line.get_mut("definitions").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        is_changed |= fetch_into(http, actor, one, &format!("body.definitions[{i}].url")).await?;
    }
    Ok(is_changed.then(|| Value::Object(line).to_string().into_bytes()))
}

async fn fetch_into(http: &HttpClient, actor: &Actor, value: &mut Value, location: &str) -> Result<bool, Problem> {
    let Ok(mut definition) = serde_json::from_value::<NewDefinition>(value.clone()) else { return Ok(false) };
    let had = definition.base64.is_some();
    fetch_definition(http, actor, &mut definition, location).await?;
    match (definition.base64, value.as_object_mut()) {
        (Some(base64), Some(members)) if !had => {
            members.insert("base64".to_owned(), base64.into());
            Ok(true)
        }
        _ => Ok(false),
    }
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
