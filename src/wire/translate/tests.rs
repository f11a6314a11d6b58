//! Transcripts of our own, told both ways.

use super::*;
use crate::wire::sse;
use serde_json::json;
use time::macros::datetime;

fn told(asked: Dialect, spoken: Dialect, body: &Value) -> Value {
    let body = body.to_string();
    let told = request(asked, spoken, body.as_bytes(), "vendor-model", "max_tokens").unwrap();
    serde_json::from_slice(&told.body).unwrap()
}

const TELLING: Telling<'static> =
    Telling { model: "alias", at: datetime!(2026-01-01 00:00 UTC), wants_usage: true, calls: Calls::OfTools };
/// The time of [`TELLING`].
const CREATED: i64 = 1_767_225_600;

/// The events a translator makes of these, as (name, data).
fn retold(mut translator: Box<dyn StreamTranslator>, events: &[Value]) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for event in events {
        let text = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        translator.event(text.as_bytes(), &mut out);
    }
    translator.end(&mut out);
    let (mut rest, mut found) = (&out[..], Vec::new());
    while let Some(end) = sse::event_end(rest) {
        let name = sse::name(&rest[..end]).map(|name| String::from_utf8(name.to_vec()).unwrap()).unwrap_or_default();
        let data = sse::data(&rest[..end]).unwrap();
        let data =
            serde_json::from_slice(&data).unwrap_or_else(|_| String::from_utf8(data.into_owned()).unwrap().into());
        found.push((name, data));
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    found
}

#[test]
fn a_chat_with_tools_and_images_is_told_as_messages() {
    let chat = json!({
        "model": "alias", "max_tokens": 50, "temperature": 1.5, "stop": "END", "stream": true, "user": "ann", "seed": 7,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"zoom\":2}"}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a ship"},
            {"role": "tool", "tool_call_id": "c2", "content": "a quay"},
            {"role": "user", "content": "Go on."},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.",
            "parameters": {"type": "object", "properties": {"zoom": {"type": "integer"}}}}}],
        "tool_choice": "required", "parallel_tool_calls": false,
    });

    assert_eq!(
        told(Dialect::Chat, Dialect::Messages, &chat),
        json!({
            "model": "vendor-model", "max_tokens": 50,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"zoom": 2}},
                    {"type": "tool_use", "id": "c2", "name": "look", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a ship"}]},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "a quay"}]},
                    {"type": "text", "text": "Go on."},
                ]},
            ],
            "temperature": 1.0, "stream": true, "stop_sequences": ["END"], "metadata": {"user_id": "ann"},
            "tools": [{"name": "look", "description": "Looks.",
                "input_schema": {"type": "object", "properties": {"zoom": {"type": "integer"}}}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        })
    );
}

#[test]
fn messages_with_tools_and_images_are_told_as_a_chat() {
    let messages = json!({
        "model": "alias", "max_tokens": 50, "stream": true, "stop_sequences": ["END"],
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"zoom": 2}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a ship"}]},
                {"type": "text", "text": "Go on."},
            ]},
        ],
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "look"},
    });

    assert_eq!(
        told(Dialect::Messages, Dialect::Chat, &messages),
        json!({
            "model": "vendor-model",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ]},
                {"role": "assistant", "content": "I look.", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"zoom\":2}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "a ship"},
                {"role": "user", "content": "Go on."},
            ],
            "max_tokens": 50, "stream": true, "stream_options": {"include_usage": true}, "stop": ["END"],
            "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.",
                "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
        })
    );
}

