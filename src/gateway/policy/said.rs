//! What is said in a request to a model: every text that the model is going to read, in any dialect.
//!
//! A request is an envelope around texts: roles, kinds, ids, addresses, pictures and sound in base64. What a member is
//! depends on the kind of part it stands in, so that nothing is left out merely for its name. What a tool is called with has
//! members of its author's choosing: it is said from end to end, names and numbers included. So are the values
//! that a schema of a tool or an answer holds; of the rest of it the texts are said, not the names and bounds.

use crate::base::{self, Problem};
use crate::gateway::exchange::Exchange;
use serde_json::{Map, Value};

/// Members of a request that hold what is said.
const SAID: &[&str] = &["messages", "input", "system", "instructions", "prompt", "prediction"];

/// Members of a request that describe what the model may call, and how it is to answer.
const DESCRIBED: &[&str] = &["tools", "functions", "response_format", "text", "output_config", "output_format"];

/// Members of a tool that the vendor reads and no model: what opens a server of tools, and pictures.
const OF_THE_VENDOR: &[&str] = &["authorization", "headers", "server_url", "input_image_mask"];

/// The body of a request to a model, to look for texts in.
///
/// # Errors
/// 400 when it is no JSON that we can read, or names something twice. Others may read it all the same (a number beyond all
/// bounds, half a character, the other of two values), and what cannot be looked at must not go on.
pub(super) fn body(exchange: &Exchange, policy: &str) -> Result<Map<String, Value>, Box<Problem>> {
    let refused = |why: &str| {
        let detail = format!("The policy {policy} cannot read the body: {why}.");
        Box::new(Problem::bad_request(detail).with("policy", policy))
    };
    match base::parse_strict(&exchange.body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(refused("it is no object")),
        Err(error) => Err(refused(&error.to_string())),
    }
}

/// Visits every text of a prompt.
pub(super) fn each_text(body: &mut Map<String, Value>, visit: &mut impl FnMut(&mut String)) {
    for member in SAID {
        if let Some(value) = body.get_mut(*member) {
            walk(value, visit);
        }
    }
    for member in DESCRIBED {
        match body.get_mut(*member) {
            Some(Value::Array(tools)) => {
                for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
                    let members = tool.iter_mut().filter(|(name, _)| !OF_THE_VENDOR.contains(&name.as_str()));
                    members.for_each(|(name, value)| described(name, value, visit));
                }
            }
            Some(value) => described(member, value, visit),
            None => {}
        }
    }
}

/// What a member of a description says. A property may have the name of any word of schemas; it is described itself then.
fn described(name: &str, value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match (name, value) {
        // Names, and what kind something is.
        ("type" | "required" | "$ref" | "$id" | "$anchor" | "$schema", Value::String(_) | Value::Array(_)) => {}
        ("properties" | "$defs" | "definitions", Value::Object(members)) => {
            members.values_mut().for_each(|value| described("", value, visit));
        }
        ("enum" | "const" | "default" | "example" | "examples", value) => whole(value, visit),
        (_, Value::String(text)) => visit(text),
        (_, Value::Array(items)) => items.iter_mut().for_each(|item| described("", item, visit)),
        (_, Value::Object(members)) => members.iter_mut().for_each(|(name, value)| described(name, value, visit)),
        _ => {}
    }
}

fn walk(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Object(part) => {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            for (name, value) in part {
                member(&kind, name, value, visit);
            }
        }
        _ => {}
    }
}

/// A member of a part of this kind.
fn member(kind: &str, name: &str, value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match (name, value) {
        _ if is_envelope(kind, name) => {}
        ("arguments", Value::String(text)) => written(text, visit),
        ("arguments", value) => whole(value, visit),
        ("input", value) if kind.ends_with("tool_use") => whole(value, visit),
        // Their members have names of their author's choosing, too; what stands there may be parts.
        ("variables" | "env", Value::Object(members)) => members.values_mut().for_each(|value| walk(value, visit)),
        (_, value) => walk(value, visit),
    }
}

/// Whether a member says nothing: it names what the part is, or holds what is encoded or lies elsewhere.
fn is_envelope(kind: &str, name: &str) -> bool {
    match name {
        "role" | "type" | "id" | "tool_call_id" | "tool_use_id" | "call_id" | "file_id" | "status" | "media_type"
        | "cache_control" | "signature" | "encrypted_content" | "file_data" | "file_url" => true,
        "image_url" | "detail" => matches!(kind, "image_url" | "input_image" | "computer_screenshot"),
        "input_audio" | "video_url" => kind == name,
        "data" => matches!(kind, "base64" | "redacted_thinking"),
        "url" => kind == "url",
        "result" => kind == "image_generation_call",
        _ => false,
    }
}

/// JSON within a text: what it says stands behind its escapes, and changed must be JSON again.
fn written(text: &mut String, visit: &mut impl FnMut(&mut String)) {
    if let Ok(before @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        let mut after = before.clone();
        whole(&mut after, visit);
        if after != before {
            *text = after.to_string();
        }
    }
    // And as it stands: what names a member twice says both, and a pattern may reach over a name and its value.
    visit(text);
}

