//! The server.json that the MCP registry API shows of a version: the registered one, or one made of what we know.

use super::draft::{DefinitionDraft, DeploymentDraft, VersionDraft};
use crate::wire::Format;
use serde_json::{Map, Value, json};

/// Schema named by the documents we make.
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/// Most bytes the publisher's part may have, as the official registry has it.
const PUBLISHER_BYTES: usize = 4_096;
const PUBLISHER: &str = "io.modelcontextprotocol.registry/publisher-provided";

/// What the registry shows of an MCP server's version, as compact JSON.
///
/// A registered server.json is shown as it is, under the asset's name and version; `_meta` keeps every key, since
/// organisations put their own there.
#[must_use]
pub fn server_document(
    registry_name: &str,
    title: &str,
    summary: &str,
    description: &str,
    version: &VersionDraft,
) -> String {
    let registered = version.definition.as_ref().and_then(registered);
    let mut server = registered.unwrap_or_else(|| made(title, summary, description, version));
    server.insert("name".to_owned(), registry_name.into());
    server.insert("version".to_owned(), version.name.clone().into());
    Value::Object(server).to_string()
}

fn registered(definition: &DefinitionDraft) -> Option<Map<String, Value>> {
    if definition.format != Format::ServerJson {
        return None;
    }
    let text = definition.content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&definition.content);
    match serde_json::from_slice(text) {
        Ok(Value::Object(server)) => Some(server),
        _ => None,
    }
}

fn made(title: &str, summary: &str, description: &str, version: &VersionDraft) -> Map<String, Value> {
    let short = if summary.is_empty() { title } else { summary };
    let remotes: Vec<_> = version.deployments.iter().filter_map(remote).collect();
    let mut server = Map::new();
    server.insert("$schema".to_owned(), SCHEMA.into());
    server.insert("name".to_owned(), Value::Null);
    server.insert("title".to_owned(), cut(title, 100).into());
    server.insert("description".to_owned(), cut(short, 100).into());
    server.insert("version".to_owned(), Value::Null);
    if !remotes.is_empty() {
        server.insert("remotes".to_owned(), remotes.into());
    }

    let mut publisher = Map::new();
    if description.len() > 100 {
        publisher.insert("fullDescription".to_owned(), cut(description, 1_500).into());
    }
    let mut tools = Vec::new();
    for operation in &version.operations {
        let text = operation.description.as_deref().or(operation.summary.as_deref()).unwrap_or_default();
        tools.push(json!({"name": operation.name, "description": cut(text, 200)}));
        publisher.insert("tools".to_owned(), tools.clone().into());
        if serde_json::to_vec(&publisher).map_or(usize::MAX, |bytes| bytes.len()) > PUBLISHER_BYTES {
            tools.pop();
            publisher.insert("tools".to_owned(), tools.clone().into());
            publisher.insert("toolsTruncated".to_owned(), true.into());
            break;
        }
    }
    if !publisher.is_empty() {
        server.insert("_meta".to_owned(), json!({ PUBLISHER: publisher }));
    }
    server
}

fn remote(deployment: &DeploymentDraft) -> Option<Value> {
    let transport = match deployment.transport.as_str() {
        "" => "streamable-http",
        known @ ("streamable-http" | "sse") => known,
        _ => return None,
    };
    deployment.url.starts_with("http").then(|| json!({"type": transport, "url": deployment.url}))
}

/// The text, or its first characters and an ellipsis; `most` characters in all.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(most - 1).map_or(text.len(), |(at, _)| at);
            format!("{}…", &text[..end])
        }
    }
}
