//! The differences of one operation or tool between two versions.

use super::schema::{self, Direction};
use super::{Finder, OperationChange};
use crate::wire::Operation;
use serde_json::{Map, Value, json};

/// Every difference that is worth a line, those of the names first.
pub(super) fn compare(old: &Operation, new: &Operation) -> Vec<OperationChange> {
    let mut finder = Finder::new();
    for (field, before, after, breaking, words) in [
        // Agents call a tool by its name; callers of an API go by method and path.
        ("name", json!(old.name), json!(new.name), old.method.is_none(), "name"),
        ("method", json!(old.method), json!(new.method), true, "method"),
        ("path", json!(old.path), json!(new.path), true, "path"),
        ("title", json!(old.title), json!(new.title), false, "title"),
        ("summary", json!(old.summary), json!(new.summary), false, "summary"),
        ("description", json!(old.description), json!(new.description), false, "description"),
        ("tags", json!(old.tags), json!(new.tags), false, "tags"),
    ] {
        if before != after {
            finder.note(field, breaking, format!("The {words} changed."), Some(&before), Some(&after));
        }
    }
    if old.deprecated != new.deprecated {
        let message = if new.deprecated { "It is deprecated now." } else { "It is no longer deprecated." };
        finder.note("deprecated", false, message.to_owned(), None, None);
    }

    parameters(&mut finder, &old.detail["parameters"], &new.detail["parameters"]);
    request_body(&mut finder, old.detail.get("requestBody"), new.detail.get("requestBody"));
    responses(&mut finder, &old.detail["responses"], &new.detail["responses"]);
    if old.detail["security"] != new.detail["security"] {
        let (before, after) = (old.detail.get("security"), new.detail.get("security"));
        let eased = after.and_then(Value::as_array).is_some_and(Vec::is_empty);
        finder.note("security", !eased, "The credentials it asks for changed.".to_owned(), before, after);
    }
    for (member, direction) in [("inputSchema", Direction::Request), ("outputSchema", Direction::Response)] {
        match (present(&old.detail, member), present(&new.detail, member)) {
            (Some(before), Some(after)) => {
                finder.within(member, |here| schema::compare(here, before, after, direction));
            }
            (None, None) => {}
            // A tool whose schema becomes known has not changed what it takes.
            (None, after) => finder.note(member, false, format!("{member} is told now."), None, after),
            (before, None) => {
                let breaking = direction == Direction::Response;
                finder.note(member, breaking, format!("{member} is no longer told."), before, None);
            }
        }
    }
    if old.detail["annotations"] != new.detail["annotations"] {
        let (before, after) = (old.detail.get("annotations"), new.detail.get("annotations"));
        finder.note("annotations", false, "The annotations changed.".to_owned(), before, after);
    }
    finder.found
}

fn present<'a>(value: &'a Value, member: &str) -> Option<&'a Value> {
    value.get(member).filter(|value| !value.is_null())
}

fn parameters(finder: &mut Finder, old: &Value, new: &Value) {
    let key = |one: &Value| (text(one, "in").to_owned(), text(one, "name").to_owned());
    let list = |value: &Value| -> Vec<((String, String), Value)> {
        value.as_array().into_iter().flatten().map(|one| (key(one), one.clone())).collect()
    };
    let (old, new) = (list(old), list(new));
    finder.within("parameters", |here| {
        for ((place, name), before) in &old {
            let after = new.iter().find(|(key, _)| key.0 == *place && key.1 == *name).map(|(_, after)| after);
            here.within(place, |here| match after {
                Some(after) => here.within(name, |here| parameter(here, before, after)),
                None => {
                    here.note(name, true, format!("The {place} parameter {name} is gone."), Some(before), None);
                }
            });
        }
        for ((place, name), after) in &new {
            if old.iter().any(|(key, _)| key.0 == *place && key.1 == *name) {
                continue;
            }
            let required = after["required"] == true;
            let must = if required { "required" } else { "optional" };
            here.within(place, |here| {
                here.note(name, required, format!("The {must} {place} parameter {name} is new."), None, Some(after));
            });
        }
    });
}

fn parameter(here: &mut Finder, old: &Value, new: &Value) {
    required(here, old, new);
    described(here, old, new);
    if old["schema"] != new["schema"] {
        here.within("schema", |here| schema::compare(here, &old["schema"], &new["schema"], Direction::Request));
    }
}

fn request_body(finder: &mut Finder, old: Option<&Value>, new: Option<&Value>) {
    let old = old.filter(|body| !body.is_null());
    let new = new.filter(|body| !body.is_null());
    match (old, new) {
        (None, None) => {}
        (None, Some(after)) => {
            let must = after["required"] == true;
            finder.note("requestBody", must, "It takes a body now.".to_owned(), None, Some(after));
        }
        (Some(before), None) => {
            finder.note("requestBody", true, "It no longer takes a body.".to_owned(), Some(before), None);
        }
        (Some(before), Some(after)) => finder.within("requestBody", |here| {
            required(here, before, after);
            described(here, before, after);
            content(here, &before["content"], &after["content"], Direction::Request);
        }),
    }
}

