//! A stream of Anthropic's as chunks of a chat completion.

use super::{Calls, StreamTranslator, Telling, chat_usage, finish_reason};
use crate::wire::sse;
use crate::wire::usage::{Usage, reported};
use serde_json::{Value, json};

pub(super) struct FromMessages {
    model: String,
    /// Seconds since 1970.
    created: i64,
    wants_usage: bool,
    form: Calls,
    id: Value,
    usage: Usage,
    /// The index of the tool call that the current block is; a chat counts calls, Anthropic all blocks.
    calls: u64,
    finish: Value,
    is_over: bool,
}

impl FromMessages {
    pub(super) fn new(telling: Telling<'_>) -> Self {
        let Telling { model, at, wants_usage, calls: form } = telling;
        let (id, usage, finish) = (Value::Null, Usage::default(), Value::Null);
        let (model, created) = (model.to_owned(), at.unix_timestamp());
        Self { model, created, wants_usage, form, id, usage, calls: 0, finish, is_over: false }
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
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
                let arguments = json!({"arguments": delta["partial_json"]});
                let index = self.calls.saturating_sub(1);
                match self.form {
                    Calls::OfTools => {
                        self.delta(&json!({"tool_calls": [{"index": index, "function": arguments}]}), out);
                    }
                    Calls::OfFunction => self.delta(&json!({"function_call": arguments}), out),
                }
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
                let index = self.calls;
                self.calls += 1;
                match self.form {
                    Calls::OfTools => {
                        let call = json!({"index": index, "id": block["id"], "type": "function", "function": function});
                        self.delta(&json!({"tool_calls": [call]}), out);
                    }
                    Calls::OfFunction => self.delta(&json!({"function_call": function}), out),
                }
            }
            Some("content_block_delta") => self.block_delta(&event["delta"], out),
            Some("message_delta") => self.finish = finish_reason(event["delta"]["stop_reason"].as_str(), self.form),
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
