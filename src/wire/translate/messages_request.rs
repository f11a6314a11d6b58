//! A chat as a request for Anthropic's messages.

use super::{Calls, Untranslatable, is_said, messages_tools};
use serde_json::{Map, Value, json};

/// Where a client sets no bound: Anthropic wants one.
const USUAL_MAX_TOKENS: u64 = 4_096;

/// The request, and how its answer is to write that a tool is called.
pub(super) fn of_chat(chat: &Value, model: &str) -> Result<(Value, Calls), Untranslatable> {
    let unsayable = [
        ("`n` above 1", chat["n"].as_u64().is_some_and(|n| n > 1)),
        ("`logprobs`", chat["logprobs"] == true),
        ("`modalities` other than text", list(&chat["modalities"]).iter().any(|kind| kind != "text")),
        ("`audio`", is_said(&chat["audio"])),
        // Said also when it is empty.
        ("`web_search_options`", !chat["web_search_options"].is_null()),
    ];
    if let Some((what, _)) = unsayable.iter().find(|(_, is_asked)| *is_asked) {
        return Err(Untranslatable::new(what));
    }
    let format = output_format(&chat["response_format"])?;
    let (system, messages) = conversation(list(&chat["messages"]))?;
    let tools = messages_tools::of_chat(chat)?;
    let max = chat["max_completion_tokens"].as_u64().or_else(|| chat["max_tokens"].as_u64());
    let mut told = Map::new();
    told.insert("model".into(), model.into());
    told.insert("max_tokens".into(), max.unwrap_or(USUAL_MAX_TOKENS).into());
    if !system.is_empty() {
        told.insert("system".into(), system.into());
    }
    told.insert("messages".into(), messages.into());
    if let Some(format) = format {
        told.insert("output_config".into(), json!({"format": format}));
    }
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
    if !tools.offered.is_empty() {
        told.insert("tools".into(), tools.offered.into());
        if let Some(choice) = tools.choice {
            told.insert("tool_choice".into(), choice);
        }
    }
    Ok((told.into(), tools.calls))
}

/// The schema that the answer is to follow. Anthropic takes what OpenAI calls strict (no further properties), and nothing else.
fn output_format(asked: &Value) -> Result<Option<Value>, Untranslatable> {
    match asked["type"].as_str() {
        None | Some("text") => Ok(None),
        Some("json_schema") if asked["json_schema"]["strict"] == true && asked["json_schema"]["schema"].is_object() => {
            Ok(Some(json!({"type": "json_schema", "schema": asked["json_schema"]["schema"]})))
        }
        Some(_) => Err(Untranslatable::new("A `response_format` other than a strict `json_schema`")),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn copy(from: &Value, name: &str, to: &mut Map<String, Value>, as_name: &str) {
    if !from[name].is_null() {
        to.insert(as_name.into(), from[name].clone());
    }
}

/// What is said to the model about itself stands apart; consecutive messages of one role become one.
fn conversation(messages: &[Value]) -> Result<(Vec<Value>, Vec<Value>), Untranslatable> {
    let (mut system, mut told): (Vec<Value>, Vec<(&str, Vec<Value>)>) = (Vec::new(), Vec::new());
    // Calls of the older form have no ids: the result is that of the call before it.
    let mut last_call = Value::Null;
    for (place, message) in messages.iter().enumerate() {
        let (role, blocks) = match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => {
                system.extend(content(&message["content"])?);
                continue;
            }
            "tool" => ("user", vec![tool_result(&message["tool_call_id"], message)?]),
            "function" if last_call.is_null() => {
                return Err(Untranslatable::new(
                    "A message of the role `function` without a `function_call` before it",
                ));
            }
            "function" => ("user", vec![tool_result(&last_call, message)?]),
            "assistant" => {
                let mut blocks = content(&message["content"])?;
                blocks.extend(content(&message["refusal"])?);
                if is_said(&message["audio"]) {
                    return Err(Untranslatable::new("An answer in `audio`"));
                }
                for call in list(&message["tool_calls"]) {
                    blocks.push(tool_use(&call["id"], &call["function"])?);
                }
                if is_said(&message["function_call"]) {
                    last_call = format!("call_{place}").into();
                    blocks.push(tool_use(&last_call, &message["function_call"])?);
                }
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

fn tool_use(id: &Value, function: &Value) -> Result<Value, Untranslatable> {
    if !function["name"].is_string() {
        return Err(Untranslatable::new("A call of a tool that is no function"));
    }
    let input = match &function["arguments"] {
        Value::Null => Some(Map::new()),
        Value::String(arguments) if arguments.trim().is_empty() => Some(Map::new()),
        Value::String(arguments) => serde_json::from_str(arguments).ok(),
        Value::Object(arguments) => Some(arguments.clone()),
        _ => None,
    };
    let input = input.ok_or_else(|| Untranslatable::new("A call whose `arguments` are no JSON object"))?;
    Ok(json!({"type": "tool_use", "id": id, "name": function["name"], "input": input}))
}

fn tool_result(call: &Value, message: &Value) -> Result<Value, Untranslatable> {
    Ok(json!({"type": "tool_result", "tool_use_id": call, "content": content(&message["content"])?}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_cannot_say_is_refused_by_name() {
        let says = |message: Value| json!({"messages": [message]});
        let custom = json!({"id": "c", "type": "custom", "custom": {"name": "look", "input": "a"}});
        for (chat, named) in [
            (json!({"modalities": ["text", "audio"]}), "`modalities`"),
            (json!({"audio": {"voice": "alloy", "format": "wav"}}), "`audio`"),
            (json!({"web_search_options": {}}), "`web_search_options`"),
            (json!({"logprobs": true}), "`logprobs`"),
            (says(json!({"role": "assistant", "audio": {"id": "audio_1"}})), "`audio`"),
            (says(json!({"role": "assistant", "tool_calls": [custom]})), "no function"),
            (says(json!({"role": "function", "name": "look", "content": "a"})), "`function_call`"),
        ] {
            let error = of_chat(&chat, "m").unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        of_chat(&json!({"modalities": ["text"], "audio": null, "messages": []}), "m").unwrap();
    }

    #[test]
    fn calls_without_ids_are_told_with_ids() {
        let call = |arguments: &str| {
            json!({"role": "assistant", "content": null,
            "function_call": {"name": "look", "arguments": arguments}})
        };
        let chat = json!({"functions": [{"name": "look"}], "messages": [
            {"role": "user", "content": "Look."},
            call("{\"zoom\":1}"),
            {"role": "function", "name": "look", "content": "a ship"},
            call("{\"zoom\":2}"),
            {"role": "function", "name": "look", "content": "a quay"},
        ]});

        let (told, calls) = of_chat(&chat, "m").unwrap();

        let used = |id: &str, zoom: u64| {
            json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": "look", "input": {"zoom": zoom}}]})
        };
        let gave = |id: &str, text: &str| {
            json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": text}]}]})
        };
        assert_eq!(
            told["messages"],
            json!([
                {"role": "user", "content": [{"type": "text", "text": "Look."}]},
                used("call_1", 1),
                gave("call_1", "a ship"),
                used("call_3", 2),
                gave("call_3", "a quay"),
            ])
        );
        assert_eq!(calls, Calls::OfFunction);
    }

    #[test]
    fn what_the_model_would_not_say_stays_in_the_conversation() {
        let chat = json!({"messages": [{"role": "assistant", "content": null, "refusal": "I will not."}]});

        let (told, _) = of_chat(&chat, "m").unwrap();

        assert_eq!(told["messages"][0]["content"], json!([{"type": "text", "text": "I will not."}]));
    }
}
