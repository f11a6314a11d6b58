//! What the definitions of tools cost, by the formula that OpenAI's cookbook gives: each function and each property has
//! a fixed part and a line of its name, type and description.

use super::count::{Family, count};
use serde_json::Value;

const PROPERTIES: u64 = 3;
const PROPERTY: u64 = 3;
const ENUM_ITEM: u64 = 3;
/// An enumeration costs this less than its items.
const ENUM: u64 = 3;
const END: u64 = 12;
/// Properties deeper than this are counted as the text they are written as.
const DEEPEST: usize = 12;

/// The tokens of a list of tools, in OpenAI's or Anthropic's form.
pub(super) fn tokens(family: Family, tools: &[Value]) -> u64 {
    if tools.is_empty() {
        return 0;
    }
    let start = if family == Family::Cl100k { 10 } else { 7 };
    let functions = tools.iter().map(|tool| {
        // Chat wraps the function, responses and Anthropic do not; Anthropic calls the parameters `input_schema`.
        let function = tool.get("function").unwrap_or(tool);
        let schema = function.get("parameters").or_else(|| function.get("input_schema"));
        let line = format!("{}:{}", text(function, "name"), text(function, "description").trim_end_matches('.'));
        start + count(family, &line) + schema.map_or(0, |schema| properties(family, schema, 0))
    });
    functions.sum::<u64>() + END
}

fn properties(family: Family, schema: &Value, depth: usize) -> u64 {
    if depth > DEEPEST {
        return count(family, &schema.to_string());
    }
    let Some(named) = schema.get("properties").and_then(Value::as_object).filter(|named| !named.is_empty()) else {
        return 0;
    };
    let each = named.iter().map(|(name, property)| {
        let line = format!("{name}:{}:{}", text(property, "type"), text(property, "description").trim_end_matches('.'));
        let choices = property.get("enum").and_then(Value::as_array).map_or(0, |items| {
            let items = items.iter().map(|item| {
                ENUM_ITEM + item.as_str().map_or_else(|| count(family, &item.to_string()), |item| count(family, item))
            });
            items.sum::<u64>().saturating_sub(ENUM)
        });
        let below = properties(family, property, depth + 1)
            + property.get("items").map_or(0, |items| properties(family, items, depth + 1));
        PROPERTY + count(family, &line) + choices + below
    });
    PROPERTIES + each.sum::<u64>()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
