//! JSON's values as YAML that people like to read and [`super::parse`] reads back as the same.

use super::scalar;
use serde_json::Value;
use std::fmt::Write;

/// `value` in block style, two spaces a level, plain where that is safe; ends with a line break.
#[must_use]
pub fn emit(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut text, map, 0),
        Value::Array(list) if !list.is_empty() => sequence(&mut text, list, 0),
        leaf => {
            text.push_str(&scalar_text(leaf));
            text.push('\n');
        }
    }
    text
}

fn mapping(text: &mut String, map: &serde_json::Map<String, Value>, depth: usize) {
    for (at, (key, value)) in map.iter().enumerate() {
        // The first key of a list's item stands on the line of its dash.
        if at > 0 || !text.ends_with("- ") {
            indent(text, depth);
        }
        text.push_str(&string(key));
        text.push(':');
        below(text, value, depth);
    }
}

fn sequence(text: &mut String, list: &[Value], depth: usize) {
    for value in list {
        indent(text, depth);
        text.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => mapping(text, map, depth + 1),
            Value::Array(inner) if !inner.is_empty() => {
                text.pop();
                text.push('\n');
                sequence(text, inner, depth + 1);
            }
            leaf => {
                text.push_str(&scalar_text(leaf));
                text.push('\n');
            }
        }
    }
}

fn below(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            mapping(text, map, depth + 1);
        }
        Value::Array(list) if !list.is_empty() => match short(list) {
            Some(flow) => writeln!(text, " {flow}").expect("writing to a string cannot fail"),
            None => {
                text.push('\n');
                sequence(text, list, depth + 1);
            }
        },
        leaf => writeln!(text, " {}", scalar_text(leaf)).expect("writing to a string cannot fail"),
    }
}

/// A list of a few words on one line.
fn short(list: &[Value]) -> Option<String> {
    let words: Option<Vec<String>> = list
        .iter()
        .map(|value| match value {
            Value::String(word) if is_plain(word) && !word.contains([',', '[', ']', '{', '}']) => Some(word.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    let flow = format!("[{}]", words?.join(", "));
    (flow.len() <= 70).then_some(flow)
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        // Numbers, `true`, `null`, and the empty `[]` and `{}` are written as in JSON.
        other => other.to_string(),
    }
}

fn string(text: &str) -> String {
    // A JSON string is a double-quoted scalar of YAML 1.2.
    if is_plain(text) { text.to_owned() } else { Value::from(text).to_string() }
}

/// Whether a text can stand without quotes, for us and for readers of older YAML.
fn is_plain(text: &str) -> bool {
    let older = ["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    let begins = text.chars().next().is_some_and(|c| c.is_alphanumeric() || "/_$+(".contains(c));
    begins
        && !older
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.chars().any(char::is_control)
        && text.is_ascii()
        && scalar::plain(text).as_str() == Some(text)
        // Times of the day and dates are numbers or times to older readers.
        && !(text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b":.".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        for value in [
            json!({}),
            json!([]),
            json!("text"),
            json!({"a": {"b": [{"c": 1, "d": [1, 2]}, {"e": {}}, [], [[1], "x"]]}, "f": null}),
            json!({"words": ["yes", "1", "true", "", " x", "a: b", "a #b", "- c", "{key}", "${KEY}", "12:30", "é\n\"", "'", "~"]}),
            json!({"yes": 1, "1": 2, "a b": 0.15, "": -3}),
            json!({"list": ["gpt-4o", "meta/llama:70b"], "long": ["a".repeat(40), "b".repeat(40)]}),
        ] {
            let text = emit(&value);
            assert_eq!(super::super::parse(&text).unwrap().value, value, "{text}");
        }
    }

    #[test]
    fn it_looks_as_a_person_would_write_it() {
        let value = json!({"backends": [{"name": "eu", "models": {"gpt-4o": "gpt-4o-eu"}}], "models": ["a", "b"]});

        assert_eq!(emit(&value), "backends:\n  - name: eu\n    models:\n      gpt-4o: gpt-4o-eu\nmodels: [a, b]\n");
    }
}
