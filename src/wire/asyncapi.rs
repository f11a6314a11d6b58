//! AsyncAPI 2 and 3: what a description says about an API of messages.

use super::definition::Refusal;
use super::findings::Findings;
use super::openapi::{References, info, text};
use super::{Operation, Outline, Server};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// What the AsyncAPI description in `document` says: its operations are what is sent and received on its channels.
///
/// # Errors
/// [`Refusal`] with the JSON pointer and the reason when it states no version that is read, or lists its channels or
/// operations as anything but an object.
pub fn read(document: &Value) -> Result<Outline, Refusal> {
    let Some(root) = document.as_object() else {
        return Err(Refusal::at("", "an AsyncAPI description is an object; this is not"));
    };
    let Some(version) = text(root, "asyncapi") else {
        return Err(Refusal::at("/asyncapi", "`asyncapi` does not state a version"));
    };
    let is_second = match version.split('.').next() {
        Some("2") => true,
        Some("3") => false,
        _ => return Err(Refusal::at("/asyncapi", format!("version {version:?} is not read; 2 and 3 are"))),
    };
    for key in ["channels", "operations", "servers"] {
        if root.get(key).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return Err(Refusal::at(format!("/{key}"), format!("`{key}` must be an object")));
        }
    }

    let mut findings = Findings::default();
    let references = References::new(document);
    let mut outline = Outline { format_name: format!("AsyncAPI {version}"), ..info::read(root, &mut findings) };
    outline.servers = members(root, "servers").filter_map(|(_, server)| server_of(references.follow(server))).collect();
    let operations: Vec<Operation> = if is_second {
        members(root, "channels").flat_map(|(name, channel)| second(name, references.follow(channel))).collect()
    } else {
        members(root, "operations").filter_map(|(name, operation)| third(name, operation, &references)).collect()
    };
    let mut names = HashSet::new();
    for operation in operations {
        if names.insert(operation.name.clone()) {
            outline.operations.push(operation);
        } else {
            let message = format!("the operation {:?} stands twice; the second is left out", operation.name);
            findings.warn("duplicate-operation-id", "", message);
        }
    }
    outline.findings = findings.finish();
    Ok(outline)
}

fn members<'a>(map: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let object = map.get(key).and_then(Value::as_object);
    object.into_iter().flatten().filter(|(name, _)| !name.starts_with("x-"))
}

/// Version 2 writes the address whole, version 3 in parts.
fn server_of(server: &Value) -> Option<Server> {
    let server = server.as_object()?;
    let protocol = text(server, "protocol");
    let url = text(server, "url").or_else(|| {
        let path = text(server, "pathname").unwrap_or_default();
        Some(format!("{}://{}{path}", protocol.as_deref().unwrap_or("https"), text(server, "host")?))
    })?;
    Some(Server { url, description: text(server, "description"), transport: protocol })
}

/// `publish` and `subscribe` of a channel of version 2.
fn second(channel: &str, item: &Value) -> Vec<Operation> {
    let of = |action: &str| {
        let operation = item.get(action)?.as_object()?;
        let name = text(operation, "operationId").unwrap_or_else(|| format!("{action}_{}", slug(channel)));
        Some(described(name, action, channel, operation, item.get("parameters")))
    };
    ["publish", "subscribe"].into_iter().filter_map(of).collect()
}

/// An operation of version 3, and the channel it refers to.
fn third<'a>(name: &str, written: &'a Value, references: &References<'a>) -> Option<Operation> {
    let operation = references.follow(written).as_object()?;
    let channel = operation.get("channel").map(|channel| references.follow(channel));
    let address = channel.and_then(|channel| text(channel.as_object()?, "address")).unwrap_or_default();
    let action = text(operation, "action").unwrap_or_else(|| "send".to_owned());
    let parameters = channel.and_then(|channel| channel.get("parameters"));
    Some(described(name.to_owned(), &action, &address, operation, parameters))
}

fn described(
    name: String,
    action: &str,
    channel: &str,
    operation: &Map<String, Value>,
    parameters: Option<&Value>,
) -> Operation {
    let tags = operation.get("tags").and_then(Value::as_array).into_iter().flatten();
    let message = operation.get("message").or_else(|| operation.get("messages"));
    let mut detail = json!({});
    for (key, value) in [("parameters", parameters), ("message", message)] {
        if let Some(value) = value.filter(|value| value.to_string().len() <= 16 << 10) {
            // Not under `parameters`: that is a list elsewhere, and here a map.
            detail[if key == "parameters" { "channelParameters" } else { key }] = value.clone();
        }
    }
    Operation {
        name: name.chars().take(200).collect(),
        title: text(operation, "title"),
        method: Some(action.to_ascii_uppercase()),
        path: Some(channel.to_owned()).filter(|channel| !channel.is_empty()),
        summary: text(operation, "summary"),
        description: text(operation, "description"),
        tags: tags.filter_map(|tag| text(tag.as_object()?, "name")).collect(),
        detail,
        ..Operation::default()
    }
}

fn slug(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_version_2_are_read() {
        let outline = read(&json!({
            "asyncapi": "2.6.0",
            "info": {"title": "Harbour events", "version": "1.0.0"},
            "servers": {"main": {"url": "mqtt://events.example:1883", "protocol": "mqtt"}},
            "channels": {"ships/{id}/arrived": {
                "parameters": {"id": {"schema": {"type": "string"}}},
                "subscribe": {"operationId": "shipArrived", "summary": "A ship has arrived", "message": {"payload": {}}},
                "publish": {"tags": [{"name": "ships"}]},
            }},
        }))
        .unwrap();

        let names: Vec<_> = outline.operations.iter().map(|operation| operation.name.as_str()).collect();
        assert_eq!(names, ["publish_ships_id_arrived", "shipArrived"]);
        assert_eq!(outline.operations[1].path.as_deref(), Some("ships/{id}/arrived"));
        assert_eq!(outline.servers[0].transport.as_deref(), Some("mqtt"));
        assert_eq!(
            (outline.title.as_deref(), outline.format_name.as_str()),
            (Some("Harbour events"), "AsyncAPI 2.6.0")
        );
        assert!(outline.findings.is_empty(), "{:?}", outline.findings);
    }

    #[test]
    fn operations_of_version_3_are_read() {
        let outline = read(&json!({
            "asyncapi": "3.0.0",
            "info": {"title": "Harbour events", "version": "1.0.0"},
            "servers": {"main": {"host": "events.example", "pathname": "/v1", "protocol": "wss"}},
            "channels": {"arrivals": {"address": "ships.arrived"}},
            "operations": {"onArrival": {"action": "receive", "channel": {"$ref": "#/channels/arrivals"}}},
        }))
        .unwrap();

        assert_eq!(outline.servers[0].url, "wss://events.example/v1");
        assert_eq!(outline.operations[0].method.as_deref(), Some("RECEIVE"));
        assert_eq!(outline.operations[0].path.as_deref(), Some("ships.arrived"));
    }

    #[test]
    fn what_is_no_description_is_refused_with_its_place() {
        for (document, location) in [
            (json!([]), ""),
            (json!({}), "/asyncapi"),
            (json!({"asyncapi": "1.2.0"}), "/asyncapi"),
            (json!({"asyncapi": "2.0.0", "channels": []}), "/channels"),
        ] {
            assert_eq!(read(&document).unwrap_err().errors[0].location, location, "{document}");
        }
    }
}
