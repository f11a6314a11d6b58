//! What format a document is in, found out from what stands in it.

use super::{Document, Format, Syntax};
use serde_json::{Map, Value};

/// The format of a JSON or YAML document; [`Format::Other`] when nothing in it says.
#[must_use]
pub fn detect(document: &Document) -> Format {
    match &document.value {
        // `type Query { boats: Int }` is a mapping to YAML; but a comment in YAML is no heading of Markdown.
        Value::Object(members) => match (of_object(members), document.syntax) {
            (Format::Other, Syntax::Yaml) => {
                Some(detect_text(&document.text)).filter(|format| *format != Format::Markdown).unwrap_or(Format::Other)
            }
            (format, _) => format,
        },
        Value::String(_) => detect_text(&document.text),
        _ => Format::Other,
    }
}

fn of_object(members: &Map<String, Value>) -> Format {
    let has = |key: &str| members.contains_key(key);
    let is_text = |key: &str| members.get(key).is_some_and(Value::is_string);
    let is_list = |key: &str| members.get(key).is_some_and(Value::is_array);
    let schema = members.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let introspected = members.get("data").and_then(Value::as_object).unwrap_or(members);

    if has("openapi") || has("swagger") {
        Format::OpenApi
    } else if has("asyncapi") {
        Format::AsyncApi
    } else if schema.contains("server.schema.json")
        || (is_text("name")
            && (is_list("packages") || is_list("remotes"))
            && (is_text("description") || is_text("version")))
    {
        Format::ServerJson
    } else if is_text("name")
        && is_list("skills")
        && ["url", "supportedInterfaces", "protocolVersion", "capabilities"].into_iter().any(has)
    {
        Format::AgentCard
    } else if introspected.get("__schema").is_some_and(Value::is_object) {
        Format::GraphQl
    } else {
        Format::Other
    }
}

/// The format of a text that is neither JSON nor YAML: GraphQL's schema language, protocol buffers, WSDL, Markdown.
#[must_use]
pub fn detect_text(text: &str) -> Format {
    let begin = text.trim_start();
    if begin.starts_with('<') {
        let head = &begin[..begin.floor_char_boundary(4_096)];
        let is_wsdl = head.contains("schemas.xmlsoap.org/wsdl") || head.contains("www.w3.org/ns/wsdl");
        return if is_wsdl { Format::Wsdl } else { Format::Other };
    }
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().any(|line| line.starts_with("syntax") && line.contains("\"proto"))
        || lines().any(|line| line.starts_with("service ") && line.ends_with('{')) && text.contains("rpc ")
    {
        return Format::Grpc;
    }
    let is_type = |line: &str| {
        let line = line.strip_prefix("extend ").unwrap_or(line);
        ["type Query", "type Mutation", "type Subscription", "schema {", "schema{", "schema @"]
            .iter()
            .any(|begin| line.starts_with(begin))
    };
    if lines().any(is_type) {
        return Format::GraphQl;
    }
    if lines().any(is_markdown) { Format::Markdown } else { Format::Other }
}

fn is_markdown(line: &str) -> bool {
    let heading = line.trim_start_matches('#');
    let level = line.len() - heading.len();
    ((1..=6).contains(&level) && heading.starts_with(' ')) || line.starts_with("```") || line.contains("](http")
}

/// Whether a text that could not be read means to be one of the formats written in JSON or YAML: then its fault is to
/// be told, and it must not pass as Markdown because it begins with a comment.
pub(super) fn means_to_be_structured(text: &str) -> bool {
    let begins = text.trim_start().starts_with(['{', '[', '%']) || text.trim_start().starts_with("---");
    begins
        || text.lines().any(|line| {
            ["openapi:", "swagger:", "asyncapi:", "\"openapi\":", "\"swagger\":", "paths:", "components:"]
                .iter()
                .any(|key| line.starts_with(key))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_known_from_what_stands_in_the_document() {
        for (text, format) in [
            ("{\"openapi\": \"3.1.0\"}", Format::OpenApi),
            ("swagger: 2.0\npaths: {}\n", Format::OpenApi),
            ("asyncapi: 3.0.0\n", Format::AsyncApi),
            (
                "{\"$schema\": \"https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json\"}",
                Format::ServerJson,
            ),
            ("{\"name\": \"com.example/ferry\", \"version\": \"1.0.0\", \"remotes\": []}", Format::ServerJson),
            ("{\"name\": \"Ferry\", \"url\": \"https://a.example\", \"skills\": []}", Format::AgentCard),
            ("{\"data\": {\"__schema\": {}}}", Format::GraphQl),
            ("{\"name\": \"ferry\", \"kind\": \"rest\"}", Format::Other),
            ("- a\n- b\n", Format::Other),
            ("Plain words\n", Format::Other),
            ("# Ferries\n\nHow to book one.\n", Format::Markdown),
        ] {
            let found = match Document::read(text.as_bytes()) {
                Ok(document) => detect(&document),
                Err(_) => detect_text(text),
            };
            assert_eq!(found, format, "{text}");
        }
    }

    #[test]
    fn texts_are_known_by_their_marks() {
        for (text, format) in [
            ("\"\"\"Boats\"\"\"\ntype Query {\n  boats: [Boat!]!\n}\n", Format::GraphQl),
            ("extend schema @link(url: \"x\")\ntype Query { a: Int }", Format::GraphQl),
            ("// Boats\nsyntax = \"proto3\";\npackage boats;\n", Format::Grpc),
            ("service Boats {\n  rpc List(Empty) returns (Boat);\n}\n", Format::Grpc),
            ("<?xml version=\"1.0\"?>\n<definitions xmlns=\"http://schemas.xmlsoap.org/wsdl/\"/>", Format::Wsdl),
            ("<html></html>", Format::Other),
            ("See [the docs](https://docs.example): here\n", Format::Markdown),
            ("#hashtag\n", Format::Other),
        ] {
            assert_eq!(detect_text(text), format, "{text}");
        }
    }

    #[test]
    fn a_broken_description_is_not_taken_for_markdown() {
        assert!(means_to_be_structured("# Ferry API\nopenapi: 3.0.0\n\tinfo:\n"));
        assert!(!means_to_be_structured("# Ferry\n\nIt says: go: now\n"));
    }
}
