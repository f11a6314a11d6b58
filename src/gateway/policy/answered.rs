//! What is said in an answer of a model, in any dialect, whole or event by event: its texts, and what it calls tools with.

use crate::wire::sse;
use serde_json::Value;
use std::borrow::Cow;

/// Members that hold what is said. `delta` is a text in one dialect, and holds members in the others.
const SAID: [&str; 13] = [
    "arguments",
    "code",
    "content",
    "delta",
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

/// Where a text stands: by the numbers of what it is in, and its member. The pieces of a stream that belong together
/// stand in one place.
type Place = (u64, &'static str);

/// The texts of an answer as far as it has come, each in its place.
#[derive(Default)]
pub(super) struct Texts(Vec<(Place, String)>);

impl Texts {
    /// Adds what this JSON says, of an event or a whole answer. What is none says itself: it is not for us to know how a
    /// client reads it.
    pub(super) fn add(&mut self, json: &[u8]) {
        self.visit(json, |_| {});
    }

    /// As [`Texts::add`], and shows each text that became longer, which may be cut then.
    pub(super) fn visit(&mut self, json: &[u8], mut longer: impl FnMut(&mut String)) {
        let mut add = |place: Place, piece: &str| {
            let at = self.0.iter().position(|(other, _)| *other == place).unwrap_or_else(|| {
                self.0.push((place, String::new()));
                self.0.len() - 1
            });
            let text = &mut self.0[at].1;
            text.push_str(piece);
            longer(text);
        };
        match serde_json::from_slice::<Value>(json) {
            Ok(value) => each(&value, 0, None, &mut add),
            Err(_) => add((0, ""), &String::from_utf8_lossy(json)),
        }
    }

    /// Each once: events at the end of a stream repeat what was said.
    pub(super) fn into_vec(self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::with_capacity(self.0.len());
        for (_, text) in self.0 {
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
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
            let numbers = ["index", "output_index"].iter().find_map(|name| members.get(*name)?.as_u64());
            let place = numbers.or(position).map_or(place, |own| place.wrapping_mul(1 << 16).wrapping_add(own + 1));
            let is_call = members.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("tool_use"));
            for (name, value) in members {
                match (SAID.into_iter().find(|said| said == name), value) {
                    (Some("input"), value) => {
                        if is_call {
                            whole(value, (place, "input"), add);
                        }
                    }
                    (Some("arguments"), Value::String(json)) => {
                        add((place, "arguments"), json);
                        // What stands behind its escapes, too.
                        if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(json) {
                            whole(&value, (place, "input"), add);
                        }
                    }
                    (Some(said), Value::String(text)) => add((place, said), text),
                    (_, value) => each(value, place, None, add),
                }
            }
        }
        _ => {}
    }
}

/// Everything in it is said: its members have names of their author's choosing.
fn whole(value: &Value, place: Place, add: &mut impl FnMut(Place, &str)) {
    match value {
        Value::String(text) => {
            add(place, text);
            add(place, "\n");
        }
        Value::Number(number) => add(place, &format!("{number}\n")),
        Value::Array(items) => items.iter().for_each(|item| whole(item, place, add)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            add(place, name);
            add(place, " ");
            whole(value, place, add);
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
            ["a b", "{\"c\":1}"]
        );
        let delta = |text: &str| json!({"type": "response.output_text.delta", "output_index": 0, "delta": text});
        let done = json!({"type": "response.output_text.done", "output_index": 0, "text": "a b"});
        assert_eq!(said(&[delta("a "), delta("b"), done]), ["a b"]);
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
