//! Why a model stopped, as its vendor says it, for traces.

use crate::wire::call::Dialect;
use memchr::memmem;

/// The words that vendors have for it; another one is not told.
const WORDS: [&str; 17] = [
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "function_call",
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "completed",
    "incomplete",
    "failed",
    "max_output_tokens",
    "cancelled",
];
/// The most that are told of one answer.
const MOST: usize = 16;

/// Adds the reasons that a whole answer, or the data of one event of a stream, gives; one for each choice.
pub(super) fn add_finish_reasons(dialect: Dialect, json: &[u8], reasons: &mut Vec<&'static str>) {
    let key: &[u8] = match dialect {
        Dialect::Chat => b"\"finish_reason\"",
        Dialect::Messages => b"\"stop_reason\"",
        Dialect::Responses => {
            let incomplete =
                memmem::find(json, b"\"incomplete_details\"").and_then(|at| word(&json[at..], b"\"reason\""));
            // The response's own status stands before those of its items.
            reasons.extend(incomplete.or_else(|| word(json, b"\"status\"")));
            return;
        }
        Dialect::Embeddings | Dialect::CountTokens => return,
    };
    // Within a text the quotes are escaped, so that none of it is taken for a key.
    for at in memmem::find_iter(json, key) {
        if reasons.len() < MOST {
            reasons.extend(word(&json[at..], key));
        }
    }
}

/// The value of this key, which is the first thing there or follows.
fn word(json: &[u8], key: &[u8]) -> Option<&'static str> {
    let value = &json[memmem::find(json, key)? + key.len()..];
    let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    WORDS.into_iter().find(|word| word.as_bytes() == &value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendors_word_is_found_and_no_word_of_the_answer() {
        for (dialect, json, told) in [
            (
                Dialect::Chat,
                r#"{"choices":[{"finish_reason":"stop"},{"finish_reason": "length"}]}"#,
                vec!["stop", "length"],
            ),
            (
                Dialect::Chat,
                r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason":null}]}"#,
                vec![],
            ),
            (Dialect::Chat, r#"{"choices":[{"finish_reason":"of its own"}]}"#, vec![]),
            (Dialect::Messages, r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#, vec!["end_turn"]),
            (Dialect::Messages, r#"{"type":"message_start","message":{"stop_reason":null}}"#, vec![]),
            (
                Dialect::Responses,
                r#"{"status":"completed","incomplete_details":null,"output":[{"status":"incomplete"}]}"#,
                vec!["completed"],
            ),
            (
                Dialect::Responses,
                r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#,
                vec!["max_output_tokens"],
            ),
            (Dialect::Embeddings, r#"{"finish_reason":"stop"}"#, vec![]),
        ] {
            let mut reasons = Vec::new();
            add_finish_reasons(dialect, json.as_bytes(), &mut reasons);
            assert_eq!(reasons, told, "{json}");
        }
    }
}
