//! The agent card of the A2A protocol, versions 0.2 to 1.0: what an agent is and can do.

use super::definition::Refusal;
use super::findings::Findings;
use super::{Contact, ExternalDoc, Icon, Operation, Outline, Server};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Members of a skill that are kept as its detail.
const SKILL_DETAIL: [&str; 5] = ["examples", "inputModes", "outputModes", "security", "securityRequirements"];

/// What an agent card says; its skills are the operations.
///
/// # Errors
/// [`Refusal`] when it is no object, or names neither the agent nor any skill.
pub fn read(card: &Value) -> Result<Outline, Refusal> {
    let Some(card) = card.as_object() else {
        return Err(Refusal::at("", "an agent card is an object; this is not"));
    };
    if let Some(skills) = card.get("skills").filter(|skills| !skills.is_array() && !skills.is_null()) {
        let kind = if skills.is_object() { "an object" } else { "a single value" };
        return Err(Refusal::at("/skills", format!("`skills` is {kind}; it must be a list")));
    }
    if text(card, "name").is_none() && !card.contains_key("skills") {
        return Err(Refusal::at("", "an agent card has at least a `name` or `skills`; this has neither"));
    }

    let mut findings = Findings::default();
    for key in ["name", "description", "version"] {
        if text(card, key).is_none() {
            findings.warn(&format!("missing-{key}"), "", format!("`{key}` is missing"));
        }
    }
    let servers = servers(card);
    if servers.is_empty() {
        findings.warn("missing-url", "", "the card does not say where the agent is reached");
    }
    let skills = card.get("skills").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let operations = skills_of(skills, &mut findings);
    let mut known = HashSet::new();
    let tags = operations.iter().flat_map(|skill| &skill.tags).filter(|tag| known.insert(*tag)).cloned().collect();

    let provider = card.get("provider").and_then(Value::as_object);
    let contact = provider.map(|provider| Contact {
        name: text(provider, "organization"),
        email: None,
        url: text(provider, "url"),
    });
    let link = |key: &str, title: &str| {
        let url = text(card, key)?;
        Some(ExternalDoc { url, title: Some(title.to_owned()), description: None })
    };
    let version = protocol_version(card);
    Ok(Outline {
        format_name: version.map_or_else(|| "A2A agent card".to_owned(), |number| format!("A2A agent card {number}")),
        title: text(card, "name"),
        description: text(card, "description"),
        version: text(card, "version"),
        contacts: contact.into_iter().filter(|contact| *contact != Contact::default()).collect(),
        external_docs: link("documentationUrl", "Documentation").into_iter().collect(),
        icons: text(card, "iconUrl").map(|src| Icon { src, ..Icon::default() }).into_iter().collect(),
        tags,
        servers,
        operations,
        findings: findings.finish(),
        ..Outline::default()
    })
}

/// Stated by the card, or since 1.0 by its first interface.
fn protocol_version(card: &Map<String, Value>) -> Option<String> {
    let interfaces = card.get("supportedInterfaces").and_then(Value::as_array);
    text(card, "protocolVersion").or_else(|| text(interfaces?.first()?.as_object()?, "protocolVersion"))
}

