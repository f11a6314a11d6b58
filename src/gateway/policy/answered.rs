//! What is said in an answer of a model, in any dialect, whole or event by event: its texts, and what it calls tools with.

use crate::wire::sse;
use serde_json::Value;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Members that hold what is said. `delta` is a text in one dialect, and holds members in the others.
const SAID: [&str; 14] = [
    "arguments",
    "code",
    "content",
    "delta",
    "failed_generation",
    "input",
    "output_text",
    "partial_json",
    "reasoning",
    "reasoning_content",
    "refusal",
    "text",
    "thinking",
    "transcript",
];

/// Members of calls of the vendors' own tools that hold what these are called with.
const CALLED_WITH: [&str; 4] = ["action", "actions", "operation", "queries"];

/// Members of an answer that tell again what was asked.
const ECHOED: [&str; 4] = ["instructions", "metadata", "prompt", "tools"];

/// Where a text stands: by the numbers of what it is in, and its member. The pieces of a stream that belong together
/// stand in one place.
type Place = (u64, &'static str);

/// The texts of an answer as far as it has come.
#[derive(Default)]
pub(super) struct Texts(Vec<Text>);

/// One of them.
pub(super) struct Text {
    place: Place,
    pub said: String,
    /// Whether its begin was cut off, but for the last character of it.
    pub is_cut: bool,
    /// Whether something matches at its end that its next piece may make something else of.
    pub is_open: bool,
}

impl Text {
    /// Whether it is JSON as it is written, or may be.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.place.1, "arguments" | "partial_json")
    }
}

impl Texts {
    /// Adds what this JSON says, of an event or a whole answer. What is none says itself: it is not for us to know how a
    /// client reads it.
    pub(super) fn add(&mut self, json: &[u8]) {
        self.visit(json, |_| {});
    }

