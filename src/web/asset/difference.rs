//! What changed from one version to another: for callers first, then about the version itself.

use super::frame::Frame;
use super::lines::cut;
use super::pages::Tab;
use super::word_diff::{self, Piece};
use super::{Asked, answer};
use crate::base::{Limit, Problem};
use crate::catalog::diff::{ChangedOperation, FieldChange, OperationChange, OperationName, VersionDiff};
use crate::door::Failure;
use crate::web::Layout;
use crate::wire::schema_view::type_text;
use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

/// Bytes of text the entries may have; the rest is counted, and is in the JSON.
const ROOM: usize = 15_000;
/// Changes told of one operation.
const CHANGES: usize = 12;
const CHOICES: usize = 100;

#[derive(Template)]
#[template(path = "asset/difference.html")]
struct Page<'a> {
    layout: Layout,
    frame: &'a Frame,
    from: String,
    to: String,
    choices: Vec<String>,
    json: String,
    breaking: usize,
    compatible: usize,
    added: usize,
    removed: usize,
    unchanged: usize,
    entries: Vec<Entry>,
    /// Entries the page has no room for.
    left_out: usize,
    fields: Vec<Field>,
}

/// An operation that came, went or changed.
struct Entry {
    name: String,
    href: Option<String>,
    sort: Sort,
    lines: Vec<Told>,
    left_out: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Removed,
    Breaking,
    Compatible,
    Added,
}

/// One change, put into words.
struct Told {
    place: String,
    message: String,
    is_breaking: bool,
    pieces: Vec<Piece>,
}

struct Field {
    name: String,
    gone: Vec<String>,
    come: Vec<String>,
}

impl Entry {
    fn badge(&self) -> &'static str {
        match self.sort {
            Sort::Removed => r#"<span class="badge bad">removed, breaking</span>"#,
            Sort::Breaking => r#"<span class="badge bad">breaking</span>"#,
            Sort::Compatible => r#"<span class="badge">compatible</span>"#,
            Sort::Added => r#"<span class="badge ok">added</span>"#,
        }
    }

    fn size(&self) -> usize {
        let piece = |piece: &Piece| match piece {
            Piece::Same(text) | Piece::Gone(text) | Piece::Come(text) => text.len() + 12,
        };
        let line =
            |told: &Told| told.place.len() + told.message.len() + told.pieces.iter().map(piece).sum::<usize>() + 60;
        200 + 2 * self.name.len() + self.lines.iter().map(line).sum::<usize>()
    }
}

/// Leads from the form's two choices to the page of their difference.
pub(super) fn choose(asked: &Asked) -> Result<Response, Failure> {
    let pages = super::pages::Pages::new(&asked.workspace, &asked.name, None);
    match (asked.parameter("from"), asked.parameter("to")) {
        (Some(from), Some(to)) if !from.is_empty() && !to.is_empty() => {
            Ok(Redirect::to(&pages.diff(from, to)).into_response())
        }
        _ => Err(Problem::bad_request("Say which versions to compare: ?from=1.0.0&to=1.1.0.").into()),
    }
}

