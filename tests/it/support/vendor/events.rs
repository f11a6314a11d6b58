//! The events of streamed answers, in each shape.

use super::PROMPT;
use super::mood::Mood;
use super::shape::{Shape, bound, response, tool, usage};
use serde_json::{Value, json};

/// The events of a stream; each with how many tokens it hands out.
pub(super) fn events(shape: Shape, asked: &Value, mood: &Mood) -> (Vec<String>, usize, Vec<String>) {
    let model = &asked["model"];
    let named = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let (tool, output) = (tool(asked), bound(asked));
    let (silent, fault) = (mood.silent, mood.fault.as_str());
    match shape {
        Shape::Chat => {
            let chunk = |delta: Value, finish: Value| {
                let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
                let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
                    "system_fingerprint": "fp", "choices": choices});
                format!("data: {chunk}\n\n")
            };
            let mut begin = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
            let mut end = Vec::new();
            if let Some(name) = &tool {
                let call = |call: Value| chunk(json!({"tool_calls": [call]}), Value::Null);
                begin.push(call(json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}})));
                begin.push(call(json!({"index": 0, "function": {"arguments": "{\"city\":"}})));
                begin.push(call(json!({"index": 0, "function": {"arguments": "\"Cork\"}"}})));
            }
            let finish = if tool.is_some() { "tool_calls" } else { "stop" };
            end.push(chunk(json!({}), finish.into()));
            if asked["stream_options"]["include_usage"] == true && !silent {
                let usage = usage(fault, output, shape);
                end.push(format!(
                    "data: {}\n\n",
                    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                    "model": model, "choices": [], "usage": usage})
                ));
            }
            end.push("data: [DONE]\n\n".to_owned());
            begin.push(chunk(json!({"content": " word"}), Value::Null));
            (begin, usize::from(tool.is_none()), end)
        }
        Shape::Responses => {
            let begin = vec![
                named(
                    json!({"type": "response.created", "sequence_number": 0, "response": response(model, "", "in_progress")}),
                ),
                named(json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1",
                    "output_index": 0, "content_index": 0, "delta": " word", "logprobs": []})),
            ];
            let mut done = response(model, &" word".repeat(usize::try_from(output).unwrap()), "completed");
            if !silent {
                done["usage"] = usage(fault, output, shape);
            }
            let end = vec![named(json!({"type": "response.completed", "sequence_number": 9, "response": done}))];
            (begin, 1, end)
        }
        _ => {
            let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": if silent { 0 } else { PROMPT }, "output_tokens": 1}});
            let mut begin = vec![named(json!({"type": "message_start", "message": message}))];
            let block = match &tool {
                None => json!({"type": "text", "text": ""}),
                Some(name) => json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}),
            };
            begin.push(named(json!({"type": "content_block_start", "index": 0, "content_block": block})));
            let delta = |delta: Value| named(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
            if tool.is_some() {
                begin.push(delta(json!({"type": "input_json_delta", "partial_json": "{\"city\":"})));
                begin.push(delta(json!({"type": "input_json_delta", "partial_json": "\"Cork\"}"})));
            }
            let stop = if tool.is_some() { "tool_use" } else { "end_turn" };
            let end = vec![
                named(json!({"type": "content_block_stop", "index": 0})),
                named(
                    json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": output}}),
                ),
                named(json!({"type": "message_stop"})),
            ];
            begin.push(delta(json!({"type": "text_delta", "text": " word"})));
            (begin, usize::from(tool.is_none()), end)
        }
    }
}