fn responses(finder: &mut Finder, old: &Value, new: &Value) {
    let (nothing, none) = (Map::new(), Map::new());
    let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&none));
    finder.within("responses", |here| {
        for (code, before) in old {
            match new.get(code) {
                None => {
                    // Callers are written for the answers of success; fewer sorts of failure harm nobody.
                    let success = code.starts_with('2') || code == "default";
                    here.note(code, success, format!("The answer {code} is gone."), Some(before), None);
                }
                Some(after) => here.within(code, |here| {
                    described(here, before, after);
                    content(here, &before["content"], &after["content"], Direction::Response);
                }),
            }
        }
        for (code, after) in new.iter().filter(|(code, _)| !old.contains_key(*code)) {
            here.note(code, false, format!("The answer {code} is new."), None, Some(after));
        }
    });
}

fn content(here: &mut Finder, old: &Value, new: &Value, direction: Direction) {
    let (nothing, none) = (Map::new(), Map::new());
    let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&none));
    here.within("content", |here| {
        for (media, before) in old {
            match new.get(media) {
                None => here.note(media, true, format!("The media type {media} is gone."), None, None),
                Some(after) if before["schema"] != after["schema"] => here.within(media, |here| {
                    here.within("schema", |here| {
                        schema::compare(here, &before["schema"], &after["schema"], direction);
                    });
                }),
                Some(_) => {}
            }
        }
        for media in new.keys().filter(|media| !old.contains_key(*media)) {
            here.note(media, false, format!("The media type {media} is new."), None, None);
        }
    });
}

fn required(here: &mut Finder, old: &Value, new: &Value) {
    match (old["required"] == true, new["required"] == true) {
        (false, true) => here.note("required", true, "It is required now.".to_owned(), None, None),
        (true, false) => here.note("required", false, "It is no longer required.".to_owned(), None, None),
        _ => {}
    }
}

fn described(here: &mut Finder, old: &Value, new: &Value) {
    if text(old, "description") != text(new, "description") {
        let (before, after) = (old.get("description"), new.get("description"));
        here.note("description", false, "The description changed.".to_owned(), before, after);
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What changes from one detail to another: location and whether it breaks.
    fn changes(old: Value, new: Value) -> Vec<(String, bool)> {
        let with =
            |detail| Operation { name: "get".into(), method: Some("GET".into()), detail, ..Operation::default() };
        compare(&with(old), &with(new)).into_iter().map(|change| (change.location, change.breaking)).collect()
    }

    #[test]
    fn each_change_is_told_with_its_place_and_whether_it_breaks() {
        let limit = json!({"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}});
        let with = |required: bool, maximum: u32| {
            json!({"parameters": [{"name": "limit", "in": "query", "required": required,
                                   "schema": {"type": "integer", "maximum": maximum}}]})
        };
        let answers = |codes: &[&str]| {
            json!({"responses": codes.iter().map(|code| ((*code).to_owned(), json!({"description": "x"})))
                                     .collect::<Map<_, _>>()})
        };
        for (what, old, new, expected) in [
            ("nothing", with(false, 100), with(false, 100), vec![]),
            (
                "an optional parameter",
                json!({}),
                json!({"parameters": [limit]}),
                vec![("/parameters/query/limit", false)],
            ),
            ("a required parameter", json!({}), with(true, 1), vec![("/parameters/query/limit", true)]),
            ("a lost parameter", with(false, 1), json!({}), vec![("/parameters/query/limit", true)]),
            ("becoming required", with(false, 1), with(true, 1), vec![("/parameters/query/limit/required", true)]),
            ("becoming optional", with(true, 1), with(false, 1), vec![("/parameters/query/limit/required", false)]),
            ("a tighter bound", with(false, 9), with(false, 8), vec![("/parameters/query/limit/schema/maximum", true)]),
            ("a wider bound", with(false, 8), with(false, 9), vec![("/parameters/query/limit/schema/maximum", false)]),
            ("a lost success", answers(&["200", "404"]), answers(&["404"]), vec![("/responses/200", true)]),
            ("a lost failure", answers(&["200", "404"]), answers(&["200"]), vec![("/responses/404", false)]),
            ("a further answer", answers(&["200"]), answers(&["200", "429"]), vec![("/responses/429", false)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(place, breaks)| (place.to_owned(), breaks)).collect();
            assert_eq!(changes(old, new), expected, "{what}");
        }
    }

    #[test]
    fn a_tool_is_compared_by_its_schemas() {
        let tool = |input: Value| Operation {
            name: "weather".into(),
            detail: json!({"inputSchema": input}),
            ..Operation::default()
        };
        let old = tool(json!({"type": "object", "properties": {"city": {"type": "string"}}}));
        let new = tool(json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}));

        let found = compare(&old, &new);

        assert_eq!(found.len(), 1);
        assert!(found[0].breaking && found[0].location == "/inputSchema/required/city", "{found:?}");
    }
}
