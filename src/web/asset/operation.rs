//! One operation or tool: what it does, what it takes and gives, and how to call it.

use super::frame::Frame;
use super::lines::{Line, cut, method_class, tokens};
use super::pages::Tab;
use super::schema_table::{Room, escaped, table};
use super::{Asked, answer};
use crate::base::Limit;
use crate::catalog::{connect, operation_schema};
use crate::door::{Failure, segment};
use crate::web::{Layout, markdown};
use crate::wire::Operation;
use crate::wire::schema_view::{self, SchemaRow};
use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

/// Bytes of the parts of the page; together with the frame they stay below 30 KB.
const TAKEN: usize = 10_000;
const GIVEN: usize = 4_500;
const REST: usize = 5_000;
const ABOUT: usize = 3_000;
/// Up to so many others are listed below.
const OTHERS: usize = 25;
const ANSWERS: usize = 16;

#[derive(Template)]
#[template(path = "asset/operation.html")]
struct Page<'a> {
    layout: Layout,
    frame: &'a Frame,
    operation: &'a Operation,
    /// `GET /pets`, or the tool's name.
    heading: String,
    method_class: &'static str,
    about: String,
    is_cut: bool,
    hints: Vec<Hint>,
    /// Whether the server says anything about how the tool behaves.
    is_annotated: bool,
    cost: Option<usize>,
    security: Option<String>,
    sections: Vec<Section>,
    answers: Vec<AnswerRow>,
    curl: Option<String>,
    raw: Vec<Raw>,
    json: String,
    permanent: String,
    others: Vec<Line>,
}

/// A word on how a tool behaves.
pub struct Hint {
    pub word: &'static str,
    pub is_bad: bool,
}

/// A table under a heading.
struct Section {
    title: String,
    note: String,
    table: String,
}

struct AnswerRow {
    status: String,
    says: String,
    body: String,
    fields: String,
}

/// A schema as it was registered.
struct Raw {
    title: &'static str,
    json: String,
}

pub(super) async fn show(asked: Asked, word: &str, name: &str) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Operations).await?;
    let (catalog, actor) = (&asked.handles.catalog, &asked.layout.actor);
    let (_, _, operation) = catalog.operation(actor, frame.path(), name).await?;
    if word != frame.operations_word() {
        return Ok(Redirect::to(&frame.pages.one(frame.operations_word(), name)).into_response());
    }
    let others = if frame.operation_count <= OTHERS as i64 + 1 {
        catalog.operations(actor, frame.path(), None, Limit(OTHERS + 1), false).await?.2.items
    } else {
        Vec::new()
    };

    let text = operation.description.as_deref().or(operation.summary.as_deref()).unwrap_or_default();
    let whole = asked.parameter("about") == Some("all");
    let (beginning, is_cut) = markdown::beginning(text, if whole { usize::MAX } else { ABOUT });
    let about = markdown::render(beginning);
    let sections = sections(&operation, &mut Room::of(TAKEN));
    let answers = answers(&operation, &mut Room::of(GIVEN));
    let mut room = Room::of(REST);
    let curl = base(&frame, &operation)
        .and_then(|base| connect::curl(&base, &operation))
        .filter(|command| room.take(command.len() + 300));
    let lines = others.iter().filter(|other| other.name != operation.name);
    let others = lines.map(|other| Line::of(other, &frame.pages, frame.asset.kind));
    let others: Vec<_> =
        others.take_while(|line| room.take(180 + line.href.len() + line.says.len() + line.name.len())).collect();
    let raw = raw(&operation, &mut room);
    let page = Page {
        heading: match (&operation.method, &operation.path) {
            (Some(method), Some(path)) => format!("{method} {}", cut(path, 300)),
            _ => operation.name.clone(),
        },
        method_class: method_class(operation.method.as_deref()),
        about,
        is_cut,
        hints: hints(&operation),
        is_annotated: annotations(&operation).is_some(),
        cost: frame.is_mcp().then(|| tokens(&operation)),
        security: security(&operation),
        sections,
        answers,
        curl,
        raw,
        json: format!(
            "{}/{}/{}?version={}",
            frame.pages.api(),
            if frame.is_mcp() { "tools" } else { "operations" },
            segment(&operation.name),
            segment(frame.version_name()),
        ),
        permanent: frame.permanent().one(frame.operations_word(), &operation.name),
        others,
        operation: &operation,
        frame: &frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

impl Page<'_> {
    /// Where all are listed.
    fn all(&self) -> String {
        self.frame.pages.part(self.frame.operations_word())
    }

    fn takes(&self) -> &'static str {
        let is_known = operation_schema(self.operation, "inputSchema").is_some();
        if is_known { "Takes no parameters." } else { "Its parameters are not known." }
    }

    fn whole_text(&self) -> String {
        format!("{}?about=all", self.frame.pages.one(self.frame.operations_word(), &self.operation.name))
    }
}

