//! Resources: assets, their documents and their operations, under `catalog://` addresses.

use super::address::{Address, Part, TEMPLATES};
use super::tools;
use crate::auth::Actor;
use crate::base::{Cursor, Limit, Problem};
use crate::catalog::{Card, CardFilter};
use crate::door::Handles;
use base64::{Engine, engine::general_purpose::STANDARD};
use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

/// Longest description in a list.
const SUMMARY_LENGTH: usize = 300;

/// A page of the assets the actor may see, newest change first.
pub(super) async fn list(
    handles: &Handles,
    actor: &Actor,
    cursor: Option<String>,
) -> Result<ListResourcesResult, Problem> {
    let cursor = cursor.as_deref().map(Cursor::from_text);
    let page = handles.catalog.list(actor, &CardFilter::default(), cursor.as_ref(), Limit(Limit::MAX)).await?;
    let mut result = ListResourcesResult::with_all_items(page.items.iter().map(of_card).collect());
    result.next_cursor = page.next.map(|next| next.as_str().to_owned());
    Ok(result)
}

fn of_card(card: &Card) -> Resource {
    let uri = Address::asset(&card.workspace, &card.name).uri();
    let resource =
        Resource::new(uri, card.name.clone()).with_title(card.title.clone()).with_mime_type("application/json");
    if card.summary.is_empty() {
        resource
    } else {
        resource.with_description(tools::cut(&card.summary, SUMMARY_LENGTH))
    }
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    TEMPLATES
        .into_iter()
        .map(|(name, title, description, template)| {
            let one = ResourceTemplate::new(template, name).with_title(title).with_description(description);
            // Definitions are of many types.
            if name == "definition" { one } else { one.with_mime_type("application/json") }
        })
        .collect()
}

/// What the address names, in full.
///
/// # Errors
/// 404 for what is no address, or of nothing the actor may see.
pub(super) async fn read(handles: &Handles, actor: &Actor, uri: &str) -> Result<ReadResourceResult, Problem> {
    let Some(address) = Address::parse(uri) else {
        let forms: Vec<_> = TEMPLATES.iter().map(|template| template.3).collect();
        let why = format!("{uri:?} is no address of this register; there are {}.", forms.join(", "));
        return Err(Problem::not_found(why));
    };
    Ok(ReadResourceResult::new(vec![contents(handles, actor, &address, uri).await?]))
}

async fn contents(handles: &Handles, actor: &Actor, address: &Address, uri: &str) -> Result<ResourceContents, Problem> {
    let (workspace, name) = (address.workspace.as_str(), address.name.as_str());
    match &address.part {
        Part::Asset => {
            let asked = tools::Asked { handles, actor: actor.clone() };
            let described = tools::described(&asked, workspace, name).await?;
            Ok(ResourceContents::text(described, uri).with_mime_type("application/json"))
        }
        Part::Definition { version } => {
            let found = handles.catalog.definition(actor, (workspace, name, version), None).await?;
            let contents = match String::from_utf8(found.content) {
                Ok(text) => ResourceContents::text(text, uri),
                Err(binary) => ResourceContents::blob(STANDARD.encode(binary.as_bytes()), uri),
            };
            Ok(contents.with_mime_type(found.definition.media_type))
        }
        Part::Operation { version, operation } => {
            let (_, _, found) = handles.catalog.operation(actor, (workspace, name, version), operation).await?;
            let text = serde_json::to_string(&found).expect("an operation is plain data");
            Ok(ResourceContents::text(text, uri).with_mime_type("application/json"))
        }
    }
}

/// Why a resource is not given, in the protocol's terms.
pub(super) fn unread(problem: Problem, uri: &str) -> ErrorData {
    match problem.status.as_u16() {
        404 => ErrorData::resource_not_found(problem.detail, Some(json!({ "uri": uri }))),
        _ => refusal(problem),
    }
}

/// Why a request is not answered, in the protocol's terms.
pub(super) fn refusal(problem: Problem) -> ErrorData {
    if problem.status.is_client_error() {
        ErrorData::invalid_params(problem.detail, None)
    } else {
        ErrorData::internal_error(problem.detail, None)
    }
}
