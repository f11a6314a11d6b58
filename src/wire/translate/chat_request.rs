//! A request for Anthropic's messages as a chat.

use super::{Untranslatable, is_said};
use serde_json::{Map, Value, json};

/// `max_tokens_name` is what the vendor calls the most tokens of a reply.
pub(super) fn of_messages(asked: &Value, model: &str, max_tokens_name: &str) -> Result<Value, Untranslatable> {
    for name in ["mcp_servers", "container"] {
        if is_said(&asked[name]) {
            return Err(Untranslatable::new(&format!("`{name}`")));
        }
    }
    let mut messages = Vec::new();
    if let Some(system) = system(&asked["system"]) {
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in asked["messages"].as_array().into_iter().flatten() {
        match message["role"].as_str() {
            Some("assistant") => messages.push(assistant(&message["content"])?),
            _ => user(&message["content"], &mut messages)?,
        }
    }
    let mut told = Map::new();
    told.insert("model".into(), model.into());
    told.insert("messages".into(), messages.into());
    if let Some(max) = asked["max_tokens"].as_u64() {
        told.insert(max_tokens_name.into(), max.into());
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
    if let Some(format) = response_format(asked)? {
        told.insert("response_format".into(), format);
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

/// The schema that the answer is to follow; `output_format` is what it was called at first.
fn response_format(asked: &Value) -> Result<Option<Value>, Untranslatable> {
    let places = [&asked["output_config"]["format"], &asked["output_format"]];
    match places.into_iter().find(|format| !format.is_null()) {
        None => Ok(None),
        Some(format) if format["type"] == "json_schema" => {
            // Anthropic holds the model to the schema; OpenAI does so only when it is strict.
            let schema = json!({"name": "answer", "schema": format["schema"], "strict": true});
            Ok(Some(json!({"type": "json_schema", "json_schema": schema})))
        }
        Some(_) => Err(Untranslatable::new("`output_config.format` other than `json_schema`")),
    }
}

/// What is said to the model about itself, its blocks joined; none where there is nothing.
fn system(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            (!texts.is_empty()).then(|| texts.join("\n"))
        }
        _ => None,
    }
}

fn assistant(content: &Value) -> Result<Value, Untranslatable> {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    if let Value::String(text) = content {
        texts.push(text.as_str());
    }
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => texts.push(block["text"].as_str().unwrap_or_default()),
            Some("tool_use") => {
                let function = json!({"name": block["name"], "arguments": block["input"].to_string()});
                calls.push(json!({"id": block["id"], "type": "function", "function": function}));
            }
            // It is signed for the model that thought it; another has no use for it.
            Some("thinking" | "redacted_thinking") => {}
            other => return Err(block_of_type(other)),
        }
    }
    let mut told = Map::new();
    told.insert("role".into(), "assistant".into());
    told.insert("content".into(), if texts.is_empty() { Value::Null } else { texts.join("\n").into() });
    if !calls.is_empty() {
        told.insert("tool_calls".into(), calls.into());
    }
    Ok(told.into())
}

/// Results of tools are messages of their own in a chat, and stand before what the user says beside them.
fn user(content: &Value, messages: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let Value::Array(blocks) = content else {
        messages.push(json!({"role": "user", "content": content}));
        return Ok(());
    };
    let (mut parts, mut said) = (Vec::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str() {
            Some("tool_result") => messages.push(tool_result(block, &mut parts)?),
            _ => said.push(part(block)?),
        }
    }
    parts.append(&mut said);
    match &parts[..] {
        [] => {}
        [only] if only["type"] == "text" => messages.push(json!({"role": "user", "content": only["text"]})),
        _ => messages.push(json!({"role": "user", "content": parts})),
    }
    Ok(())
}

/// A chat's message of a tool holds text only: what else the tool gave goes to `shown`, which the user's message begins
/// with, under the id of its call.
fn tool_result(result: &Value, shown: &mut Vec<Value>) -> Result<Value, Untranslatable> {
    let id = &result["tool_use_id"];
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    if let Value::String(text) = &result["content"] {
        texts.push(text.as_str());
    }
    for block in result["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => texts.push(block["text"].as_str().unwrap_or_default()),
            _ => others.push(part(block)?),
        }
    }
    if !others.is_empty() {
        let what = format!("From the tool call {}:", id.as_str().unwrap_or_default());
        shown.push(json!({"type": "text", "text": what}));
        shown.append(&mut others);
        if texts.is_empty() {
            texts.push("What it gave is in the user's next message.");
        }
    }
    let text = texts.join("\n");
    // A chat has no other way to say so.
    let text = if result["is_error"] == true { format!("The call failed: {text}") } else { text };
    Ok(json!({"role": "tool", "tool_call_id": id, "content": text}))
}

