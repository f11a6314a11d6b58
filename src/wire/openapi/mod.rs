//! OpenAPI 2.0, 3.0, 3.1 and 3.2: what a description says, read with patience.
//!
//! Real descriptions break their specification in many small ways and still describe an API, so [`read`] takes what it
//! can and tells the rest as findings. It refuses only what no reader could use: no version, `paths` that are no object,
//! nothing described at all.

mod detail;
mod expansion;
pub(super) mod info;
mod links;
mod operation;
mod reference;
#[cfg(test)]
mod tests;

use super::Outline;
use super::definition::Refusal;
use super::findings::{Findings, counted};
pub(super) use reference::{References, name_of};
use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edition {
    V2,
    V3_0,
    V3_1,
    V3_2,
}

/// What the OpenAPI description in `document` says.
///
/// Operations are those below `paths`, with the path item's parameters, in the order of the document. Local references
/// are opened as deep as the bound of an operation's detail allows; references into other documents stay as they are.
///
/// # Errors
/// [`Refusal`] with the JSON pointer and the reason when this is no OpenAPI description that could be used.
pub fn read(document: &Value) -> Result<Outline, Refusal> {
    let Some(root) = document.as_object() else {
        return Err(Refusal::at("", "an OpenAPI description is an object; this is not"));
    };
    let mut findings = Findings::default();
    let (edition, format_name) = edition(root, &mut findings)?;
    let paths = section(root, "paths")?;
    let webhooks = section(root, "webhooks")?;
    let describes_parts = ["components", "definitions"].iter().any(|key| root.get(*key).is_some_and(Value::is_object));
    if paths.is_none() && webhooks.is_none() && !describes_parts {
        return Err(Refusal::at("", "the description has neither paths, nor webhooks, nor components"));
    }

    let references = References::new(document);
    let mut outline = Outline { format_name, ..info::read(root, &mut findings) };
    outline.servers = if edition == Edition::V2 { info::swagger_servers(root) } else { info::servers(root) };
    match paths {
        Some(paths) => {
            outline.operations = operation::operations(root, paths, edition, &references, &mut findings);
        }
        None if webhooks.is_none() => findings.warn("missing-paths", "", "no paths are described, only parts of them"),
        None => {}
    }
    info::add_tags_of_operations(&mut outline);
    if let Some(count) = webhooks.map(Map::len).filter(|count| *count > 0) {
        let message = format!("{} kept in the document, not listed as operations", counted(count, "webhook"));
        findings.tell("webhooks", "/webhooks", message);
    }
    links::check(document, &references, &mut findings);
    outline.findings = findings.finish();
    Ok(outline)
}

/// The version, which some write as a number, and its name for people.
fn edition(root: &Map<String, Value>, findings: &mut Findings) -> Result<(Edition, String), Refusal> {
    let version = |key| match root.get(key) {
        Some(Value::String(text)) => Some(text.trim().to_owned()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let (key, version) = match (version("openapi"), version("swagger")) {
        (Some(version), _) => ("openapi", version),
        (None, Some(version)) => ("swagger", version),
        (None, None) => {
            let reason = "neither `openapi` nor `swagger` states a version, so this is no OpenAPI description";
            return Err(Refusal::at("", reason));
        }
    };
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let edition = match (numbers.next(), numbers.next()) {
        (Some(Ok(2)), None | Some(Ok(0))) => Edition::V2,
        (Some(Ok(3)), None | Some(Ok(0))) => Edition::V3_0,
        (Some(Ok(3)), Some(Ok(1))) => Edition::V3_1,
        (Some(Ok(3)), Some(Ok(2))) => Edition::V3_2,
        (Some(Ok(3)), Some(_)) => {
            let message = format!("OpenAPI {version} is not known here; it is read as 3.2");
            findings.warn("unknown-version", format!("/{key}"), message);
            Edition::V3_2
        }
        _ => {
            let reason = format!("version {version:?} is not read; 2.0, 3.0, 3.1 and 3.2 are");
            return Err(Refusal::at(format!("/{key}"), reason));
        }
    };
    Ok((edition, format!("OpenAPI {version}")))
}

/// A top-level member that must be an object where it has a value at all.
fn section<'a>(root: &'a Map<String, Value>, key: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match root.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => {
            let kind = if other.is_array() { "a list" } else { "a single value" };
            Err(Refusal::at(format!("/{key}"), format!("`{key}` is {kind}; it must be an object")))
        }
    }
}

/// A member as text: strings that are not blank, numbers and truth values as they are written.
pub(super) fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    match map.get(key)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        _ => None,
    }
}