/// What the server says about how a tool behaves (MCP, tool annotations); nothing for what it does not say.
#[must_use]
pub fn hints(tool: &Operation) -> Vec<Hint> {
    let Some(told) = annotations(tool) else { return Vec::new() };
    let says = |name: &str| told.get(name).and_then(Value::as_bool);
    let is_read_only = says("readOnlyHint") == Some(true);
    let mut hints = Vec::new();
    let mut add = |holds: bool, word, is_bad| {
        if holds {
            hints.push(Hint { word, is_bad });
        }
    };
    add(is_read_only, "read-only", false);
    add(!is_read_only && says("destructiveHint") == Some(true), "destructive", true);
    add(!is_read_only && says("destructiveHint") == Some(false), "only adds", false);
    add(says("idempotentHint") == Some(true), "idempotent", false);
    add(says("openWorldHint") == Some(true), "open world", false);
    hints
}

fn annotations(tool: &Operation) -> Option<&Value> {
    tool.detail.get("annotations").filter(|told| told.as_object().is_some_and(|told| !told.is_empty()))
}

/// What is taken and given: a tool's schemas, or an operation's parameters by place and its body by media type.
fn sections(operation: &Operation, room: &mut Room) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |title: String, note: String, caption: String, rows: &[SchemaRow]| {
        let table = table(&caption, rows, room);
        if !table.is_empty() {
            sections.push(Section { title, note, table });
        }
    };
    if let Some(schema) = operation_schema(operation, "inputSchema") {
        add("Parameters".into(), String::new(), format!("Parameters of {}", operation.name), &named(schema));
    }
    let parameters = operation_schema(operation, "parameters").map(schema_view::parameter_rows).unwrap_or_default();
    for (place, title) in
        [("path", "In the path"), ("query", "In the query"), ("header", "In the headers"), ("cookie", "In cookies")]
    {
        let mut rows = Vec::new();
        let mut is_here = false;
        for row in &parameters {
            if row.depth == 0 {
                is_here = row.place.as_deref() == Some(place);
            }
            if is_here {
                rows.push(row.clone());
            }
        }
        add(title.into(), String::new(), format!("{title} of {}", operation.name), &rows);
    }
    if let Some(body) = operation_schema(operation, "requestBody") {
        let note = body["description"].as_str().map(|text| markdown::line(text, 400)).unwrap_or_default();
        for (media_type, media) in body["content"].as_object().into_iter().flatten().take(3) {
            let must = if body["required"] == true { "required" } else { "optional" };
            let title = format!("Body, {}, {must}", cut(media_type, 80));
            // A body without fields is told by its own row.
            let whole = || schema_view::rows(&media["schema"]);
            let fields = Some(named(&media["schema"])).filter(|rows| !rows.is_empty()).unwrap_or_else(whole);
            add(title.clone(), note.clone(), title, &fields);
        }
    }
    if let Some(schema) = operation_schema(operation, "outputSchema") {
        add("Output".into(), String::new(), format!("Output of {}", operation.name), &named(schema));
    }
    sections
}

/// The rows of a schema's fields, without one for the whole, whose type stands beside; none when it has no fields.
fn named(schema: &Value) -> Vec<SchemaRow> {
    let mut rows = schema_view::rows(schema);
    if rows.first().is_some_and(|row| row.name.is_empty()) {
        rows.remove(0);
        rows.iter_mut().for_each(|row| row.depth = row.depth.saturating_sub(1));
    }
    rows
}

