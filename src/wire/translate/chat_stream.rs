//! A stream of Anthropic's as chunks of a chat completion.

use super::{StreamTranslator, chat_usage, finish_reason};
use crate::wire::sse;
use crate::wire::usage::{Usage, reported};
use serde_json::{Value, json};

pub(super) struct FromMessages {
    model: String,
    wants_usage: bool,
    id: Value,
    usage: Usage,
    /// The index of the tool call that the current block is; a chat counts calls, Anthropic all blocks.
    calls: u64,
    finish: Value,
    is_over: bool,
}

impl FromMessages {
    pub(super) fn new(model: &str, wants_usage: bool) -> Self {
        let (id, usage, finish) = (Value::Null, Usage::default(), Value::Null);
        Self { model: model.to_owned(), wants_usage, id, usage, calls: 0, finish, is_over: false }
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        sse::write(out, None, chunk.to_string().as_bytes());
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        self.chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]), None, out);
    }

    fn block_delta(&self, delta: &Value, out: &mut Vec<u8>) {
        match delta["type"].as_str() {
            Some("text_delta") => self.delta(&json!({"content": delta["text"]}), out),
            Some("thinking_delta") => self.delta(&json!({"reasoning_content": delta["thinking"]}), out),
            Some("input_json_delta") => {
                let index = self.calls.saturating_sub(1);
                let call = json!([{"index": index, "function": {"arguments": delta["partial_json"]}}]);
                self.delta(&json!({"tool_calls": call}), out);
            }
            _ => {}
        }
    }
}

impl StreamTranslator for FromMessages {
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        if let Some(usage) = reported(data) {
            self.usage = self.usage.with(usage);
        }
        match event["type"].as_str() {
            Some("message_start") => {
                self.id = event["message"]["id"].clone();
                self.delta(&json!({"role": "assistant", "content": "", "refusal": null}), out);
            }
            Some("content_block_start") if event["content_block"]["type"] == "tool_use" => {
                let block = &event["content_block"];
                let function = json!({"name": block["name"], "arguments": ""});
                let call = json!([{"index": self.calls, "id": block["id"], "type": "function", "function": function}]);
                self.calls += 1;
                self.delta(&json!({"tool_calls": call}), out);
            }
            Some("content_block_delta") => self.block_delta(&event["delta"], out),
            Some("message_delta") => self.finish = finish_reason(event["delta"]["stop_reason"].as_str()),
            Some("message_stop") => {
                let choice = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": self.finish}]);
                self.chunk(&choice, None, out);
                if self.wants_usage {
                    self.chunk(&json!([]), Some(chat_usage(self.usage)), out);
                }
                sse::write(out, None, b"[DONE]");
                self.is_over = true;
            }
            Some("error") => {
                let error = json!({"error": {"message": event["error"]["message"], "type": "server_error",
                    "param": null, "code": event["error"]["type"]}});
                sse::write(out, None, error.to_string().as_bytes());
            }
            _ => {}
        }
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}
