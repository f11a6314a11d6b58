//! An answer of Anthropic's as a chat completion.

use super::{Calls, Telling, chat_usage, finish_reason};
use crate::wire::usage::reported;
use serde_json::{Map, Value, json};

pub(super) fn of_messages(message: &Value, telling: Telling<'_>) -> Value {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for block in message["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => text.push_str(block["text"].as_str().unwrap_or_default()),
            Some("thinking") => thinking.push_str(block["thinking"].as_str().unwrap_or_default()),
            Some("tool_use") => {
                let arguments = block["input"].to_string();
                let function = json!({"name": block["name"], "arguments": arguments});
                calls.push(json!({"id": block["id"], "type": "function", "function": function}));
            }
            _ => {}
        }
    }
    let mut told = Map::new();
    told.insert("role".into(), "assistant".into());
    told.insert("content".into(), if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() });
    told.insert("refusal".into(), Value::Null);
    if !thinking.is_empty() {
        told.insert("reasoning_content".into(), thinking.into());
    }
    match (telling.calls, calls.first()) {
        (_, None) => {}
        (Calls::OfTools, Some(_)) => drop(told.insert("tool_calls".into(), calls.into())),
        // There is one: the request did not allow more.
        (Calls::OfFunction, Some(call)) => drop(told.insert("function_call".into(), call["function"].clone())),
    }
    let usage = reported(message.to_string().as_bytes()).unwrap_or_default();
    json!({
        "id": message["id"],
        "object": "chat.completion",
        "created": telling.at.unix_timestamp(),
        "model": telling.model,
        "choices": [{
            "index": 0,
            "message": told,
            "logprobs": null,
            "finish_reason": finish_reason(message["stop_reason"].as_str(), telling.calls),
        }],
        "usage": chat_usage(usage),
    })
}