fn answers(operation: &Operation, room: &mut Room) -> Vec<AnswerRow> {
    let responses = operation.detail.get("responses").and_then(Value::as_object);
    let mut rows = Vec::new();
    let mut is_told = false;
    for (status, response) in responses.into_iter().flatten().take(ANSWERS) {
        let content = response["content"].as_object();
        let schema = content.and_then(|content| content.values().find_map(|media| media.get("schema")));
        let mut fields = String::new();
        // Callers read the first answer of success; the others are mostly one shape of errors.
        if let Some(schema) = schema.filter(|_| !is_told && status.starts_with('2')) {
            is_told = true;
            let rows = named(schema);
            if !rows.is_empty() {
                fields = table(&format!("Fields of the answer {status}"), &rows, room);
            }
        }
        let row = AnswerRow {
            status: cut(status, 20),
            says: response["description"].as_str().map(|text| markdown::line(text, 300)).unwrap_or_default(),
            body: schema.map(schema_view::type_text).map(|text| cut(&text, 120)).unwrap_or_default(),
            fields,
        };
        if !room.take(120 + row.says.len() + row.body.len()) {
            break;
        }
        rows.push(row);
    }
    rows
}

/// The credentials it asks for, in words; none when the document says nothing.
fn security(operation: &Operation) -> Option<String> {
    let choices = operation.detail.get("security")?.as_array()?;
    if choices.is_empty() {
        return Some("none".to_owned());
    }
    let words = choices.iter().take(8).map(|choice| {
        let schemes = choice.as_object().into_iter().flatten().map(|(name, scopes)| {
            let scopes: Vec<_> = scopes.as_array().into_iter().flatten().take(12).filter_map(Value::as_str).collect();
            if scopes.is_empty() { name.clone() } else { format!("{name} ({})", scopes.join(", ")) }
        });
        let all = schemes.collect::<Vec<_>>().join(" and ");
        if all.is_empty() { "none".to_owned() } else { all }
    });
    Some(cut(&words.collect::<Vec<_>>().join(", or "), 500))
}

/// Where the operation can be called.
fn base(frame: &Frame, operation: &Operation) -> Option<String> {
    let own = operation.detail["servers"][0]["url"].as_str().filter(|url| url.starts_with("http"));
    let deployed = frame.deployments.iter().find(|one| one.is_active).or(frame.deployments.first());
    own.map(str::to_owned).or_else(|| deployed.map(|one| one.url.clone()))
}

fn raw(operation: &Operation, room: &mut Room) -> Vec<Raw> {
    [("inputSchema", "Input schema"), ("outputSchema", "Output schema"), ("annotations", "Annotations")]
        .into_iter()
        .filter_map(|(member, title)| {
            let schema = operation_schema(operation, member)?;
            let json = escaped(&serde_json::to_string_pretty(schema).unwrap_or_default());
            room.take(json.len() + 300).then_some(Raw { title, json })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(detail: Value) -> Operation {
        Operation { name: "x".into(), detail, ..Operation::default() }
    }

    #[test]
    fn hints_tell_only_what_the_server_says() {
        let words = |told: Value| -> Vec<_> {
            hints(&with(json!({ "annotations": told }))).iter().map(|hint| hint.word).collect()
        };

        assert_eq!(words(json!({})), Vec::<&str>::new());
        assert_eq!(words(json!({"readOnlyHint": true, "destructiveHint": true})), ["read-only"]);
        assert_eq!(words(json!({"destructiveHint": true, "openWorldHint": true})), ["destructive", "open world"]);
        assert_eq!(words(json!({"idempotentHint": "yes", "destructiveHint": false})), ["only adds"]);
    }

    #[test]
    fn credentials_are_put_into_words() {
        let words = |told: Value| security(&with(json!({ "security": told })));

        assert_eq!(security(&with(json!({}))), None);
        assert_eq!(words(json!([])).unwrap(), "none");
        assert_eq!(words(json!([{"key": []}, {}])).unwrap(), "key, or none");
        assert_eq!(words(json!([{"a": ["read", "write"], "b": []}])).unwrap(), "a (read, write) and b");
    }

    #[test]
    fn parameters_stand_by_their_place() {
        let operation = with(json!({"parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "filter", "in": "query", "schema": {"properties": {"tag": {"type": "string"}}}},
            {"name": "trace", "in": "header", "schema": {"type": "string"}},
        ], "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "string"}}}}}));

        let sections = sections(&operation, &mut Room::of(20_000));

        let titles: Vec<_> = sections.iter().map(|section| section.title.as_str()).collect();
        assert_eq!(titles, ["In the path", "In the query", "In the headers", "Body, application/json, required"]);
        assert!(sections[1].table.contains("1 field of <code>filter</code>"), "{}", sections[1].table);
    }
}