/// The addresses: the preferred one first, each address and transport once.
fn servers(card: &Map<String, Value>) -> Vec<Server> {
    let main = text(card, "url").map(|url| Server {
        url,
        description: None,
        // Version 0.2 and 0.3: JSON-RPC unless the card says otherwise.
        transport: Some(text(card, "preferredTransport").unwrap_or_else(|| "JSONRPC".to_owned())),
    });
    let listed =
        ["supportedInterfaces", "additionalInterfaces"].into_iter().filter_map(|key| card.get(key)?.as_array());
    let others = listed.flatten().filter_map(|interface| {
        let interface = interface.as_object()?;
        let transport = text(interface, "protocolBinding").or_else(|| text(interface, "transport"));
        Some(Server { url: text(interface, "url")?, description: None, transport })
    });
    let mut servers: Vec<Server> = Vec::new();
    for server in main.into_iter().chain(others) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn skills_of(skills: &[Value], findings: &mut Findings) -> Vec<Operation> {
    let mut names = HashSet::new();
    let mut operations = Vec::with_capacity(skills.len());
    for (i, skill) in skills.iter().enumerate() {
        let at = format!("/skills/{i}");
        let named =
            skill.as_object().and_then(|skill| Some((skill, text(skill, "id").or_else(|| text(skill, "name"))?)));
        let Some((skill, id)) = named else {
            findings.warn("unusable-skill", at, "a skill needs an `id`; this one is left out");
            continue;
        };
        let name: String = id.chars().take(200).collect();
        if !names.insert(name.clone()) {
            findings.warn("duplicate-skill", at, format!("the skill {name:?} stands twice; this one is left out"));
            continue;
        }
        let detail = SKILL_DETAIL.iter().filter_map(|key| Some(((*key).to_owned(), skill.get(*key)?.clone())));
        let tags = skill.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        operations.push(Operation {
            name,
            title: text(skill, "name"),
            description: text(skill, "description"),
            tags: tags.map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            detail: Value::Object(detail.collect()),
            ..Operation::default()
        });
    }
    operations
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_card_says_who_where_and_what() {
        let outline = read(&json!({
            "protocolVersion": "0.3.0",
            "name": "Harbour pilot",
            "description": "Brings ships in.",
            "version": "2.1.0",
            "url": "https://pilot.example/a2a",
            "preferredTransport": "GRPC",
            "additionalInterfaces": [
                {"url": "https://pilot.example/a2a", "transport": "GRPC"},
                {"url": "https://pilot.example/json", "transport": "JSONRPC"},
            ],
            "provider": {"organization": "Harbour office", "url": "https://harbour.example"},
            "documentationUrl": "https://pilot.example/docs",
            "iconUrl": "https://pilot.example/icon.png",
            "skills": [
                {"id": "berth", "name": "Find a berth", "description": "By length and draught.",
                 "tags": ["berths"], "examples": ["a berth for 40 m"]},
                {"id": "berth", "name": "Again"},
                {"name": "tides"},
                {"tags": []},
            ],
        }))
        .unwrap();

        assert_eq!(outline.format_name, "A2A agent card 0.3.0");
        assert_eq!((outline.title.as_deref(), outline.version.as_deref()), (Some("Harbour pilot"), Some("2.1.0")));
        let servers: Vec<_> = outline.servers.iter().map(|s| (s.url.as_str(), s.transport.as_deref())).collect();
        assert_eq!(
            servers,
            [("https://pilot.example/a2a", Some("GRPC")), ("https://pilot.example/json", Some("JSONRPC"))]
        );
        let names: Vec<_> = outline.operations.iter().map(|skill| skill.name.as_str()).collect();
        assert_eq!(names, ["berth", "tides"]);
        assert_eq!(outline.operations[0].detail, json!({"examples": ["a berth for 40 m"]}));
        assert_eq!(outline.tags, ["berths"]);
        assert_eq!(outline.contacts[0].name.as_deref(), Some("Harbour office"));
        assert_eq!((outline.external_docs.len(), outline.icons.len(), outline.findings.len()), (1, 1, 2));
    }

    #[test]
    fn a_card_of_version_1_lists_its_interfaces() {
        let outline = read(&json!({
            "name": "Pilot", "description": "d", "version": "1", "skills": [],
            "supportedInterfaces": [
                {"url": "https://pilot.example/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            ],
        }))
        .unwrap();

        assert_eq!(outline.format_name, "A2A agent card 1.0");
        assert_eq!(outline.servers[0].transport.as_deref(), Some("JSONRPC"));
        assert!(outline.findings.is_empty(), "{:?}", outline.findings);
    }

    #[test]
    fn what_is_no_card_is_refused_with_its_place() {
        for (card, location) in [(json!([]), ""), (json!({}), ""), (json!({"name": "a", "skills": {}}), "/skills")] {
            assert_eq!(read(&card).unwrap_err().errors[0].location, location, "{card}");
        }
    }
}
