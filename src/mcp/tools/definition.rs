//! `get_definition`: one operation or tool with its schemas, or the document piece by piece.

use super::super::address::Address;
use super::super::answer::{Found, Link, Sorry};
use super::{Asked, target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Name of the asset, or its catalog:// address.
    name: String,
    /// Its workspace; needed only where several have an asset of this name.
    #[serde(default)]
    workspace: Option<String>,
    /// Which version; the latest unless told.
    #[serde(default)]
    version: Option<String>,
    /// Name of one operation of an API.
    #[serde(default)]
    operation: Option<String>,
    /// Name of one tool of an MCP server.
    #[serde(default)]
    tool: Option<String>,
    /// `nextOffset` of an earlier answer, for the rest of a document.
    #[serde(default)]
    offset: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    workspace: String,
    name: String,
    version: String,
    /// The operation or tool: `name`, `method`, `path`, `description`, and `detail` with parameters and schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    /// Address of the whole as a resource.
    uri: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// `openapi`, `server-json` or another.
    format: String,
    media_type: String,
    text: String,
    /// Of the whole document, in characters.
    length: usize,
    /// Where the next piece begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
}

/// Characters of a document in one answer.
const PIECE: usize = 16_000;
/// Longest `detail` of an operation, as JSON; what is longer is read as a resource.
const MOST_DETAIL: usize = 60_000;

pub(super) async fn call(asked: &Asked<'_>, arguments: Arguments) -> Result<Found, Sorry> {
    let (workspace, name) = target::find(asked, arguments.workspace.as_deref(), &arguments.name).await?;
    let version = arguments.version.as_deref().unwrap_or("latest");
    let path = (workspace.as_str(), name.as_str(), version);
    match (&arguments.operation, &arguments.tool) {
        (Some(_), Some(_)) => {
            Err(Sorry::new("The arguments are wrong: give `operation` or `tool`, not both.".to_owned()))
        }
        (Some(wanted), None) | (None, Some(wanted)) => one_operation(asked, path, wanted).await,
        (None, None) => document(asked, path, arguments.offset.unwrap_or(0) as usize).await,
    }
}

async fn one_operation(asked: &Asked<'_>, path: (&str, &str, &str), wanted: &str) -> Result<Found, Sorry> {
    let (asset, version, found) = match asked.handles.catalog.operation(&asked.actor, path, wanted).await {
        Ok(found) => found,
        Err(error) => return Err(named_near(asked, path, wanted, error.into()).await),
    };
    let address = Address::operation(&asset.workspace, path.1, &version.name, &found.name);
    let mut operation = match serde_json::to_value(&found) {
        Ok(serde_json::Value::Object(operation)) => operation,
        _ => unreachable!("an operation is an object of plain data"),
    };
    if operation.get("detail").is_some_and(|detail| detail.to_string().len() > MOST_DETAIL) {
        let note = format!("longer than {MOST_DETAIL} characters; read the resource {}", address.uri());
        operation.insert("detail".to_owned(), serde_json::json!({ "leftOut": note }));
    }
    let part = Part {
        uri: address.uri(),
        workspace: asset.workspace,
        name: asset.name.to_string(),
        version: version.name,
        operation: Some(operation),
        document: None,
    };
    Ok(Found::new(&part).with_links([Link { address, title: found.name }]))
}

/// The asset is there, the operation is not: which there are.
async fn named_near(asked: &Asked<'_>, path: (&str, &str, &str), wanted: &str, problem: crate::base::Problem) -> Sorry {
    let listed = asked
        .handles
        .catalog
        .operations(&asked.actor, path, None, crate::base::Limit(crate::base::Limit::MAX), false)
        .await;
    match listed {
        Ok((_, _, page)) if problem.status.as_u16() == 404 && !page.items.is_empty() => {
            let mut names: Vec<_> = page.items.into_iter().map(|one| one.name).collect();
            let lower = wanted.to_lowercase();
            names.sort_by_key(|name| !name.to_lowercase().contains(&lower));
            names.truncate(12);
            Sorry::new(format!(
                "{} There are {} and more; describe_asset lists them.",
                problem.detail,
                names.join(", ")
            ))
        }
        _ => problem.into(),
    }
}

async fn document(asked: &Asked<'_>, path: (&str, &str, &str), offset: usize) -> Result<Found, Sorry> {
    let found = asked.handles.catalog.definition(&asked.actor, path, None).await?;
    let address = Address::definition(&found.asset.workspace, path.1, &found.version.name);
    let Ok(text) = String::from_utf8(found.content) else {
        return Err(Sorry::new(format!("The document is not text; read the resource {}.", address.uri())));
    };
    let length = text.chars().count();
    if offset > 0 && offset >= length {
        return Err(Sorry::new(format!(
            "The arguments are wrong: `offset` is {offset}, but the document has {length} characters."
        )));
    }
    let piece: String = text.chars().skip(offset).take(PIECE).collect();
    let end = offset + piece.chars().count();
    let part = Part {
        uri: address.uri(),
        workspace: found.asset.workspace,
        name: found.asset.name.to_string(),
        version: found.version.name,
        operation: None,
        document: Some(Document {
            format: found.definition.format,
            media_type: found.definition.media_type,
            text: piece,
            length,
            next_offset: (end < length).then_some(end),
        }),
    };
    Ok(Found::new(&part).with_links([Link { address, title: found.asset.title }]))
}
