//! Chunks of a chat completion as a stream of Anthropic's.

use super::{StreamTranslator, messages_usage, stop_reason};
use crate::wire::sse;
use crate::wire::usage::{Usage, reported};
use serde_json::{Value, json};

pub(super) struct FromChat {
    model: String,
    has_begun: bool,
    /// Blocks that were begun; the last of them is open when `open` says what it is.
    blocks: u64,
    open: Option<Open>,
    usage: Usage,
    finish: Option<String>,
    is_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    /// The call's index in the chat.
    Call(u64),
}

impl FromChat {
    pub(super) fn new(model: &str) -> Self {
        let usage = Usage::default();
        Self { model: model.to_owned(), has_begun: false, blocks: 0, open: None, usage, finish: None, is_over: false }
    }

    fn begin(&mut self, id: &Value, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let message = json!({"id": id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0}});
        write(out, "message_start", &json!({"type": "message_start", "message": message}));
    }

    fn open(&mut self, what: Open, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        let start = json!({"type": "content_block_start", "index": self.blocks, "content_block": block});
        write(out, "content_block_start", &start);
        self.blocks += 1;
        self.open = Some(what);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let stop = json!({"type": "content_block_stop", "index": self.blocks - 1});
            write(out, "content_block_stop", &stop);
        }
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let index = self.blocks.saturating_sub(1);
        write(out, "content_block_delta", &json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }

    fn call(&mut self, call: &Value, out: &mut Vec<u8>) {
        let index = call["index"].as_u64().unwrap_or(0);
        if self.open != Some(Open::Call(index)) {
            let block = json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {}});
            self.open(Open::Call(index), &block, out);
        }
        if let Some(arguments) = call["function"]["arguments"].as_str().filter(|text| !text.is_empty()) {
            self.delta(&json!({"type": "input_json_delta", "partial_json": arguments}), out);
        }
    }

    /// The end waits for the usage, which a chat tells after the reason it finished for.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.is_over || self.finish.is_none() {
            return;
        }
        self.is_over = true;
        self.close(out);
        let delta = json!({"stop_reason": stop_reason(self.finish.as_deref()), "stop_sequence": null});
        let usage = messages_usage(self.usage);
        write(out, "message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage}));
        write(out, "message_stop", &json!({"type": "message_stop"}));
    }
}

fn write(out: &mut Vec<u8>, name: &str, data: &Value) {
    sse::write(out, Some(name), data.to_string().as_bytes());
}

impl StreamTranslator for FromChat {
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if data.trim_ascii() == b"[DONE]" {
            return self.finish(out);
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return };
        if chunk["error"].is_object() {
            let error = json!({"type": "api_error", "message": chunk["error"]["message"]});
            return write(out, "error", &json!({"type": "error", "error": error}));
        }
        if let Some(usage) = reported(data) {
            self.usage = self.usage.with(usage);
        }
        self.begin(&chunk["id"], out);
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        let text = delta["content"].as_str().or_else(|| delta["refusal"].as_str());
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            if self.open != Some(Open::Text) {
                self.open(Open::Text, &json!({"type": "text", "text": ""}), out);
            }
            self.delta(&json!({"type": "text_delta", "text": text}), out);
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call, out);
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.finish(out);
    }
}
