//! What a description says about the API as a whole: `info`, tags, servers, where to read more.

use super::text;
use crate::wire::findings::Findings;
use crate::wire::{Contact, ExternalDoc, Icon, Licence, Outline, Server};
use serde_json::{Map, Value};

/// Everything but servers and operations; AsyncAPI writes these parts alike.
pub(in crate::wire) fn read(root: &Map<String, Value>, findings: &mut Findings) -> Outline {
    let nothing = Map::new();
    let info = root.get("info").and_then(Value::as_object).unwrap_or(&nothing);
    for key in ["title", "version"] {
        if text(info, key).is_none() {
            findings.warn(&format!("missing-{key}"), "/info", format!("`info.{key}` is missing"));
        }
    }
    for key in ["title", "summary", "description", "version"] {
        if info.get(key).is_some_and(|value| value.is_object() || value.is_array()) {
            findings.warn("unexpected-type", format!("/info/{key}"), format!("`info.{key}` must be a text"));
        }
    }
    Outline {
        title: text(info, "title").map(trimmed),
        summary: text(info, "summary"),
        description: text(info, "description"),
        version: text(info, "version").map(trimmed),
        licence: object(info, "license").map(|licence| Licence {
            name: text(licence, "identifier").or_else(|| text(licence, "name")),
            url: text(licence, "url"),
        }),
        contacts: object(info, "contact")
            .map(|contact| Contact {
                name: text(contact, "name"),
                email: text(contact, "email"),
                url: text(contact, "url"),
            })
            .filter(|contact| *contact != Contact::default())
            .into_iter()
            .collect(),
        external_docs: object(root, "externalDocs")
            .or_else(|| object(info, "externalDocs"))
            .and_then(external_doc)
            .into_iter()
            .collect(),
        icons: object(info, "x-logo")
            .and_then(|logo| text(logo, "url"))
            .map(|src| Icon { src, ..Icon::default() })
            .into_iter()
            .collect(),
        tags: tags(root.get("tags").or_else(|| info.get("tags"))),
        ..Outline::default()
    }
}

/// Adds the tags that only operations name.
pub(super) fn add_tags_of_operations(outline: &mut Outline) {
    let Outline { operations, tags, .. } = outline;
    let mut known: std::collections::HashSet<String> = tags.iter().cloned().collect();
    for tag in operations.iter().flat_map(|operation| &operation.tags) {
        if known.insert(tag.clone()) {
            tags.push(tag.clone());
        }
    }
}

fn tags(declared: Option<&Value>) -> Vec<String> {
    let declared = declared.and_then(Value::as_array).into_iter().flatten();
    let names = declared.filter_map(|tag| text(tag.as_object()?, "name")).map(trimmed);
    let mut known = std::collections::HashSet::new();
    names.filter(|name| known.insert(name.clone())).collect()
}

pub(super) fn servers(root: &Map<String, Value>) -> Vec<Server> {
    let told = root.get("servers").and_then(Value::as_array).into_iter().flatten();
    told.filter_map(|server| {
        let server = server.as_object()?;
        let url = text(server, "url").map(trimmed)?;
        Some(Server { url, description: text(server, "description").or_else(|| text(server, "name")), transport: None })
    })
    .collect()
}

/// Swagger 2.0 gives an address in three parts; without a host it says only a path below some address.
pub(super) fn swagger_servers(root: &Map<String, Value>) -> Vec<Server> {
    let base = text(root, "basePath").map(trimmed).unwrap_or_default();
    let base = if base.is_empty() || base.starts_with('/') { base } else { format!("/{base}") };
    let server = |url: String| Server { url, description: None, transport: None };
    let Some(host) = text(root, "host").map(trimmed) else {
        return if base.is_empty() { Vec::new() } else { vec![server(base)] };
    };
    let schemes = root.get("schemes").and_then(Value::as_array).into_iter().flatten();
    let schemes: Vec<&str> = schemes.filter_map(Value::as_str).collect();
    let schemes = if schemes.is_empty() { vec!["https"] } else { schemes };
    schemes.into_iter().map(|scheme| server(format!("{scheme}://{host}{base}"))).collect()
}

fn external_doc(doc: &Map<String, Value>) -> Option<ExternalDoc> {
    let url = text(doc, "url").map(trimmed)?;
    Some(ExternalDoc { url, title: None, description: text(doc, "description") })
}

fn object<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    map.get(key)?.as_object()
}

fn trimmed(text: String) -> String {
    text.trim().to_owned()
}