/// Everything in a value is said. A number that is changed becomes a text.
fn whole(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Number(number) => {
            let before = number.to_string();
            let mut after = before.clone();
            visit(&mut after);
            if after != before {
                *value = after.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| whole(item, visit)),
        Value::Object(members) => {
            for (mut name, mut value) in std::mem::take(members) {
                visit(&mut name);
                whole(&mut value, visit);
                members.insert(name, value);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::exchange::ReplyFilter;
    use crate::gateway::masking::{Masker, Restorer};
    use bytes::Bytes;
    use serde_json::json;

    fn texts(member: &str, said: Value) -> Vec<String> {
        let mut body = Map::from_iter([(member.to_owned(), said)]);
        let mut texts = Vec::new();
        each_text(&mut body, &mut |text| texts.push(text.clone()));
        texts
    }

    #[test]
    fn documents_and_the_inputs_of_tools_are_said_whatever_their_members_are_called() {
        let document = |source: Value| json!([{"role": "user", "content": [{"type": "document", "source": source}]}]);
        let used =
            |input: Value| json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "c", "input": input}]}]);
        let called = |arguments: &str| {
            json!([{"role": "assistant", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "look", "arguments": arguments}}]}])
        };
        for (member, said, expected) in [
            ("messages", document(json!({"type": "text", "media_type": "text/plain", "data": "a"})), vec!["a"]),
            ("messages", document(json!({"type": "content", "content": [{"type": "text", "text": "a"}]})), vec!["a"]),
            (
                "messages",
                used(json!({"type": "a", "url": "b", "id": {"data": ["c", 7]}, "role": true})),
                vec!["type", "a", "url", "b", "id", "data", "c", "7", "role"],
            ),
            (
                "messages",
                called(r#"{"format":"\u0061\nb"}"#),
                vec!["look", "format", "a\nb", r#"{"format":"\u0061\nb"}"#],
            ),
            ("messages", called(r#"{"a":"b","a":"c"}"#), vec!["look", "a", "c", r#"{"a":"b","a":"c"}"#]),
            ("messages", called("no JSON"), vec!["look", "no JSON"]),
            (
                "input",
                json!([{"type": "function_call", "call_id": "c", "arguments": "{\"id\":7}"}]),
                vec!["id", "7", "{\"id\":7}"],
            ),
            ("input", json!([{"type": "custom_tool_call", "call_id": "c", "input": "a"}]), vec!["a"]),
            (
                "prompt",
                json!({"id": "pmpt_1", "variables": {"id": "a", "role": {"type": "input_text", "text": "b"}}}),
                vec!["a", "b"],
            ),
            ("system", json!([{"type": "text", "text": "a", "data": "b"}]), vec!["a", "b"]),
        ] {
            assert_eq!(texts(member, said.clone()), expected, "{said}");
        }
    }

    #[test]
    fn what_tools_and_answers_may_look_like_is_said_but_for_names_and_kinds() {
        let schema = json!({"type": ["object", "null"], "required": ["a"], "properties": {
            "type": {"type": "string", "description": "a", "enum": ["b", 7]}, "enum": {"title": "c", "maximum": 9}}});
        let function = json!({"name": "look", "description": "d", "parameters": schema});
        for (member, described) in [
            ("tools", json!([{"type": "function", "function": function}])),
            ("functions", json!([function])),
            ("tools", json!([{"type": "function", "name": "look", "description": "d", "parameters": schema}])),
        ] {
            assert_eq!(texts(member, described), ["look", "d", "a", "b", "7", "c"].map(String::from), "{member}");
        }
        let format = json!({"type": "json_schema", "schema": schema});
        for (member, described) in [
            ("response_format", json!({"type": "json_schema", "json_schema": {"schema": schema}})),
            ("text", json!({"format": format})),
            ("output_config", json!({"format": format})),
        ] {
            assert_eq!(texts(member, described), ["a", "b", "7", "c"].map(String::from), "{member}");
        }
        let server = json!([{"type": "mcp", "server_label": "a", "server_url": "https://example.org", "authorization": "s",
            "headers": {"x-key": "s"}, "server_description": "b"}]);
        assert_eq!(texts("tools", server), ["a", "b"].map(String::from));
        assert_eq!(texts("prediction", json!({"type": "content", "content": "a"})), ["a".to_owned()]);
    }

    #[test]
    fn the_envelope_and_what_is_encoded_say_nothing() {
        let base64 = json!({"type": "base64", "media_type": "application/pdf", "data": "AAAA"});
        for part in [
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}}),
            json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"}),
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
            json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "file_id": "file_1"}}),
            json!({"type": "image", "source": base64, "cache_control": {"type": "ephemeral", "ttl": "5m"}}),
            json!({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}),
            json!({"type": "document", "source": base64}),
            json!({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "image", "source": base64}]}),
            json!({"type": "redacted_thinking", "data": "AAAA"}),
        ] {
            let messages = json!([{"role": "user", "id": "m", "content": [part]}]);
            assert_eq!(texts("messages", messages), Vec::<String>::new(), "{part}");
        }
    }

    #[test]
    fn what_is_hidden_in_arguments_leaves_them_json_and_comes_back() {
        let masker = Masker::all();
        let mut session = masker.session();
        let arguments = r#"{"to":"see\nann@example.org","card":4111111111111111,"berth":9}"#;
        let mut body = Map::new();
        body.insert("messages".into(), json!([{"role": "assistant", "function_call": {"arguments": arguments}}]));

        each_text(&mut body, &mut |text| {
            if let Some(hidden) = session.hide(text) {
                *text = hidden;
            }
        });

        let hidden = body["messages"][0]["function_call"]["arguments"].as_str().unwrap();
        let parsed: Value = serde_json::from_str(hidden).unwrap();
        assert_eq!(parsed, json!({"to": "see\n[EMAIL_1]", "card": "[CARD_1]", "berth": 9}));
        let answer = json!({"content": [{"type": "tool_use", "input": parsed}]}).to_string();
        let mut restorer = Restorer::new(session.hidden(), false);
        let restored = [restorer.piece(Bytes::from(answer)), restorer.end()].concat();
        let restored: Value = serde_json::from_slice(&restored).unwrap();
        assert_eq!(
            restored["content"][0]["input"],
            json!({"to": "see\nann@example.org", "card": "4111111111111111", "berth": 9})
        );
    }
}
