//! The document itself, and a page on which people read it.

use super::document_bytes;
use crate::door::{Handles, PublicUrl};
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header;
use serde_json::Value;

pub fn router() -> Router<Handles> {
    Router::new().route("/api/v1/openapi.json", get(document)).route("/api/docs", get(page))
}

/// Any web page may read it: editors and viewers of such documents run elsewhere.
async fn document(State(url): State<PublicUrl>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, document_bytes(url.as_str())).into_response()
}

async fn page(State(url): State<PublicUrl>) -> Html<String> {
    let document = super::document(url.as_str());
    Html(Page::of(&document).render().expect("the template only writes text"))
}

/// What the page shows of the document.
#[derive(Template)]
#[template(path = "api_docs.html")]
struct Page {
    title: String,
    /// Paragraphs.
    introduction: Vec<String>,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

struct Group {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<String>,
    parameters: Vec<Row>,
    bodies: Vec<Row>,
    responses: Vec<Row>,
}

struct Schema {
    name: String,
    description: String,
    rows: Vec<Row>,
}

/// A row of a table: a name, what kind of value, and what it means.
struct Row {
    name: String,
    /// `query`, `path`; whether it is required; a media type.
    place: String,
    kind: Kind,
    text: String,
}

/// A type in words, or a link to a schema of the page.
struct Kind {
    words: String,
    link: Option<String>,
}

impl Page {
    fn of(document: &Value) -> Self {
        let all = document["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
        });
        let all: Vec<_> = all.collect();
        let groups = list(&document["tags"])
            .map(|tag| Group {
                name: text(tag, "name"),
                description: text(tag, "description"),
                operations: all
                    .iter()
                    .filter(|(.., operation)| operation["tags"][0] == tag["name"])
                    .map(|(path, method, operation)| Operation::of(path, method, operation))
                    .collect(),
            })
            .collect();
        let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
        Self {
            title: text(&document["info"], "title"),
            introduction: paragraphs(&text(&document["info"], "description")),
            groups,
            schemas: schemas.map(|(name, schema)| Schema::of(name, schema)).collect(),
        }
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let contents = |value: &Value| -> Vec<(String, Kind)> {
            let all = value["content"].as_object().into_iter().flatten();
            all.map(|(media, content)| (media.clone(), kind(&content["schema"]))).collect()
        };
        let responses = operation["responses"].as_object().into_iter().flatten().map(|(status, response)| {
            let content = contents(response).into_iter().next();
            let kind = content.map_or(Kind { words: String::new(), link: None }, |(_, kind)| kind);
            Row { name: status.clone(), place: String::new(), kind, text: text(response, "description") }
        });
        Self {
            id: text(operation, "operationId"),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(operation, "summary"),
            description: paragraphs(&text(operation, "description")),
            parameters: list(&operation["parameters"])
                .map(|one| Row {
                    name: text(one, "name"),
                    place: text(one, "in"),
                    kind: kind(&one["schema"]),
                    text: text(one, "description"),
                })
                .collect(),
            bodies: contents(&operation["requestBody"])
                .into_iter()
                .map(|(media, kind)| Row { name: media, place: String::new(), kind, text: String::new() })
                .collect(),
            responses: responses.collect(),
        }
    }

    /// Which look its method gets.
    fn method_class(&self) -> &'static str {
        match self.method.as_str() {
            "GET" => "method",
            "DELETE" => "method delete",
            _ => "method write",
        }
    }
}

impl Schema {
    fn of(name: &str, schema: &Value) -> Self {
        let mut rows = Vec::new();
        let parts = std::iter::once(schema).chain(list(&schema["allOf"])).chain(list(&schema["oneOf"]));
        for part in parts {
            if part["$ref"].is_string() {
                let kind = kind(part);
                rows.push(Row { name: String::new(), place: "all of".to_owned(), kind, text: String::new() });
            }
            let required: Vec<_> = list(&part["required"]).filter_map(Value::as_str).collect();
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                let place = if required.contains(&name.as_str()) { "always" } else { "" };
                rows.push(Row {
                    name: name.clone(),
                    place: place.to_owned(),
                    kind: kind(property),
                    text: text(property, "description"),
                });
            }
        }
        if rows.is_empty() {
            let words = Row { name: String::new(), place: String::new(), kind: kind(schema), text: String::new() };
            rows.push(words);
        }
        Self { name: name.to_owned(), description: text(schema, "description"), rows }
    }
}

/// A schema in a few words: its type and bounds.
fn kind(schema: &Value) -> Kind {
    if let Some(name) = schema["$ref"].as_str().and_then(|link| link.rsplit('/').next()) {
        return Kind { words: name.to_owned(), link: Some(name.to_owned()) };
    }
    let alternatives: Vec<Kind> = ["oneOf", "anyOf", "allOf"]
        .into_iter()
        .flat_map(|member| list(&schema[member]))
        .filter(|one| one["type"] != "null")
        .map(kind)
        .collect();
    if let Some(first) = alternatives.first() {
        let words = alternatives.iter().map(|one| one.words.as_str()).collect::<Vec<_>>().join(" or ");
        return Kind { words, link: first.link.clone().filter(|_| alternatives.len() == 1) };
    }
    if schema["type"] == "array" {
        let inner = kind(&schema["items"]);
        return Kind { words: format!("list of {}", inner.words), link: inner.link };
    }
    let mut words = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(many) => {
            many.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    };
    if let Some(values) = schema["enum"].as_array() {
        words = values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    if let Some(format) = schema["format"].as_str() {
        words = format!("{words}, {format}");
    }
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(low), Value::Number(high)) => words = format!("{words}, {low} to {high}"),
        _ if schema["maxLength"].is_number() => words = format!("{words}, at most {} characters", schema["maxLength"]),
        _ => {}
    }
    Kind { words, link: None }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").map(|part| part.replace('\n', " ")).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_told_in_words() {
        for (schema, words) in [
            (json!({"type": "string", "maxLength": 300}), "string, at most 300 characters"),
            (json!({"type": ["integer", "null"], "minimum": 1, "maximum": 100}), "integer, 1 to 100"),
            (json!({"type": "array", "items": {"$ref": "#/components/schemas/Card"}}), "list of Card"),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Kind"}]}), "Kind"),
            (json!({"type": "string", "enum": ["a", "b"]}), "a, b"),
            (json!({}), "anything"),
        ] {
            assert_eq!(kind(&schema).words, words);
        }
    }

    #[test]
    fn every_operation_of_the_document_is_on_the_page() {
        let document = super::super::document("http://127.0.0.1:8080");
        let page = Page::of(&document);

        let shown: usize = page.groups.iter().map(|group| group.operations.len()).sum();
        let told: usize =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();

        assert_eq!(shown, told);
        assert!(page.render().unwrap().contains("registerAsset"));
    }
}
