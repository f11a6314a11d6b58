//! A request for Anthropic's messages as a chat.

use super::Untranslatable;
use serde_json::{Map, Value, json};

pub(super) fn of_messages(asked: &Value, model: &str) -> Result<Value, Untranslatable> {
    let mut messages = Vec::new();
    if let Some(system) = text_of(&asked["system"]) {
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in asked["messages"].as_array().into_iter().flatten() {
        match message["role"].as_str() {
            Some("assistant") => messages.push(assistant(&message["content"])),
            _ => user(&message["content"], &mut messages)?,
        }
    }
    let mut told = Map::new();
    told.insert("model".into(), model.into());
    told.insert("messages".into(), messages.into());
    if let Some(max) = asked["max_tokens"].as_u64() {
        told.insert(max_tokens_name(model).into(), max.into());
    }
    for name in ["temperature", "top_p", "stream"] {
        if !asked[name].is_null() {
            told.insert(name.into(), asked[name].clone());
        }
    }
    if asked["stream"].as_bool() == Some(true) {
        told.insert("stream_options".into(), json!({"include_usage": true}));
    }
    if let Some(stops) = asked["stop_sequences"].as_array().filter(|stops| !stops.is_empty()) {
        told.insert("stop".into(), stops.clone().into());
    }
    if let Some(user) = asked["metadata"]["user_id"].as_str() {
        told.insert("user".into(), user.into());
    }
    if let Some(tools) = asked["tools"].as_array().filter(|tools| !tools.is_empty()) {
        told.insert("tools".into(), tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?.into());
        let choice = &asked["tool_choice"];
        match choice["type"].as_str() {
            Some("any") => drop(told.insert("tool_choice".into(), "required".into())),
            Some("none") => drop(told.insert("tool_choice".into(), "none".into())),
            Some("auto") => drop(told.insert("tool_choice".into(), "auto".into())),
            Some("tool") => {
                let named = json!({"type": "function", "function": {"name": choice["name"]}});
                told.insert("tool_choice".into(), named);
            }
            _ => {}
        }
        if choice["disable_parallel_tool_use"].as_bool() == Some(true) {
            told.insert("parallel_tool_calls".into(), false.into());
        }
    }
    Ok(told.into())
}

/// OpenAI's reasoning models know only the newer name; servers that speak its dialect often only the older.
fn max_tokens_name(model: &str) -> &'static str {
    let reasons = model.starts_with("gpt-5")
        || (model.starts_with('o') && model.as_bytes().get(1).is_some_and(u8::is_ascii_digit));
    if reasons { "max_completion_tokens" } else { "max_tokens" }
}

/// The text of a content, its blocks joined; none where there is none.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            (!texts.is_empty()).then(|| texts.join("\n"))
        }
        _ => None,
    }
}

fn assistant(content: &Value) -> Value {
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    let calls: Vec<Value> = blocks
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| {
            let arguments = block["input"].to_string();
            json!({"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}})
        })
        .collect();
    let mut told = Map::new();
    told.insert("role".into(), "assistant".into());
    told.insert("content".into(), text_of(content).into());
    if !calls.is_empty() {
        told.insert("tool_calls".into(), calls.into());
    }
    told.into()
}

/// Results of tools are messages of their own in a chat, and stand before what the user says beside them.
fn user(content: &Value, messages: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let Value::Array(blocks) = content else {
        messages.push(json!({"role": "user", "content": content}));
        return Ok(());
    };
    let mut parts = Vec::new();
    for block in blocks {
        match block["type"].as_str() {
            Some("tool_result") => messages.push(json!({
                "role": "tool",
                "tool_call_id": block["tool_use_id"],
                "content": text_of(&block["content"]).unwrap_or_default(),
            })),
            Some("text") => parts.push(json!({"type": "text", "text": block["text"]})),
            Some("image") => {
                parts.push(json!({"type": "image_url", "image_url": {"url": image_url(&block["source"])}}))
            }
            other => return Err(Untranslatable::new(&format!("A block of type `{}`", other.unwrap_or("unknown")))),
        }
    }
    match &parts[..] {
        [] => {}
        [only] if only["type"] == "text" => messages.push(json!({"role": "user", "content": only["text"]})),
        _ => messages.push(json!({"role": "user", "content": parts})),
    }
    Ok(())
}

fn image_url(source: &Value) -> String {
    match source["type"].as_str() {
        Some("base64") => format!(
            "data:{};base64,{}",
            source["media_type"].as_str().unwrap_or_default(),
            source["data"].as_str().unwrap_or_default()
        ),
        _ => source["url"].as_str().unwrap_or_default().to_owned(),
    }
}

fn tool(tool: &Value) -> Result<Value, Untranslatable> {
    if tool["type"].as_str().is_some_and(|kind| kind != "custom") {
        return Err(Untranslatable::new("A tool that the vendor itself runs"));
    }
    let mut function = Map::new();
    function.insert("name".into(), tool["name"].clone());
    if !tool["description"].is_null() {
        function.insert("description".into(), tool["description"].clone());
    }
    function.insert("parameters".into(), tool["input_schema"].clone());
    Ok(json!({"type": "function", "function": function}))
}
