//! The differences of two JSON Schemas, and whom they break: who sends a value, or who reads one.

use super::Finder;
use serde_json::{Map, Value};

/// Deepest nesting that is compared piece by piece; below, schemas are equal or not.
const MAX_DEPTH: usize = 24;

/// Which way values of the schema travel, seen from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The caller sends it: asking more breaks.
    Request,
    /// The caller reads it: promising less breaks.
    Response,
}
use Direction::{Request, Response};

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
const LOWER_BOUNDS: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const UPPER_BOUNDS: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
const WORDS: [&str; 4] = ["title", "description", "example", "examples"];

/// Notes every difference of the schemas `old` and `new` at the finder's place.
pub(super) fn compare(here: &mut Finder, old: &Value, new: &Value, direction: Direction) {
    at_depth(here, old, new, direction, 0);
}

fn at_depth(here: &mut Finder, old: &Value, new: &Value, direction: Direction, depth: usize) {
    if old == new {
        return;
    }
    // `true` and an absent schema allow everything, as `{}` does.
    let anything = Map::new();
    let side = |value: &Value| matches!(value, Value::Null | Value::Bool(true));
    let old_map = if side(old) { Some(&anything) } else { old.as_object() };
    let new_map = if side(new) { Some(&anything) } else { new.as_object() };
    let (Some(old_map), Some(new_map)) = (old_map, new_map) else {
        here.note("", true, "The schema changed.".to_owned(), Some(old), Some(new));
        return;
    };
    if depth >= MAX_DEPTH {
        here.note("", true, "The schema changed.".to_owned(), None, None);
        return;
    }

    types(here, old_map, new_map, direction);
    values(here, old_map, new_map, direction);
    bounds(here, old_map, new_map, direction);
    properties(here, old_map, new_map, direction, depth);
    required(here, old_map, new_map, direction);
    for member in ["items", "additionalProperties"] {
        let (before, after) = (old_map.get(member), new_map.get(member));
        if before.unwrap_or(&Value::Null) != after.unwrap_or(&Value::Null) {
            nested(here, member, before, after, direction, depth);
        }
    }
    for member in ["allOf", "oneOf", "anyOf"] {
        alternatives(here, member, old_map, new_map, direction, depth);
    }
    for member in WORDS.into_iter().chain(["default", "deprecated"]) {
        if old_map.get(member) != new_map.get(member) {
            let (before, after) = (old_map.get(member), new_map.get(member));
            here.note(member, false, format!("The {member} changed."), before, after);
        }
    }
    others(here, old_map, new_map);
}

/// The types a schema allows; none given: all.
fn allowed(schema: &Map<String, Value>) -> Vec<&str> {
    let mut named: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.to_vec(),
    };
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        named.push("null");
    }
    if named.contains(&"number") {
        named.push("integer");
    }
    named
}

fn types(here: &mut Finder, old: &Map<String, Value>, new: &Map<String, Value>, direction: Direction) {
    let (before, after) = (allowed(old), allowed(new));
    let lost = before.iter().any(|one| !after.contains(one));
    let gained = after.iter().any(|one| !before.contains(one));
    if lost || gained {
        let breaking = if direction == Request { lost } else { gained };
        here.note("type", breaking, "The type changed.".to_owned(), old.get("type"), new.get("type"));
    }
}

fn values(here: &mut Finder, old: &Map<String, Value>, new: &Map<String, Value>, direction: Direction) {
    let listed = |schema: &Map<String, Value>| match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values.clone()),
        (_, Some(one)) => Some(vec![one.clone()]),
        _ => None,
    };
    let (before, after) = (listed(old), listed(new));
    if before == after {
        return;
    }
    // A reader is expected to stand a value it does not know; it cannot stand the list's end.
    let (breaking, message) = match (&before, &after) {
        (Some(before), Some(after)) => {
            let lost = before.iter().filter(|value| !after.contains(value)).count();
            let gained = after.iter().filter(|value| !before.contains(value)).count();
            (direction == Request && lost > 0, format!("{lost} of the allowed values are gone, {gained} are new."))
        }
        (None, _) => (direction == Request, "Only listed values are allowed now.".to_owned()),
        (_, None) => (direction == Response, "Any value is allowed now.".to_owned()),
    };
    let (before, after) = (before.map(Value::Array), after.map(Value::Array));
    here.note("enum", breaking, message, before.as_ref(), after.as_ref());
}

