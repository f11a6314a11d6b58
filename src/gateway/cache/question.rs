//! What a request asks, parted into what must be equal and what may be worded otherwise.

use super::wording::Wording;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Members of a request that do not change its answer, in any dialect.
const WITHOUT_EFFECT: &[&str] = &["user", "metadata", "safety_identifier", "prompt_cache_key", "store", "service_tier"];
/// The embedding model reads 256 word pieces; what is longer could differ where it does not look.
const LONGEST_COMPARED: usize = 900;

/// A question to the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// All that makes answers differ but the last message.
    pub partition: [u8; 16],
    /// The last message, exactly.
    pub exact: [u8; 16],
    /// The text to compare by meaning, where it is a plain text short enough.
    pub text: Option<String>,
    pub(super) wording: Wording,
}

/// Why a request is neither looked up nor kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no object with messages or an input.
    Shapeless,
    /// The dialogue is longer than the policy says.
    TooLong,
    /// It goes on from something that the vendor remembers.
    Stateful,
}

impl Question {
    /// Reads a request. `whose` names the policy and those who share its answers.
    ///
    /// # Errors
    /// [`Unfit`] when it is not for the cache.
    pub fn of(whose: &[&str], body: &[u8], max_messages: u32) -> Result<Self, Unfit> {
        let Ok(Value::Object(mut request)) = serde_json::from_slice(body) else { return Err(Unfit::Shapeless) };
        if ["previous_response_id", "conversation", "background"].iter().any(|member| is_set(&request, member)) {
            return Err(Unfit::Stateful);
        }
        for member in WITHOUT_EFFECT {
            request.shift_remove(*member);
        }
        let (dialogue, last) = match request.shift_remove("messages").or_else(|| request.shift_remove("input")) {
            Some(Value::Array(mut messages)) => {
                let spoken = messages.iter().filter(|message| !is_instruction(message)).count();
                if spoken > max_messages as usize {
                    return Err(Unfit::TooLong);
                }
                let last = messages.pop().ok_or(Unfit::Shapeless)?;
                (Value::Array(messages), last)
            }
            Some(text @ Value::String(_)) => (Value::Null, text),
            _ => return Err(Unfit::Shapeless),
        };

        let mut partition = Sha256::new();
        for part in whose {
            partition.update((part.len() as u64).to_le_bytes());
            partition.update(part.as_bytes());
        }
        partition.update(canonical(Value::Object(request)).as_bytes());
        partition.update(canonical(dialogue).as_bytes());
        let partition = half(partition);
        let mut exact = Sha256::new();
        exact.update(partition);
        exact.update(canonical(last.clone()).as_bytes());

        let text = plain(&last).filter(|text| !text.is_empty() && text.len() <= LONGEST_COMPARED);
        let wording = text.as_deref().map(Wording::of).unwrap_or_default();
        Ok(Self { partition, exact: half(exact), text, wording })
    }
}

impl Question {
    /// The same question, which only an answer to the very same words answers.
    #[must_use]
    pub fn only_exact(self) -> Self {
        Self { text: None, ..self }
    }
}

fn is_set(request: &Map<String, Value>, member: &str) -> bool {
    !matches!(request.get(member), None | Some(Value::Null | Value::Bool(false)))
}

fn is_instruction(message: &Value) -> bool {
    matches!(message.get("role").and_then(Value::as_str), Some("system" | "developer"))
}

/// The text of what a user says, where it is nothing else.
fn plain(message: &Value) -> Option<String> {
    if let Value::String(text) = message {
        return Some(text.trim().to_owned());
    }
    let message = message.as_object()?;
    let only = message.keys().all(|key| ["role", "content", "type"].contains(&key.as_str()));
    if !only || message.get("role").and_then(Value::as_str) != Some("user") {
        return None;
    }
    match message.get("content")? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Array(parts) => match parts.as_slice() {
            [part] if matches!(part.get("type").and_then(Value::as_str), Some("text" | "input_text")) => {
                Some(part.get("text")?.as_str()?.trim().to_owned())
            }
            _ => None,
        },
        _ => None,
    }
}

/// Members in order of their names, so that clients that write them otherwise ask the same.
fn canonical(value: Value) -> String {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<(String, Value)> = members.into_iter().collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
            other => other,
        }
    }
    sorted(value).to_string()
}

fn half(hash: Sha256) -> [u8; 16] {
    let hash: [u8; 32] = hash.finalize().into();
    hash[..16].try_into().expect("half of 32 bytes are 16")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(whose: &[&str], body: &Value) -> Question {
        Question::of(whose, body.to_string().as_bytes(), 10).unwrap()
    }

    fn chat(text: &str) -> Value {
        json!({"model": "gpt-5", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]})
    }

    #[test]
    fn only_the_last_message_may_differ_within_a_partition() {
        let (one, other) =
            (ask(&["p", "bot"], &chat("Where is berth 9?")), ask(&["p", "bot"], &chat("Show me berth 9")));

        assert_eq!(one.partition, other.partition);
        assert_ne!(one.exact, other.exact);
        assert_eq!(one.text.as_deref(), Some("Where is berth 9?"));
    }

    #[test]
    fn whatever_changes_an_answer_changes_the_partition() {
        let base = ask(&["p", "bot"], &chat("hi"));
        let with = |name: &str, value: Value| {
            let mut body = chat("hi");
            body[name] = value;
            body
        };
        let mut other_system = chat("hi");
        other_system["messages"][0]["content"] = "Be long.".into();
        for (whose, body) in [
            (["p", "other"], chat("hi")),
            (["q", "bot"], chat("hi")),
            (["pb", "ot"], chat("hi")),
            (["p", "bot"], with("model", json!("o3"))),
            (["p", "bot"], with("temperature", json!(0.1))),
            (["p", "bot"], with("tools", json!([{"type": "function", "function": {"name": "f"}}]))),
            (["p", "bot"], with("stream", json!(true))),
            (["p", "bot"], other_system),
        ] {
            assert_ne!(ask(&whose, &body).partition, base.partition, "{whose:?} {body}");
        }
    }

    #[test]
    fn what_changes_no_answer_changes_no_partition() {
        let base = ask(&["p", "bot"], &chat("hi"));
        let mut tagged = chat("hi");
        tagged["user"] = "ann".into();
        let turned = json!({"messages": chat("hi")["messages"], "model": "gpt-5"});

        assert_eq!(ask(&["p", "bot"], &tagged), base);
        assert_eq!(ask(&["p", "bot"], &turned), base);
    }

    #[test]
    fn what_is_no_plain_short_text_is_compared_exactly_only() {
        for content in [
            json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]),
            json!("long ".repeat(500)),
            json!(""),
        ] {
            let body = json!({"messages": [{"role": "user", "content": content}]});
            assert_eq!(ask(&["p"], &body).text, None, "{body:.80}");
        }
        let tool = json!({"messages": [{"role": "tool", "tool_call_id": "1", "content": "12 degrees"}]});
        assert_eq!(ask(&["p"], &tool).text, None);
    }

    #[test]
    fn some_requests_are_not_for_the_cache() {
        let long: Vec<Value> = (0..11).map(|n| json!({"role": "user", "content": n.to_string()})).collect();
        for (body, unfit) in [
            (json!({"messages": long}), Unfit::TooLong),
            (json!({"input": "hi", "previous_response_id": "resp_1"}), Unfit::Stateful),
            (json!({"messages": []}), Unfit::Shapeless),
            (json!([1]), Unfit::Shapeless),
        ] {
            assert_eq!(Question::of(&["p"], body.to_string().as_bytes(), 10), Err(unfit), "{body:.60}");
        }
    }
}
