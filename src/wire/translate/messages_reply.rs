//! A chat completion as an answer of Anthropic's.

use super::{messages_usage, stop_reason};
use crate::wire::usage::reported;
use serde_json::{Value, json};

pub(super) fn of_chat(chat: &Value, model: &str) -> Value {
    let choice = &chat["choices"][0];
    let message = &choice["message"];
    let mut blocks = Vec::new();
    let text = message["content"].as_str().or_else(|| message["refusal"].as_str()).unwrap_or_default();
    if !text.is_empty() {
        blocks.push(json!({"type": "text", "text": text}));
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let arguments = call["function"]["arguments"].as_str().unwrap_or("{}");
        let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
        blocks.push(json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input}));
    }
    let usage = reported(chat.to_string().as_bytes()).unwrap_or_default();
    json!({
        "id": chat["id"],
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": stop_reason(choice["finish_reason"].as_str()),
        "stop_sequence": null,
        "usage": messages_usage(usage),
    })
}