fn bounds(here: &mut Finder, old: &Map<String, Value>, new: &Map<String, Value>, direction: Direction) {
    let number = |schema: &Map<String, Value>, member: &str| schema.get(member).and_then(Value::as_f64);
    for (members, upper) in [(LOWER_BOUNDS, false), (UPPER_BOUNDS, true)] {
        for member in members {
            let (before, after) = (number(old, member), number(new, member));
            if before == after {
                continue;
            }
            let tighter = match (before, after) {
                (Some(before), Some(after)) => (after < before) == upper,
                (before, _) => before.is_none(),
            };
            let message = format!("The bound {member} is {} now.", if tighter { "tighter" } else { "wider" });
            here.note(member, tighter && direction == Request, message, old.get(member), new.get(member));
        }
    }
    for member in ["pattern", "format", "multipleOf", "uniqueItems"] {
        let (before, after) = (old.get(member), new.get(member));
        if before != after {
            let breaking = match direction {
                Request => after.is_some_and(|value| *value != Value::Bool(false)),
                Response => member == "format" && before.is_some(),
            };
            here.note(member, breaking, format!("The {member} changed."), before, after);
        }
    }
}

fn properties(
    here: &mut Finder,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    direction: Direction,
    depth: usize,
) {
    let nothing = Map::new();
    let before = old.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
    let after = new.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
    let closed = new.get("additionalProperties") == Some(&Value::Bool(false));
    here.within("properties", |here| {
        for (name, old) in before {
            match after.get(name) {
                Some(new) => here.within(name, |here| at_depth(here, old, new, direction, depth + 1)),
                None => {
                    // Who sends more than is known is mostly let pass.
                    let breaking = direction == Response || closed;
                    here.note(name, breaking, format!("The property {name} is gone."), Some(old), None);
                }
            }
        }
        for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            here.note(name, false, format!("The property {name} is new."), None, Some(new));
        }
    });
}

