//! A value that fits a JSON schema: what an example request carries.

use serde_json::{Map, Value, json};

const DEEPEST: usize = 8;
/// Most values in one sample.
const MOST: usize = 200;

/// A value of the schema: its own example, default or first choice where it has one, else one made of its type.
///
/// At most 200 values and 8 levels; what lies beyond is null. Properties that only answers carry are left out.
#[must_use]
pub fn sample(schema: &Value) -> Value {
    let mut left = MOST;
    made(schema, 0, &mut left)
}

fn made(schema: &Value, depth: usize, left: &mut usize) -> Value {
    let Some(schema) = schema.as_object() else { return Value::Null };
    if depth > DEEPEST || *left == 0 {
        return Value::Null;
    }
    *left -= 1;
    if let Some(told) = told(schema) {
        return told.clone();
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        return merged(schema, parts, depth, left);
    }
    for word in ["oneOf", "anyOf"] {
        let choices = schema.get(word).and_then(Value::as_array);
        let real = choices.into_iter().flatten().find(|one| one["type"] != "null");
        if let Some(first) = real {
            return made(first, depth + 1, left);
        }
    }
    match kind(schema) {
        "object" => object(schema, depth, left),
        "array" => {
            let item = schema.get("items").map(|items| made(items, depth + 1, left));
            Value::Array(item.into_iter().filter(|item| !item.is_null()).collect())
        }
        "integer" => json!(number(schema).round() as i64),
        "number" => json!(number(schema)),
        "boolean" => json!(true),
        "string" => string(schema).into(),
        _ => Value::Null,
    }
}

/// What the schema says itself.
fn told(schema: &Map<String, Value>) -> Option<&Value> {
    let first = |word: &str| schema.get(word).and_then(Value::as_array).and_then(|list| list.first());
    let told = schema.get("example").or_else(|| first("examples")).or_else(|| schema.get("const"));
    told.or_else(|| schema.get("default")).or_else(|| first("enum")).filter(|value| is_small(value, &mut { MOST }))
}

fn is_small(value: &Value, left: &mut usize) -> bool {
    *left = left.saturating_sub(1);
    *left > 0
        && match value {
            Value::Array(items) => items.iter().all(|item| is_small(item, left)),
            Value::Object(members) => members.values().all(|member| is_small(member, left)),
            Value::String(text) => text.len() <= 2_000,
            _ => true,
        }
}

fn kind(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ if schema.contains_key("properties") => "object",
        _ if schema.contains_key("items") => "array",
        _ => "",
    }
}

fn merged(schema: &Map<String, Value>, parts: &[Value], depth: usize, left: &mut usize) -> Value {
    let mut whole = Map::new();
    let mut other = Value::Null;
    for part in parts {
        match made(part, depth + 1, left) {
            Value::Object(members) => whole.extend(members),
            Value::Null => {}
            value => other = value,
        }
    }
    if schema.contains_key("properties")
        && let Value::Object(members) = object(schema, depth, left)
    {
        whole.extend(members);
    }
    if whole.is_empty() { other } else { Value::Object(whole) }
}

fn object(schema: &Map<String, Value>, depth: usize, left: &mut usize) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut members = Map::new();
    for (name, property) in properties.into_iter().flatten() {
        let is_read_only = property["readOnly"] == true;
        // Deep inside only what has to be there: samples are read by people.
        if is_read_only || property["deprecated"] == true || (depth > 2 && !required.contains(&name.as_str())) {
            continue;
        }
        let value = made(property, depth + 1, left);
        if !value.is_null() || required.contains(&name.as_str()) {
            members.insert(name.clone(), value);
        }
    }
    Value::Object(members)
}

fn number(schema: &Map<String, Value>) -> f64 {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|low| low + 1.0));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high - 1.0));
    match (low, high) {
        (Some(low), _) => low.max(1.0).min(high.unwrap_or(f64::MAX)),
        (None, Some(high)) => high.min(1.0),
        (None, None) => 1.0,
    }
}

fn string(schema: &Map<String, Value>) -> &'static str {
    match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "duration" => "PT1H",
        "email" => "someone@example.com",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "uri" | "url" | "uri-reference" => "https://example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "dGV4dA==",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fit_their_schemas() {
        for (schema, expected) in [
            (json!({"type": "string"}), json!("string")),
            (json!({"type": "string", "format": "uuid"}), json!("00000000-0000-4000-8000-000000000000")),
            (json!({"type": ["null", "integer"], "minimum": 5}), json!(5)),
            (json!({"type": "integer", "maximum": -3}), json!(-3)),
            (json!({"type": "string", "enum": ["a", "b"]}), json!("a")),
            (json!({"type": "string", "example": "Rex"}), json!("Rex")),
            (json!({"type": "array", "items": {"type": "boolean"}}), json!([true])),
            (json!({"anyOf": [{"type": "null"}, {"type": "number"}]}), json!(1.0)),
            (
                json!({"allOf": [{"properties": {"a": {"type": "string"}}}], "properties": {"b": {"const": 2}}}),
                json!({"a": "string", "b": 2}),
            ),
            (
                json!({"properties": {"id": {"type": "string", "readOnly": true}, "name": {"type": "string"}}}),
                json!({"name": "string"}),
            ),
            (json!(true), Value::Null),
        ] {
            assert_eq!(sample(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_sample_of_a_huge_schema_is_small() {
        let mut deep = json!({"type": "string"});
        for _ in 0..50 {
            deep = json!({"type": "object", "required": ["x"], "properties": {"x": deep, "y": {"type": "string"}}});
        }
        let wide: Map<String, Value> = (0..5_000).map(|at| (format!("p{at}"), json!({"type": "string"}))).collect();

        assert!(sample(&deep).to_string().len() < 500);
        assert!(sample(&json!({"properties": wide})).as_object().unwrap().len() <= MOST);
    }
}
