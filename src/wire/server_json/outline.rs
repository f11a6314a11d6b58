//! A `server.json` as an [`Outline`]: what people and the search see of it.

use super::{Issue, Reading, ServerJson, check, read};
use crate::wire::{Contact, ExternalDoc, Finding, Licence, Operation, Outline, Server};
use serde_json::{Map, Value, json};

/// What the document says about the server, with everything [`check`] finds among the findings.
///
/// The short description is the summary; the publisher's data gives the long one, tags, licence and tools, where it
/// has them. Publishers shape that data as they like, so each field is looked for in the forms that are in use.
#[must_use]
pub fn outline(document: &Value) -> Outline {
    let server = read(document);
    let nothing = Map::new();
    let publisher = server.publisher_data().unwrap_or(&nothing);
    let hosted = publisher.get("github").and_then(Value::as_object).unwrap_or(&nothing);

    Outline {
        format_name: format_name(&server),
        name: Some(server.name.clone()).filter(|name| !name.is_empty()),
        title: server.title.clone().or_else(|| text(hosted, "displayName")),
        summary: Some(server.description.clone()).filter(|text| !text.trim().is_empty()),
        description: ["fullDescription", "longDescription", "description", "readme"]
            .into_iter()
            .find_map(|key| text(publisher, key))
            .or_else(|| text(hosted, "readme")),
        version: Some(server.version.clone()).filter(|version| !version.is_empty()),
        licence: licence(publisher.get("license")).or_else(|| licence(hosted.get("license"))),
        contacts: contacts(publisher),
        external_docs: external_docs(&server, publisher),
        icons: server.icons.clone(),
        tags: tags(&server, publisher, hosted),
        servers: server
            .remotes
            .iter()
            .filter_map(|remote| {
                let transport = Some(remote.kind.clone()).filter(|kind| !kind.is_empty());
                Some(Server { url: remote.url.clone()?, description: None, transport })
            })
            .collect(),
        operations: tools(publisher),
        findings: check(document, Reading::Imported).into_iter().map(finding).collect(),
    }
}

fn format_name(server: &ServerJson) -> String {
    match server.schema.as_deref().and_then(super::rules::schema_date) {
        Some(date) => format!("server.json {date}"),
        None => "server.json".to_owned(),
    }
}

fn finding(issue: Issue) -> Finding {
    let location = issue.path.split('.').filter(|part| !part.is_empty()).fold(String::new(), |mut pointer, part| {
        for step in part.split('[') {
            pointer.push('/');
            pointer.push_str(&step.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
        }
        pointer
    });
    Finding { severity: issue.severity, rule: issue.reference, location, message: issue.message }
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn licence(value: Option<&Value>) -> Option<Licence> {
    let licence = match value? {
        Value::String(name) => Licence { name: Some(name.trim().to_owned()), url: None },
        Value::Object(map) => Licence {
            name: ["spdx", "spdx_id", "spdxId", "id", "name"].into_iter().find_map(|key| text(map, key)),
            url: text(map, "url"),
        },
        _ => return None,
    };
    let says_something = licence.url.is_some()
        || licence.name.as_deref().is_some_and(|name| {
            !["", "other", "none", "unknown", "noassertion"].contains(&name.to_ascii_lowercase().as_str())
        });
    says_something.then_some(licence)
}

fn contacts(publisher: &Map<String, Value>) -> Vec<Contact> {
    let people = ["maintainers", "maintainer", "vendor", "author"].into_iter().filter_map(|key| publisher.get(key));
    let email = text(publisher, "contactEmail").map(|email| Contact { email: Some(email), ..Contact::default() });
    people
        .flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice))
        .filter_map(|person| match person {
            Value::String(name) => Some(Contact { name: Some(name.clone()), ..Contact::default() }),
            Value::Object(map) => {
                Some(Contact { name: text(map, "name"), email: text(map, "email"), url: text(map, "url") })
            }
            _ => None,
        })
        .chain(email)
        .filter(|contact| *contact != Contact::default())
        .collect()
}

fn external_docs(server: &ServerJson, publisher: &Map<String, Value>) -> Vec<ExternalDoc> {
    let repository = server.repository.as_ref().map(|repository| ("Source code", Some(repository.url.clone())));
    let documentation = text(publisher, "documentationUrl").or_else(|| text(publisher, "documentation"));
    let mut docs: Vec<ExternalDoc> = Vec::new();
    let candidates =
        [("Website", server.website_url.clone()), ("Documentation", documentation)].into_iter().chain(repository);
    for (title, url) in candidates {
        let Some(url) = url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) else { continue };
        if docs.iter().all(|doc| doc.url != url) {
            docs.push(ExternalDoc { url, title: Some(title.to_owned()), description: None });
        }
    }
    docs
}

fn tags(server: &ServerJson, publisher: &Map<String, Value>, hosted: &Map<String, Value>) -> Vec<String> {
    let display = server.meta.get("ai.nimbletools.mcp/v1").and_then(|data| data["display"].as_object());
    let groups = [
        publisher.get("tags"),
        publisher.get("category"),
        publisher.get("categories"),
        publisher.get("keywords"),
        hosted.get("topics"),
        display.and_then(|display| display.get("category")),
        display.and_then(|display| display.get("tags")),
    ];
    let stacklok = stacklok(publisher).filter_map(|artifact| artifact.get("tags"));

    let mut tags: Vec<String> = Vec::new();
    for value in groups.into_iter().flatten().chain(stacklok) {
        for item in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            let Some(tag) = item.as_str().map(str::trim) else { continue };
            if !tag.is_empty() && tag != "uncategorized" && tags.iter().all(|known| known != tag) {
                tags.push(tag.to_owned());
            }
        }
    }
    tags
}