    /// As [`Texts::add`], and shows each text that became longer.
    pub(super) fn visit(&mut self, json: &[u8], mut longer: impl FnMut(&mut Text)) {
        let mut add = |place: Place, piece: &str| {
            let at = self.0.iter().position(|text| text.place == place).unwrap_or_else(|| {
                self.0.push(Text { place, said: String::new(), is_cut: false, is_open: false });
                self.0.len() - 1
            });
            let text = &mut self.0[at];
            text.said.push_str(piece);
            longer(text);
        };
        match serde_json::from_slice::<Value>(json) {
            Ok(value) => each(&value, event_place(&value), None, &mut add),
            Err(_) => add((0, ""), &String::from_utf8_lossy(json)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Text> {
        self.0.iter()
    }

    /// Each once: events at the end of a stream repeat what was said. Behind what is written as JSON stands what it says.
    pub(super) fn into_vec(self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::with_capacity(self.0.len());
        let mut add = |text: String| {
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        };
        for text in self.0 {
            let written = text.is_written().then(|| read(&text.said)).flatten();
            add(text.said);
            add(written.unwrap_or_default());
        }
        texts
    }
}

/// What an object or a list says that is written in a text.
fn read(json: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok().filter(|value: &Value| value.is_object() || value.is_array())?;
    let mut said = String::new();
    whole(&value, &mut said);
    Some(said)
}

/// What is behind the escapes of a part of JSON; a half of one at its end stays.
pub(super) fn unescaped(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return json.into();
    }
    let mut said = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once('\\') {
        said.push_str(before);
        let mut chars = after.chars();
        rest = match chars.next() {
            Some('n' | 'r' | 't' | 'b' | 'f') => {
                said.push('\n');
                chars.as_str()
            }
            Some('u') => match (unit(after), after.get(5..).and_then(|next| unit(next.strip_prefix('\\')?))) {
                (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                    said.extend(
                        char::decode_utf16([high, low]).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)),
                    );
                    &after[11..]
                }
                (Some(code), _) => {
                    said.push(char::from_u32(code.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
                    &after[5..]
                }
                (None, _) => {
                    said.push('u');
                    chars.as_str()
                }
            },
            Some(escaped) => {
                said.push(escaped);
                chars.as_str()
            }
            None => after,
        };
    }
    (said + rest).into()
}

/// The number in `u` and four digits.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

/// What a model said that its vendor tells of in a refusal, as JSON: an attempt at a call, for one.
pub(super) fn in_refusal(body: &[u8]) -> Option<Vec<u8>> {
    const SAID: &str = "failed_generation";
    memchr::memmem::find(body, SAID.as_bytes())?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = body.get("error")?.get(SAID)?;
    Some(serde_json::json!({SAID: said}).to_string().into_bytes())
}

/// Where the texts of an event stand, in the dialect of responses: each kind says something of its own, or repeats what
/// others said. 0 for all others.
fn event_place(event: &Value) -> u64 {
    match event.get("type").and_then(Value::as_str) {
        Some(kind) if kind.starts_with("response.") => {
            let mut hasher = DefaultHasher::new();
            kind.hash(&mut hasher);
            hasher.finish()
        }
        _ => 0,
    }
}

/// The data of the events in `bytes`, which are whole; of what ends a stream there is nothing to see.
pub(super) fn events(mut bytes: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    std::iter::from_fn(move || {
        loop {
            let end = sse::event_end(bytes).unwrap_or(bytes.len());
            let (event, rest) = bytes.split_at(end);
            bytes = rest;
            match sse::data(event) {
                Some(data) if *data != *b"[DONE]" => return Some(data),
                _ if rest.is_empty() => return None,
                _ => {}
            }
        }
    })
}

/// `position` is the value's own in a list.
fn each(value: &Value, place: u64, position: Option<u64>, add: &mut impl FnMut(Place, &str)) {
    match value {
        Value::Array(items) => (0..).zip(items).for_each(|(position, item)| each(item, place, Some(position), add)),
        Value::Object(members) => {
            let numbers = ["index", "output_index", "content_index", "summary_index"];
            let mut numbers = numbers.iter().filter_map(|name| members.get(*name)?.as_u64()).peekable();
            let place = match (numbers.peek(), position) {
                (None, Some(own)) => within(place, own),
                _ => numbers.fold(place, within),
            };
            let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
            for (name, value) in members {
                match (SAID.into_iter().find(|said| said == name), value) {
                    (Some("arguments"), Value::String(json)) => {
                        add((place, "arguments"), json);
                        // The pieces of a stream are none by themselves.
                        if let Some(said) = read(json) {
                            add((place, "read"), &said);
                        }
                    }
                    (Some("arguments"), value) => add((place, "read"), &said_by(value)),
                    (Some("input"), value) if kind.ends_with("tool_use") => add((place, "read"), &said_by(value)),
                    (Some("input"), Value::Object(_) | Value::Array(_)) => {}
                    (Some("delta"), Value::String(json)) if kind.ends_with("arguments.delta") => {
                        add((place, "arguments"), json);
                    }
                    (Some(said), Value::String(text)) => add((place, said), text),
                    (None, value) if kind.ends_with("_call") && CALLED_WITH.contains(&&**name) => {
                        add((place, "read"), &said_by(value));
                    }
                    (None, _) if ECHOED.contains(&&**name) => {}
                    (_, value) => each(value, place, None, add),
                }
            }
        }
        _ => {}
    }
}

/// The number of a place within another.
fn within(place: u64, own: u64) -> u64 {
    place.wrapping_mul(1 << 16).wrapping_add(own).wrapping_add(1)
}

fn said_by(value: &Value) -> String {
    let mut said = String::new();
    whole(value, &mut said);
    said
}

/// Everything in it is said: its members have names of their author's choosing.
fn whole(value: &Value, said: &mut String) {
    match value {
        Value::String(text) => said.extend([text, "\n"]),
        Value::Number(number) => said.extend([&*number.to_string(), "\n"]),
        Value::Array(items) => items.iter().for_each(|item| whole(item, said)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            said.extend([name, " "]);
            whole(value, said);
        }),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(parts: &[Value]) -> Vec<String> {
        let mut texts = Texts::default();
        parts.iter().for_each(|part| texts.add(part.to_string().as_bytes()));
        texts.into_vec()
    }

    #[test]
    fn a_whole_answer_says_its_texts_and_what_tools_are_called_with() {
        let call = json!({"name": "send", "arguments": "{\"to\": \"K\\u00f6ln\", \"n\": 7}"});
        for answer in [
            json!({"id": "chatcmpl-1", "model": "gpt-4o", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": "Sent.", "tool_calls": [{"id": "c", "type": "function", "function": call}]}}]}),
            json!({"id": "resp_1", "status": "completed", "instructions": "no word of it", "output": [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Sent."}]},
                {"type": "function_call", "name": "send", "arguments": call["arguments"]}]}),
        ] {
            let raw = call["arguments"].as_str().unwrap();
            assert_eq!(said(&[answer]), ["Sent.", raw, "to K\u{f6}ln\nn 7\n"]);
        }
        let answer = json!({"id": "msg_1", "role": "assistant", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "Sent."},
            {"type": "tool_use", "id": "t", "name": "send", "input": {"to": "K\u{f6}ln", "n": 7}}]});
        assert_eq!(said(&[answer]), ["Hm.", "Sent.", "to K\u{f6}ln\nn 7\n"]);
    }

    #[test]
    fn the_pieces_of_a_stream_join_where_they_belong() {
        let chat = |choice: u64, text: &str| json!({"choices": [{"index": choice, "delta": {"content": text}}]});
        assert_eq!(said(&[chat(0, "a "), chat(1, "c "), chat(0, "b"), chat(1, "d")]), ["a b", "c d"]);
        let block = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        assert_eq!(
            said(&[
                block(0, json!({"type": "text_delta", "text": "a "})),
                block(0, json!({"type": "text_delta", "text": "b"})),
                block(1, json!({"type": "input_json_delta", "partial_json": "{\"c"})),
                block(1, json!({"type": "input_json_delta", "partial_json": "\":1}"})),
            ]),
            ["a b", "{\"c\":1}", "c 1\n"]
        );
        let delta = |text: &str| json!({"type": "response.output_text.delta", "output_index": 0, "delta": text});
        let done = json!({"type": "response.output_text.done", "output_index": 0, "text": "a b"});
        let part = json!({"type": "response.content_part.done", "output_index": 0, "part": {"type": "output_text", "text": "a b"}});
        let item = json!({"type": "message", "content": [{"type": "output_text", "text": "a b"}]});
        let ended = json!({"type": "response.completed", "response": {"output": [item]}});
        assert_eq!(said(&[delta("a "), delta("b"), done, part, ended]), ["a b"]);
        let of = |kind: &str, output: u64, content: Option<u64>, delta: &str| json!({"type": format!("response.{kind}.delta"), "output_index": output, "content_index": content, "delta": delta});
        assert_eq!(
            said(&[
                of("output_text", 0, Some(0), "Running it"),
                of("function_call_arguments", 1, None, "{\"a\":"),
                of("reasoning_text", 0, Some(0), "hm"),
                of("output_text", 0, Some(1), "more"),
                of("function_call_arguments", 1, None, "1}"),
            ]),
            ["Running it", "{\"a\":1}", "a 1\n", "hm", "more"]
        );
        let echoed = json!([{"role": "system", "content": [{"type": "input_text", "text": "be kind"}]}]);
        assert!(
            said(&[json!({"type": "response.created", "response": {"instructions": echoed, "output": []}})]).is_empty()
        );
    }

    #[test]
    fn whatever_tools_are_called_with_is_said() {
        for (call, expected) in [
            (json!({"type": "custom_tool_call", "name": "run", "input": "rm -r"}), vec!["rm -r"]),
            (json!({"custom": {"name": "run", "input": "rm -r"}}), vec!["rm -r"]),
            (json!({"function": {"name": "run", "arguments": {"n": 7}}}), vec!["n 7\n"]),
            (json!({"type": "local_shell_call", "action": {"command": ["rm", "-r"]}}), vec!["command rm\n-r\n"]),
            (json!({"type": "file_search_call", "queries": ["a b"]}), vec!["a b\n"]),
            (json!({"type": "web_search_call", "status": "completed"}), vec![]),
        ] {
            assert_eq!(said(&[json!({"output": [call]})]), expected, "{call}");
        }
    }

    #[test]
    fn escapes_are_read_also_where_the_rest_is_still_to_come() {
        for (json, expected) in [
            ("plain", "plain"),
            (r#"a\nb\"c\\d"#, "a\nb\"c\\d"),
            (r"K\u00f6ln\u12", "K\u{f6}lnu12"),
            (r"\ud83d\ude00 \ud83d", "\u{1f600} \u{fffd}"),
            ("\\", ""),
        ] {
            assert_eq!(unescaped(json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_says_itself() {
        let mut texts = Texts::default();
        for data in events(
            b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n: ping\n\ndata: plain\n\ndata: [DONE]\n\n",
        ) {
            texts.add(&data);
        }
        assert_eq!(texts.into_vec(), ["a", "plain"]);
    }
}