fn part(block: &Value) -> Result<Value, Untranslatable> {
    match block["type"].as_str() {
        Some("text") => Ok(json!({"type": "text", "text": block["text"]})),
        Some("image") => Ok(json!({"type": "image_url", "image_url": {"url": image_url(&block["source"])?}})),
        other => Err(block_of_type(other)),
    }
}

fn image_url(source: &Value) -> Result<String, Untranslatable> {
    let member = |name: &str| source[name].as_str().unwrap_or_default();
    match member("type") {
        "base64" => Ok(format!("data:{};base64,{}", member("media_type"), member("data"))),
        "url" => Ok(member("url").to_owned()),
        other => Err(Untranslatable::new(&format!("An image whose source is `{other}`"))),
    }
}

fn block_of_type(kind: Option<&str>) -> Untranslatable {
    Untranslatable::new(&format!("A block of type `{}`", kind.unwrap_or("unknown")))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asked: &Value) -> Value {
        of_messages(asked, "vendor-model", "max_tokens").unwrap()
    }

    #[test]
    fn what_a_tool_shows_follows_under_the_id_of_its_call() {
        let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
        let url = json!({"type": "image", "source": {"type": "url", "url": "https://example.org/b.png"}});
        let asked = json!({"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "done"}, image]},
            {"type": "tool_result", "tool_use_id": "c2", "content": [url]},
            {"type": "tool_result", "tool_use_id": "c3", "content": "no such berth", "is_error": true},
            {"type": "text", "text": "Go on."},
        ]}]});

        assert_eq!(
            told(&asked)["messages"],
            json!([
                {"role": "tool", "tool_call_id": "c1", "content": "done"},
                {"role": "tool", "tool_call_id": "c2", "content": "What it gave is in the user's next message."},
                {"role": "tool", "tool_call_id": "c3", "content": "The call failed: no such berth"},
                {"role": "user", "content": [
                    {"type": "text", "text": "From the tool call c1:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "text", "text": "From the tool call c2:"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}},
                    {"type": "text", "text": "Go on."},
                ]},
            ])
        );
    }

    #[test]
    fn a_schema_of_the_answer_goes_along() {
        let schema = json!({"type": "object", "properties": {"berth": {"type": "integer"}}});
        let format = json!({"type": "json_schema", "schema": schema});

        for asked in [json!({"output_config": {"format": format}}), json!({"output_format": format})] {
            assert_eq!(
                told(&asked)["response_format"],
                json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}})
            );
        }
        assert!(told(&json!({"output_config": {"effort": "low"}})).get("response_format").is_none());
    }

    #[test]
    fn what_a_chat_cannot_say_is_refused_by_name() {
        let says = |role: &str, block: Value| json!({"messages": [{"role": role, "content": [block]}]});
        let gives = |block: Value| says("user", json!({"type": "tool_result", "tool_use_id": "c", "content": [block]}));
        let file = json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}});
        for (asked, named) in [
            (json!({"mcp_servers": [{"type": "url", "url": "https://example.org"}]}), "`mcp_servers`"),
            (json!({"container": "container_1"}), "`container`"),
            (json!({"output_config": {"format": {"type": "grammar"}}}), "`output_config.format`"),
            (says("user", file.clone()), "source is `file`"),
            (gives(file), "source is `file`"),
            (gives(json!({"type": "document", "source": {"type": "text", "data": "a"}})), "`document`"),
            (gives(json!({"type": "search_result", "title": "a"})), "`search_result`"),
            (says("assistant", json!({"type": "server_tool_use", "name": "web_search"})), "`server_tool_use`"),
        ] {
            let error = of_messages(&asked, "m", "max_tokens").unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        told(&json!({"mcp_servers": [], "container": null, "messages": []}));
    }

    #[test]
    fn the_most_tokens_are_told_by_the_name_that_the_vendor_knows() {
        let asked = json!({"max_tokens": 50, "messages": []});

        let told = of_messages(&asked, "m", "max_completion_tokens").unwrap();

        assert_eq!((told.get("max_tokens"), &told["max_completion_tokens"]), (None, &json!(50)));
    }
}