fn required(here: &mut Finder, old: &Map<String, Value>, new: &Map<String, Value>, direction: Direction) {
    let names = |schema: &Map<String, Value>| -> Vec<String> {
        let list = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (before, after) = (names(old), names(new));
    here.within("required", |here| {
        for name in after.iter().filter(|name| !before.contains(name)) {
            here.note(name, direction == Request, format!("{name} is required now."), None, None);
        }
        for name in before.iter().filter(|name| !after.contains(name)) {
            here.note(name, direction == Response, format!("{name} is no longer required."), None, None);
        }
    });
}

fn nested(
    here: &mut Finder,
    member: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    direction: Direction,
    depth: usize,
) {
    let closing = new == Some(&Value::Bool(false));
    let opening = old == Some(&Value::Bool(false));
    if closing || opening {
        let message = if closing { "Nothing beyond what is named is allowed now." } else { "More is allowed now." };
        here.note(member, closing && direction == Request, message.to_owned(), old, new);
        return;
    }
    let anything = Value::Bool(true);
    here.within(member, |here| {
        at_depth(here, old.unwrap_or(&anything), new.unwrap_or(&anything), direction, depth + 1);
    });
}

fn alternatives(
    here: &mut Finder,
    member: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    direction: Direction,
    depth: usize,
) {
    let (before, after) = (old.get(member), new.get(member));
    if before == after {
        return;
    }
    let (nothing, none) = (Vec::new(), Vec::new());
    let list = before.and_then(Value::as_array).unwrap_or(&nothing);
    let others = after.and_then(Value::as_array).unwrap_or(&none);
    if list.len() == others.len() {
        here.within(member, |here| {
            for (place, (old, new)) in list.iter().zip(others).enumerate() {
                here.within(&place.to_string(), |here| at_depth(here, old, new, direction, depth + 1));
            }
        });
        return;
    }
    let lost = list.iter().any(|one| !others.contains(one));
    let gained = others.iter().any(|one| !list.contains(one));
    // allOf lists demands, the others list ways out.
    let breaking = match (member == "allOf", direction) {
        (true, Request) | (false, Response) => gained,
        (true, Response) | (false, Request) => lost || list.is_empty(),
    };
    here.note(member, breaking, format!("The alternatives of {member} changed."), before, after);
}

/// Keywords nobody above looks at: told, since they may matter, but not called breaking.
fn others(here: &mut Finder, old: &Map<String, Value>, new: &Map<String, Value>) {
    const SEEN: [&str; 17] = [
        "type",
        "nullable",
        "enum",
        "const",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "allOf",
        "oneOf",
        "anyOf",
        "default",
        "deprecated",
        "pattern",
        "format",
        "multipleOf",
        "uniqueItems",
    ];
    let seen = |member: &str| {
        SEEN.contains(&member)
            || WORDS.contains(&member)
            || LOWER_BOUNDS.contains(&member)
            || UPPER_BOUNDS.contains(&member)
            || member.starts_with("x-")
    };
    let members = old.keys().chain(new.keys().filter(|member| !old.contains_key(*member)));
    for member in members.filter(|member| !seen(member)) {
        if old.get(member) != new.get(member) {
            here.note(member, false, format!("The keyword {member} changed."), old.get(member), new.get(member));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn breaks(old: &Value, new: &Value, direction: Direction) -> Option<bool> {
        let mut finder = Finder::new();
        compare(&mut finder, old, new, direction);
        (!finder.found.is_empty()).then(|| finder.found.iter().any(|change| change.breaking))
    }

    #[test]
    fn what_breaks_senders_and_what_breaks_readers() {
        let object = |required: &[&str], names: &[&str]| {
            let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
            json!({"type": "object", "properties": properties, "required": required})
        };
        for (what, old, new, sender, reader) in [
            ("no change", json!({"type": "string"}), json!({"type": "string"}), None, None),
            ("words", json!({"description": "a"}), json!({"description": "b"}), Some(false), Some(false)),
            ("narrower type", json!({"type": "number"}), json!({"type": "integer"}), Some(true), Some(false)),
            ("wider type", json!({"type": "integer"}), json!({"type": "number"}), Some(false), Some(true)),
            ("other type", json!({"type": "string"}), json!({"type": "object"}), Some(true), Some(true)),
            ("a type where all went", json!({}), json!({"type": "string"}), Some(true), Some(false)),
            ("a value less", json!({"enum": [1, 2]}), json!({"enum": [1]}), Some(true), Some(false)),
            ("a value more", json!({"enum": [1]}), json!({"enum": [1, 2]}), Some(false), Some(false)),
            ("a property more", object(&[], &["a"]), object(&[], &["a", "b"]), Some(false), Some(false)),
            ("a demand more", object(&[], &["a"]), object(&["a"], &["a"]), Some(true), Some(false)),
            ("a promise less", object(&["a"], &["a"]), object(&[], &["a"]), Some(false), Some(true)),
            ("a property less", object(&[], &["a", "b"]), object(&[], &["a"]), Some(false), Some(true)),
            ("tighter", json!({"maxLength": 9}), json!({"maxLength": 8}), Some(true), Some(false)),
            ("a first bound", json!({}), json!({"minimum": 1}), Some(true), Some(false)),
            ("no bound any more", json!({"minimum": 1}), json!({}), Some(false), Some(false)),
            (
                "deeper",
                json!({"items": {"type": "string"}}),
                json!({"items": {"type": "null"}}),
                Some(true),
                Some(true),
            ),
            ("closed", json!({}), json!({"additionalProperties": false}), Some(true), Some(false)),
            ("a way out less", json!({"oneOf": [1, 2]}), json!({"oneOf": [1]}), Some(true), Some(false)),
            ("a way out more", json!({"anyOf": [1]}), json!({"anyOf": [1, 2]}), Some(false), Some(true)),
        ] {
            assert_eq!(breaks(&old, &new, Request), sender, "{what}, for who sends");
            assert_eq!(breaks(&old, &new, Response), reader, "{what}, for who reads");
        }
    }

    #[test]
    fn a_schema_without_end_is_not_followed_without_end() {
        let deep = |leaf: &str| {
            (0..200).fold(json!({"type": leaf}), |inner, _| json!({"type": "object", "properties": {"next": inner}}))
        };

        assert_eq!(breaks(&deep("string"), &deep("null"), Request), Some(true));
    }
}