pub(super) async fn show(asked: Asked, from: &str, to: &str) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Versions).await?;
    let (catalog, actor) = (&asked.handles.catalog, &asked.layout.actor);
    let asset = (asked.workspace.as_str(), asked.name.as_str());
    let diff = catalog.diff(actor, asset, from, to).await?;
    let (_, choices) = catalog.versions(actor, asset.0, asset.1, None, Limit(CHOICES)).await?;
    let mut choices: Vec<_> = choices.items.into_iter().map(|version| version.name).collect();
    for name in [&diff.from, &diff.to] {
        if !choices.contains(name) {
            choices.push(name.clone());
        }
    }

    let all = entries(&frame, &diff);
    let count = all.len();
    let mut room = ROOM;
    let entries: Vec<_> = all
        .into_iter()
        .take_while(|entry| {
            let fits = entry.size() <= room;
            room = room.saturating_sub(entry.size());
            fits
        })
        .collect();
    let changed = &diff.operations.changed;
    let page = Page {
        json: format!(
            "{}/versions/{}/diff/{}",
            frame.pages.api(),
            crate::door::segment(&diff.from),
            crate::door::segment(&diff.to)
        ),
        choices,
        breaking: changed.iter().filter(|one| one.breaking).count() + diff.operations.removed.len(),
        compatible: changed.iter().filter(|one| !one.breaking).count(),
        added: diff.operations.added.len(),
        removed: diff.operations.removed.len(),
        unchanged: diff.operations.unchanged,
        left_out: count - entries.len(),
        entries,
        fields: diff.fields.iter().map(field).collect(),
        from: diff.from,
        to: diff.to,
        frame: &frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

/// What breaks callers first.
fn entries(frame: &Frame, diff: &VersionDiff) -> Vec<Entry> {
    let href = |version: &str, name: &str| frame.pages.pinned(version).one(frame.operations_word(), name);
    let known = |one: &OperationName, version: &str, sort: Sort| Entry {
        name: title(one),
        href: Some(href(version, &one.name)),
        sort,
        lines: one.summary.iter().map(|summary| plain(summary, sort)).collect(),
        left_out: 0,
    };
    let changed = |one: &ChangedOperation| Entry {
        name: title(&one.operation),
        href: Some(href(&diff.to, &one.operation.name)),
        sort: if one.breaking { Sort::Breaking } else { Sort::Compatible },
        left_out: one.changes.len().saturating_sub(CHANGES),
        lines: told(&one.changes),
    };
    let operations = &diff.operations;
    let mut entries: Vec<_> = operations.changed.iter().map(changed).collect();
    entries.extend(operations.removed.iter().map(|one| known(one, &diff.from, Sort::Removed)));
    entries.extend(operations.added.iter().map(|one| known(one, &diff.to, Sort::Added)));
    entries.sort_by_key(|entry| entry.sort);
    entries
}

fn title(operation: &OperationName) -> String {
    match (&operation.method, &operation.path) {
        (Some(method), Some(path)) => format!("{method} {}", cut(path, 200)),
        _ => cut(&operation.name, 200),
    }
}

fn plain(text: &str, sort: Sort) -> Told {
    let text = cut(text, 300);
    let pieces = vec![if sort == Sort::Removed { Piece::Gone(text) } else { Piece::Come(text) }];
    Told { place: String::new(), message: String::new(), is_breaking: false, pieces }
}

/// What breaks first, and as many as a page can hold.
fn told(changes: &[OperationChange]) -> Vec<Told> {
    let mut changes: Vec<_> = changes.iter().collect();
    changes.sort_by_key(|change| !change.breaking);
    changes
        .into_iter()
        .take(CHANGES)
        .map(|change| Told {
            place: cut(&place(&change.location), 160),
            message: format!("{} ", cut(&change.message, 300)),
            is_breaking: change.breaking,
            pieces: pieces(&change.before, &change.after),
        })
        .collect()
}

/// `/inputSchema/properties/city/type` as people say it: `inputSchema city type`.
fn place(pointer: &str) -> String {
    let steps = pointer.split('/').filter(|step| !matches!(*step, "" | "properties" | "schema" | "content"));
    steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>().join(" ")
}

fn pieces(before: &Value, after: &Value) -> Vec<Piece> {
    match (before, after) {
        (Value::String(before), Value::String(after)) => word_diff::words(before, after),
        _ => {
            let gone = text(before).map(Piece::Gone);
            let come = text(after).map(Piece::Come);
            let between = (gone.is_some() && come.is_some()).then(|| Piece::Same(" ".to_owned()));
            [gone, between, come].into_iter().flatten().collect()
        }
    }
}

/// A value in a few words: text as it is, a schema by its type and what it says, all else as JSON.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            let schema = members.get("schema").unwrap_or(value);
            let is_schema = ["type", "properties", "items", "oneOf", "anyOf", "allOf", "enum", "$ref"]
                .iter()
                .any(|member| schema.get(*member).is_some());
            if is_schema {
                let says = members.get("description").or_else(|| schema.get("description")).and_then(Value::as_str);
                let says = says.map(|text| format!(": {text}")).unwrap_or_default();
                format!("{}{says}", type_text(schema))
            } else {
                value.to_string()
            }
        }
        other => other.to_string(),
    };
    Some(cut(&text, 300))
}

fn field(change: &FieldChange) -> Field {
    let list = |value: &Value, other: &Value| -> Vec<String> {
        let others = other.as_array().map(Vec::as_slice).unwrap_or_default();
        match value {
            Value::Array(items) => {
                items.iter().filter(|item| !others.contains(item)).take(20).filter_map(item_text).collect()
            }
            other => text(other).filter(|text| !text.is_empty()).into_iter().collect(),
        }
    };
    Field {
        name: change.field.clone(),
        gone: list(&change.before, &change.after),
        come: list(&change.after, &change.before),
    }
}

/// A document by name and digest, a deployment by environment and address.
fn item_text(item: &Value) -> Option<String> {
    let member = |name: &str| item[name].as_str();
    let words = [
        member("name"),
        member("environment"),
        member("url"),
        member("digest").map(|hash| &hash[..hash.len().min(12)]),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    if words.is_empty() { text(item) } else { Some(cut(&words.join(" "), 300)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_told_without_the_words_of_the_format() {
        assert_eq!(place("/inputSchema/properties/city/type"), "inputSchema city type");
        assert_eq!(place("/responses/200/content/application~1json/schema"), "responses 200 application/json");
    }

    #[test]
    fn texts_are_compared_by_words_and_values_as_wholes() {
        assert_eq!(
            pieces(&json!("a b"), &json!("a c")),
            [Piece::Same("a ".into()), Piece::Gone("b".into()), Piece::Come("c".into())]
        );
        assert_eq!(
            pieces(&json!(["integer"]), &json!(1)),
            [Piece::Gone("[\"integer\"]".into()), Piece::Same(" ".into()), Piece::Come("1".into())]
        );
        assert_eq!(pieces(&Value::Null, &Value::Null), []);
        let parameter = json!({"name": "by", "in": "query", "description": "Order", "schema": {"type": "string"}});
        assert_eq!(pieces(&parameter, &Value::Null), [Piece::Gone("string: Order".into())]);
    }

    #[test]
    fn a_list_of_documents_tells_only_what_differs() {
        let told = field(&FieldChange {
            field: "definitions".into(),
            before: json!([{"name": "openapi", "digest": "aaaaaaaaaaaaaaaa"}, {"name": "guide", "digest": "c"}]),
            after: json!([{"name": "openapi", "digest": "bbbbbbbbbbbbbbbb"}, {"name": "guide", "digest": "c"}]),
        });

        assert_eq!((told.gone, told.come), (vec!["openapi aaaaaaaaaaaa".into()], vec!["openapi bbbbbbbbbbbb".into()]));
    }
}