/// The tools the publisher tells of: names alone, or names with what a `tools/list` answer says of them.
fn tools(publisher: &Map<String, Value>) -> Vec<Operation> {
    let own = publisher.get("tools").into_iter();
    // ToolHive keeps full definitions beside the names, so they come first: of two of a name the first stays.
    let stacklok = stacklok(publisher).flat_map(|artifact| {
        ["tool_definitions", "toolDefinitions", "tools"].into_iter().filter_map(|key| artifact.get(key))
    });

    let mut tools: Vec<Operation> = Vec::new();
    for item in own.chain(stacklok).filter_map(Value::as_array).flatten() {
        let Some(tool) = tool(item) else { continue };
        if tools.iter().all(|known| known.name != tool.name) {
            tools.push(tool);
        }
    }
    tools
}

fn tool(item: &Value) -> Option<Operation> {
    let map = match item {
        Value::String(name) if !name.trim().is_empty() => {
            return Some(Operation { name: name.trim().to_owned(), detail: json!({}), ..Operation::default() });
        }
        Value::Object(map) => map,
        _ => return None,
    };
    let detail: Map<String, Value> = [
        ("inputSchema", "inputSchema"),
        ("input_schema", "inputSchema"),
        ("outputSchema", "outputSchema"),
        ("annotations", "annotations"),
    ]
    .into_iter()
    .filter_map(|(from, to)| Some((to.to_owned(), map.get(from)?.clone())))
    .collect();
    Some(Operation {
        name: text(map, "name")?,
        title: text(map, "title"),
        description: text(map, "description"),
        detail: Value::Object(detail),
        ..Operation::default()
    })
}

/// ToolHive's data: one entry for each artifact.
fn stacklok(publisher: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let artifacts = publisher.get("io.github.stacklok").and_then(Value::as_object);
    artifacts.into_iter().flat_map(Map::values).filter_map(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::super::PUBLISHER_PROVIDED;
    use super::*;
    use crate::wire::Severity;

    #[test]
    fn the_publishers_data_fills_what_the_format_leaves_short() {
        let outline = outline(&json!({
            "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": "com.example/files", "description": "Files, short", "version": "1.2.3", "title": "Files",
            "websiteUrl": "https://example.com", "repository": {"url": "https://github.com/a/b", "source": "github"},
            "icons": [{"src": "https://example.com/i.png", "mimeType": "image/png"}],
            "remotes": [{"type": "streamable-http", "url": "https://example.com/mcp"}],
            "_meta": {PUBLISHER_PROVIDED: {
                "fullDescription": "All about files.", "category": "storage", "tags": ["files", "storage"],
                "license": "mit", "maintainers": [{"name": "Ann", "url": "https://example.com/ann"}],
                "tools": [{"name": "read", "description": "Reads", "inputSchema": {"type": "object"}}, "write", {"name": "read"}],
                "io.github.stacklok": {"ghcr.io/x:1": {"tags": ["ops"], "tools": ["list", "write"]}},
            }},
        }));

        assert_eq!(outline.format_name, "server.json 2025-12-11");
        assert_eq!(outline.name.as_deref(), Some("com.example/files"));
        assert_eq!(outline.summary.as_deref(), Some("Files, short"));
        assert_eq!(outline.description.as_deref(), Some("All about files."));
        assert_eq!(outline.tags, ["files", "storage", "ops"]);
        assert_eq!(outline.licence.unwrap().name.as_deref(), Some("mit"));
        assert_eq!(outline.contacts[0].name.as_deref(), Some("Ann"));
        assert_eq!(
            outline.operations.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(),
            ["read", "write", "list"]
        );
        assert_eq!(outline.operations[0].detail["inputSchema"]["type"], "object");
        assert_eq!(outline.servers[0].transport.as_deref(), Some("streamable-http"));
        assert_eq!(outline.external_docs.len(), 2);
        assert_eq!(outline.findings, []);
    }

    #[test]
    fn what_breaks_a_rule_is_among_the_findings_with_a_pointer() {
        let outline = outline(&json!({"name": "com.example/xy", "description": "X", "version": "1", "packages": [{
            "registryType": "npm", "identifier": "x", "version": "latest", "transport": {"type": "stdio"}}]}));

        let wrong: Vec<_> = outline.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].location, "/packages/0/version");
    }

    #[test]
    fn odd_publisher_data_is_passed_over() {
        let outline = outline(&json!({"name": "a.b/c", "_meta": {PUBLISHER_PROVIDED: {
            "tools": "many", "tags": [1, {}, " "], "license": "other", "maintainers": 7, "io.github.stacklok": []}}}));

        assert!(outline.operations.is_empty() && outline.tags.is_empty() && outline.contacts.is_empty());
        assert_eq!(outline.licence, None);
    }
}
