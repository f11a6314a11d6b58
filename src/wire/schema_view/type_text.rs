//! A schema's type in a few words: `array of Pet`, `string (date-time) or null`.

use crate::wire::openapi::name_of;
use serde_json::{Map, Value};

/// Deepest nesting that is put into words.
const MAX_DEPTH: usize = 4;
/// Most alternatives that are named.
const MAX_ALTERNATIVES: usize = 5;

/// The type of what `schema` describes, in words; never empty, and bounded in length by its nesting.
#[must_use]
pub fn type_text(schema: &Value) -> String {
    words(schema, 0)
}

fn words(schema: &Value, depth: usize) -> String {
    let members = match schema {
        Value::Bool(false) => return "nothing".to_owned(),
        Value::Object(members) => members,
        _ => return "any".to_owned(),
    };
    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
        return name_of(reference);
    }
    if depth >= MAX_DEPTH {
        return kind(members).unwrap_or("any").to_owned();
    }
    let text = alternatives(members, depth).or_else(|| all_of(members, depth)).unwrap_or_else(|| typed(members, depth));
    let is_nullable = members.get("nullable") == Some(&Value::Bool(true));
    if is_nullable && !text.ends_with("or null") { format!("{text} or null") } else { text }
}

fn alternatives(members: &Map<String, Value>, depth: usize) -> Option<String> {
    let list = ["oneOf", "anyOf"].iter().find_map(|key| members.get(*key)?.as_array())?;
    let mut texts: Vec<String> = Vec::new();
    for schema in list {
        let text = words(schema, depth + 1);
        if !texts.contains(&text) {
            texts.push(text);
        }
        if texts.len() > MAX_ALTERNATIVES {
            break;
        }
    }
    // `null` reads best at the end, and never falls to the bound.
    let has_null = texts.iter().any(|text| text == "null") || list.iter().any(is_null);
    texts.retain(|text| text != "null");
    if texts.len() > MAX_ALTERNATIVES {
        texts.truncate(MAX_ALTERNATIVES);
        texts.push("…".to_owned());
    }
    if has_null {
        texts.push("null".to_owned());
    }
    (!texts.is_empty()).then(|| texts.join(" or "))
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn all_of(members: &Map<String, Value>, depth: usize) -> Option<String> {
    let list = members.get("allOf")?.as_array()?;
    if members.contains_key("properties") || members.contains_key("type") {
        return None;
    }
    if let Some(title) = title(members) {
        return Some(title);
    }
    match list.as_slice() {
        [] => None,
        [only] => Some(words(only, depth + 1)),
        // One part often only adds a description to the other.
        several => several.iter().map(|part| words(part, depth + 1)).find(|text| text != "any"),
    }
}

fn typed(members: &Map<String, Value>, depth: usize) -> String {
    if let Some(Value::Array(kinds)) = members.get("type") {
        let one = |kind: &Value| {
            let mut single = members.clone();
            single.insert("type".to_owned(), kind.clone());
            typed(&single, depth)
        };
        let (null, others): (Vec<&Value>, Vec<&Value>) = kinds.iter().partition(|kind| *kind == "null");
        let texts: Vec<String> = others.into_iter().chain(null).take(MAX_ALTERNATIVES + 1).map(one).collect();
        return if texts.is_empty() { "any".to_owned() } else { texts.join(" or ") };
    }
    match kind(members) {
        Some("array") => match members.get("items") {
            Some(items) => format!("array of {}", words(items, depth + 1)),
            None => "array".to_owned(),
        },
        Some("object") => match (title(members), members.get("additionalProperties")) {
            (Some(title), _) => title,
            (None, Some(values @ Value::Object(inner))) if !inner.is_empty() && !members.contains_key("properties") => {
                format!("map of {}", words(values, depth + 1))
            }
            _ => "object".to_owned(),
        },
        Some(kind) => match members.get("format").and_then(Value::as_str) {
            Some(format) if !format.is_empty() => format!("{kind} ({format})"),
            _ => kind.to_owned(),
        },
        None => "any".to_owned(),
    }
}

/// The stated type, or the one that the other keywords imply.
fn kind(members: &Map<String, Value>) -> Option<&str> {
    if let Some(kind) = members.get("type").and_then(Value::as_str) {
        return Some(kind);
    }
    let has = |key: &str| members.contains_key(key);
    if has("properties") || has("additionalProperties") || has("required") {
        return Some("object");
    }
    if has("items") || has("prefixItems") {
        return Some("array");
    }
    let sample = members.get("const").or_else(|| members.get("enum")?.get(0))?;
    Some(match sample {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn title(members: &Map<String, Value>) -> Option<String> {
    members.get("title").and_then(Value::as_str).map(str::trim).filter(|title| !title.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_read_as_people_say_them() {
        for (schema, text) in [
            (json!(true), "any"),
            (json!(false), "nothing"),
            (json!({}), "any"),
            (json!({"type": "string"}), "string"),
            (json!({"type": "string", "format": "date-time", "nullable": true}), "string (date-time) or null"),
            (json!({"type": ["null", "string"]}), "string or null"),
            (json!({"type": ["array", "null"], "items": {"type": "integer"}}), "array of integer or null"),
            (json!({"type": []}), "any"),
            (json!({"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}), "array of Pet"),
            (json!({"items": {"type": "object", "title": "Pet"}}), "array of Pet"),
            (json!({"type": "object", "additionalProperties": {"type": "number"}}), "map of number"),
            (json!({"type": "object", "additionalProperties": false}), "object"),
            (json!({"properties": {}}), "object"),
            (json!({"enum": ["a", "b"]}), "string"),
            (json!({"const": 1.5}), "number"),
            (json!({"anyOf": [{"type": "null"}, {"type": "string", "format": "uri"}]}), "string (uri) or null"),
            (json!({"oneOf": [{"$ref": "#/a/Cat"}, {"$ref": "#/a/Dog"}]}), "Cat or Dog"),
            (
                json!({"oneOf": (0..9).map(|n| json!({"$ref": format!("#/S{n}")})).collect::<Vec<_>>()}),
                "S0 or S1 or S2 or S3 or S4 or …",
            ),
            (json!({"allOf": [{"$ref": "#/a/Cat"}]}), "Cat"),
            (json!({"allOf": [{"description": "mine"}, {"$ref": "#/a/Cat"}]}), "Cat"),
            (json!({"allOf": [{"$ref": "#/a/Cat"}], "title": "Kitten"}), "Kitten"),
        ] {
            assert_eq!(type_text(&schema), text, "{schema}");
        }
    }

    #[test]
    fn nesting_is_cut_short() {
        let mut schema = json!({"type": "string"});
        for _ in 0..60 {
            schema = json!({"type": "array", "items": schema});
        }

        assert_eq!(type_text(&schema), "array of array of array of array of array");
    }
}