#[test]
fn what_cannot_be_told_is_refused_by_name() {
    for (asked, spoken, body, named) in [
        (Dialect::Chat, Dialect::Messages, json!({"messages": [], "n": 2}), "`n`"),
        (
            Dialect::Chat,
            Dialect::Messages,
            json!({"messages": [], "response_format": {"type": "json_object"}}),
            "`response_format`",
        ),
        (
            Dialect::Chat,
            Dialect::Messages,
            json!({"messages": [], "response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}),
            "strict",
        ),
        (
            Dialect::Chat,
            Dialect::Messages,
            json!({"messages": [{"role": "assistant", "tool_calls": [
                {"id": "c", "function": {"name": "look", "arguments": "{\"zoom\":"}}]}]}),
            "`arguments`",
        ),
        (
            Dialect::Chat,
            Dialect::Messages,
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
            "`input_audio`",
        ),
        (
            Dialect::Messages,
            Dialect::Chat,
            json!({"messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "itself runs",
        ),
    ] {
        let error = request(asked, spoken, body.to_string().as_bytes(), "m", "max_tokens").err().unwrap();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn the_schema_of_an_answer_is_told() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": true}});
    let asked = json!({"messages": [], "response_format": format}).to_string();

    let told = request(Dialect::Chat, Dialect::Messages, asked.as_bytes(), "claude", "max_tokens").unwrap();

    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));
}

#[test]
fn whole_answers_are_told_both_ways() {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "c1", "name": "look", "input": {"zoom": 2}}],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 7},
    });
    let chat: Value = serde_json::from_slice(
        &reply(Dialect::Chat, Dialect::Messages, message.to_string().as_bytes(), TELLING).unwrap(),
    )
    .unwrap();
    assert_eq!(chat["created"], CREATED);
    assert_eq!(chat["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(chat["choices"][0]["message"]["content"], "I look.");
    assert_eq!(chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{\"zoom\":2}");
    assert_eq!((&chat["usage"]["prompt_tokens"], &chat["usage"]["total_tokens"]), (&json!(8), &json!(15)));
    assert_eq!(
        (&chat["model"], &chat["usage"]["prompt_tokens_details"]["cached_tokens"]),
        (&json!("alias"), &json!(3))
    );

    let back: Value =
        serde_json::from_slice(&reply(Dialect::Messages, Dialect::Chat, chat.to_string().as_bytes(), TELLING).unwrap())
            .unwrap();
    assert_eq!(back["content"], message["content"]);
    assert_eq!((&back["stop_reason"], &back["usage"]["input_tokens"]), (&json!("tool_use"), &json!(5)));
}

#[test]
fn a_stream_of_messages_with_a_tool_call_is_told_as_chunks() {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I look."}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "c1", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"zoom\""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ":2}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}}),
        json!({"type": "message_stop"}),
    ];

    let chunks = retold(stream(Dialect::Chat, Dialect::Messages, TELLING), &events);

    let deltas: Vec<&Value> = chunks.iter().map(|(_, chunk)| &chunk["choices"][0]["delta"]).collect();
    assert_eq!(deltas[0]["role"], "assistant");
    assert_eq!(deltas[1]["content"], "I look.");
    assert_eq!(deltas[2]["tool_calls"][0]["function"]["name"], "look");
    let arguments: String =
        deltas[2..5].iter().map(|delta| delta["tool_calls"][0]["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, "{\"zoom\":2}");
    assert_eq!(chunks[5].1["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        (&chunks[6].1["usage"]["prompt_tokens"], &chunks[6].1["usage"]["completion_tokens"]),
        (&json!(9), &json!(20))
    );
    assert_eq!(chunks[7].1, "[DONE]");
    let ours = |chunk: &Value| chunk.is_string() || (chunk["id"] == "msg_1" && chunk["created"] == CREATED);
    assert!(chunks.iter().all(|(name, chunk)| name.is_empty() && ours(chunk)));
}

#[test]
fn who_offered_functions_is_told_of_a_call_in_the_older_form() {
    let telling = Telling { calls: Calls::OfFunction, ..TELLING };
    let message = json!({"id": "msg_1", "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"zoom": 2}}]});
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1"}}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "tool_use", "id": "c1", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"zoom\":2}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];

    let whole = reply(Dialect::Chat, Dialect::Messages, message.to_string().as_bytes(), telling).unwrap();
    let chunks = retold(stream(Dialect::Chat, Dialect::Messages, telling), &events);

    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({"name": "look", "arguments": "{\"zoom\":2}"}));
    assert_eq!((&choice["finish_reason"], choice["message"].get("tool_calls")), (&json!("function_call"), None));
    let choice = |at: usize| &chunks[at].1["choices"][0];
    assert_eq!(choice(1)["delta"], json!({"function_call": {"name": "look", "arguments": ""}}));
    assert_eq!(choice(2)["delta"], json!({"function_call": {"arguments": "{\"zoom\":2}"}}));
    assert_eq!(choice(3)["finish_reason"], "function_call");
}

#[test]
fn chunks_with_a_tool_call_are_told_as_a_stream_of_messages() {
    let chunk = |delta: Value, finish: Value| json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null});
    let events = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": "I look."}), Value::Null),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look", "arguments": ""}}]}),
            Value::Null,
        ),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"zoom\":2}"}}]}), Value::Null),
        chunk(json!({}), json!("tool_calls")),
        json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 20}}),
        json!("[DONE]"),
    ];

    let told = retold(stream(Dialect::Messages, Dialect::Chat, TELLING), &events);

    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert!(told.iter().all(|(name, data)| data["type"] == name.as_str()));
    assert_eq!(told[4].1["content_block"], json!({"type": "tool_use", "id": "c1", "name": "look", "input": {}}));
    assert_eq!(told[5].1["delta"]["partial_json"], "{\"zoom\":2}");
    assert_eq!(
        (&told[7].1["delta"]["stop_reason"], &told[7].1["usage"]["output_tokens"]),
        (&json!("tool_use"), &json!(20))
    );
}
