//! A chat as a request for Anthropic's messages.

use super::Untranslatable;
use serde_json::{Map, Value, json};

/// Where a client sets no bound: Anthropic wants one.
const USUAL_MAX_TOKENS: u64 = 4_096;

pub(super) fn of_chat(chat: &Value, model: &str) -> Result<Value, Untranslatable> {
    if chat["n"].as_u64().is_some_and(|n| n > 1) {
        return Err(Untranslatable::new("`n` above 1"));
    }
    if chat["response_format"]["type"].as_str().is_some_and(|kind| kind != "text") {
        return Err(Untranslatable::new("`response_format`"));
    }
    if chat["logprobs"].as_bool() == Some(true) {
        return Err(Untranslatable::new("`logprobs`"));
    }
    let (system, messages) = conversation(chat["messages"].as_array().map_or(&[][..], Vec::as_slice))?;
    let max = chat["max_completion_tokens"].as_u64().or_else(|| chat["max_tokens"].as_u64());
    let mut told = Map::new();
    told.insert("model".into(), model.into());
    told.insert("max_tokens".into(), max.unwrap_or(USUAL_MAX_TOKENS).into());
    if !system.is_empty() {
        told.insert("system".into(), system.into());
    }
    told.insert("messages".into(), messages.into());
    if let Some(temperature) = chat["temperature"].as_f64() {
        // OpenAI's goes to 2, Anthropic's to 1.
        told.insert("temperature".into(), temperature.clamp(0.0, 1.0).into());
    }
    copy(chat, "top_p", &mut told, "top_p");
    copy(chat, "stream", &mut told, "stream");
    match &chat["stop"] {
        Value::String(stop) => drop(told.insert("stop_sequences".into(), json!([stop]))),
        Value::Array(stops) => drop(told.insert("stop_sequences".into(), stops.clone().into())),
        _ => {}
    }
    if let Some(user) = chat["user"].as_str() {
        told.insert("metadata".into(), json!({"user_id": user}));
    }
    if let Some(tools) = chat["tools"].as_array().filter(|tools| !tools.is_empty()) {
        told.insert("tools".into(), tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?.into());
        if let Some(choice) = tool_choice(&chat["tool_choice"], chat["parallel_tool_calls"].as_bool()) {
            told.insert("tool_choice".into(), choice);
        }
    }
    Ok(told.into())
}

fn copy(from: &Value, name: &str, to: &mut Map<String, Value>, as_name: &str) {
    if !from[name].is_null() {
        to.insert(as_name.into(), from[name].clone());
    }
}

/// What is said to the model about itself stands apart; consecutive messages of one role become one.
fn conversation(messages: &[Value]) -> Result<(Vec<Value>, Vec<Value>), Untranslatable> {
    let (mut system, mut told): (Vec<Value>, Vec<(&str, Vec<Value>)>) = (Vec::new(), Vec::new());
    for message in messages {
        let (role, blocks) = match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => {
                system.extend(content(&message["content"])?);
                continue;
            }
            "tool" | "function" => {
                let result = json!({
                    "type": "tool_result",
                    "tool_use_id": message["tool_call_id"],
                    "content": content(&message["content"])?,
                });
                ("user", vec![result])
            }
            "assistant" => {
                let mut blocks = content(&message["content"])?;
                blocks.extend(message["tool_calls"].as_array().into_iter().flatten().map(tool_use));
                ("assistant", blocks)
            }
            _ => ("user", content(&message["content"])?),
        };
        match told.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(blocks),
            _ => told.push((role, blocks)),
        }
    }
    told.retain(|(_, blocks)| !blocks.is_empty());
    let told = told.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    Ok((system, told))
}

fn content(content: &Value) -> Result<Vec<Value>, Untranslatable> {
    match content {
        // An empty text is no block at Anthropic's.
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![json!({"type": "text", "text": text})]),
        Value::Array(parts) => parts.iter().map(part).collect(),
        _ => Ok(Vec::new()),
    }
}

fn part(part: &Value) -> Result<Value, Untranslatable> {
    match part["type"].as_str() {
        Some("text" | "refusal") => {
            let text = part["text"].as_str().or_else(|| part["refusal"].as_str()).unwrap_or_default();
            Ok(json!({"type": "text", "text": text}))
        }
        Some("image_url") => {
            let url = part["image_url"]["url"].as_str().unwrap_or_default();
            Ok(json!({"type": "image", "source": image_source(url)}))
        }
        other => Err(Untranslatable::new(&format!("A part of type `{}`", other.unwrap_or("unknown")))),
    }
}

fn image_source(url: &str) -> Value {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => json!({"type": "base64", "media_type": media_type, "data": data}),
        None => json!({"type": "url", "url": url}),
    }
}

fn tool_use(call: &Value) -> Value {
    let arguments = call["function"]["arguments"].as_str().unwrap_or("{}");
    let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
    json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input})
}

fn tool(tool: &Value) -> Result<Value, Untranslatable> {
    let function = &tool["function"];
    if tool["type"] != "function" || !function["name"].is_string() {
        return Err(Untranslatable::new("A tool that is no function"));
    }
    let mut told = Map::new();
    told.insert("name".into(), function["name"].clone());
    copy(function, "description", &mut told, "description");
    let schema = match &function["parameters"] {
        Value::Null => json!({"type": "object", "properties": {}}),
        schema => schema.clone(),
    };
    told.insert("input_schema".into(), schema);
    Ok(told.into())
}

fn tool_choice(choice: &Value, parallel: Option<bool>) -> Option<Value> {
    let mut told = match choice {
        Value::String(word) => match word.as_str() {
            "none" => return Some(json!({"type": "none"})),
            "required" => json!({"type": "any"}),
            _ => json!({"type": "auto"}),
        },
        Value::Object(_) => json!({"type": "tool", "name": choice["function"]["name"]}),
        _ if parallel == Some(false) => json!({"type": "auto"}),
        _ => return None,
    };
    if parallel == Some(false) {
        told["disable_parallel_tool_use"] = true.into();
    }
    Some(told)
}
