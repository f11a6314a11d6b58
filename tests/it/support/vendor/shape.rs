//! `Shape`: what an answer looks like, and whole answers in each.

use super::mood::Mood;
use super::{ACCESS_TOKEN, PROMPT, Seen, USUAL};
use serde_json::{Value, json};

/// The shape of an answer.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Chat,
    Responses,
    Embeddings,
    Messages,
    CountTokens,
    Models,
    Token,
    Other,
}

impl Shape {
    pub fn of(path: &str) -> Self {
        [
            ("/chat/completions", Shape::Chat),
            ("/responses", Shape::Responses),
            ("/embeddings", Shape::Embeddings),
            ("/count_tokens", Shape::CountTokens),
            ("/messages", Shape::Messages),
            ("/models", Shape::Models),
            ("/token", Shape::Token),
        ]
        .into_iter()
        .find(|(end, _)| path.ends_with(end))
        .map_or(Shape::Other, |(_, shape)| shape)
    }
}

pub(super) fn bound(asked: &Value) -> u64 {
    ["max_completion_tokens", "max_output_tokens", "max_tokens"]
        .iter()
        .find_map(|name| asked[*name].as_u64())
        .unwrap_or(USUAL)
}

/// The first tool that is offered is called.
pub(super) fn tool(asked: &Value) -> Option<String> {
    let first = asked["tools"].get(0)?;
    first["function"]["name"].as_str().or_else(|| first["name"].as_str()).map(str::to_owned)
}

pub(super) fn usage(fault: &str, output: u64, shape: Shape) -> Value {
    if fault == "lies" {
        return json!({"prompt_tokens": -4, "completion_tokens": "many"});
    }
    match shape {
        Shape::Chat => json!({"prompt_tokens": PROMPT, "completion_tokens": output, "total_tokens": PROMPT + output,
            "prompt_tokens_details": {"cached_tokens": 2}}),
        _ => json!({"input_tokens": PROMPT, "output_tokens": output, "total_tokens": PROMPT + output,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}),
    }
}

pub(super) fn whole(seen: &Seen, place: usize, shape: Shape, asked: &Value, mood: &Mood, path: &str) -> Value {
    let output = bound(asked);
    let text = " word".repeat(usize::try_from(output).unwrap());
    if matches!(shape, Shape::Chat | Shape::Responses | Shape::Messages) {
        seen.produce(place, output, true);
    }
    let model = &asked["model"];
    let mut answer = match shape {
        Shape::Chat => {
            let (message, finish) = match tool(asked) {
                None => (json!({"role": "assistant", "content": text, "refusal": null}), "stop"),
                Some(name) => {
                    let function = json!({"name": name, "arguments": "{\"city\":\"Cork\"}"});
                    let calls = json!([{"id": "call_1", "type": "function", "function": function}]);
                    (json!({"role": "assistant", "content": null, "tool_calls": calls}), "tool_calls")
                }
            };
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "system_fingerprint": "fp",
                "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}]})
        }
        Shape::Responses => response(model, &text, "completed"),
        Shape::Messages => {
            let (content, stop) = match tool(asked) {
                None => (json!([{"type": "text", "text": text}]), "end_turn"),
                Some(name) => (
                    json!([{"type": "tool_use", "id": "toolu_1", "name": name, "input": {"city": "Cork"}}]),
                    "tool_use",
                ),
            };
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
                "stop_reason": stop, "stop_sequence": null})
        }
        Shape::Embeddings => {
            return json!({"object": "list", "model": model, "usage": {"prompt_tokens": PROMPT, "total_tokens": PROMPT},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]});
        }
        Shape::CountTokens => return json!({"input_tokens": 42}),
        Shape::Models => {
            return json!({"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "v"}]});
        }
        Shape::Token => return json!({"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3_600}),
        Shape::Other => return json!({"path": path, "asked": asked}),
    };
    if !mood.silent {
        answer["usage"] = usage(&mood.fault, output, shape);
    }
    answer
}

pub(super) fn response(model: &Value, text: &str, status: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    let output =
        json!([{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}]);
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": model, "output": output,
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "error": null, "incomplete_details": null,
        "instructions": null, "metadata": {}, "temperature": 1.0, "top_p": 1.0})
}
