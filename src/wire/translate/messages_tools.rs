//! The tools of a chat, and which of them may or must be called, as Anthropic's messages say it.

use super::{Calls, Untranslatable};
use serde_json::{Map, Value, json};

/// What a chat says of tools.
pub(super) struct Tools {
    pub offered: Vec<Value>,
    pub choice: Option<Value>,
    pub calls: Calls,
}

/// Reads `tools`, or `functions`, which they were called before.
pub(super) fn of_chat(chat: &Value) -> Result<Tools, Untranslatable> {
    let list = |name: &str| chat[name].as_array().map_or(&[][..], Vec::as_slice);
    let (tools, functions) = (list("tools"), list("functions"));
    match (tools.is_empty(), functions.is_empty()) {
        (true, true) => Ok(Tools { offered: Vec::new(), choice: None, calls: Calls::OfTools }),
        (false, true) => {
            let mut offered = tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
            let choice = tool_choice(&chat["tool_choice"], chat["parallel_tool_calls"].as_bool(), &mut offered)?;
            Ok(Tools { offered, choice, calls: Calls::OfTools })
        }
        (true, false) => {
            let offered = functions.iter().map(function).collect::<Result<Vec<_>, _>>()?;
            // A message of the older form has room for one call.
            let choice = match &chat["function_call"] {
                Value::String(word) if word == "none" => json!({"type": "none"}),
                Value::Object(named) => json!({"type": "tool", "name": named.get("name"), SINGLY: true}),
                _ => json!({"type": "auto", SINGLY: true}),
            };
            Ok(Tools { offered, choice: Some(choice), calls: Calls::OfFunction })
        }
        (false, false) => Err(Untranslatable::new("`functions` beside `tools`")),
    }
}

const SINGLY: &str = "disable_parallel_tool_use";

fn tool(tool: &Value) -> Result<Value, Untranslatable> {
    match tool["type"].as_str() {
        Some("function") => function(&tool["function"]),
        _ => Err(Untranslatable::new("A tool that is no function")),
    }
}

fn function(function: &Value) -> Result<Value, Untranslatable> {
    if !function["name"].is_string() {
        return Err(Untranslatable::new("A function without a name"));
    }
    let mut told = Map::new();
    told.insert("name".into(), function["name"].clone());
    if !function["description"].is_null() {
        told.insert("description".into(), function["description"].clone());
    }
    let schema = match &function["parameters"] {
        Value::Null => json!({"type": "object", "properties": {}}),
        schema => schema.clone(),
    };
    told.insert("input_schema".into(), schema);
    Ok(told.into())
}

/// Anthropic cannot allow some of what is offered: what is not allowed is not offered then.
fn tool_choice(
    choice: &Value,
    parallel: Option<bool>,
    offered: &mut Vec<Value>,
) -> Result<Option<Value>, Untranslatable> {
    let by_mode = |mode: Option<&str>| match mode {
        Some("required") => json!({"type": "any"}),
        _ => json!({"type": "auto"}),
    };
    let mut told = match choice {
        Value::String(word) if word == "none" => return Ok(Some(json!({"type": "none"}))),
        Value::String(word) => by_mode(Some(word)),
        Value::Object(_) if choice["function"]["name"].is_string() => {
            json!({"type": "tool", "name": choice["function"]["name"]})
        }
        Value::Object(_) if choice["type"] == "allowed_tools" => {
            let allowed = &choice["allowed_tools"];
            let names: Vec<&Value> =
                allowed["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]["name"]).collect();
            offered.retain(|tool| names.contains(&&tool["name"]));
            if offered.is_empty() {
                return Err(Untranslatable::new("A `tool_choice` that allows none of the `tools`"));
            }
            by_mode(allowed["mode"].as_str())
        }
        Value::Object(_) => {
            let kind = choice["type"].as_str().unwrap_or("unknown");
            return Err(Untranslatable::new(&format!("A `tool_choice` of type `{kind}`")));
        }
        _ if parallel == Some(false) => json!({"type": "auto"}),
        _ => return Ok(None),
    };
    if parallel == Some(false) {
        told[SINGLY] = true.into();
    }
    Ok(Some(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name}})
    }

    #[test]
    fn of_allowed_tools_only_those_are_offered() {
        for (mode, told) in [("auto", "auto"), ("required", "any")] {
            let allowed = json!({"mode": mode, "tools": [offer("look"), offer("count")]});
            let chat = json!({
                "tools": [offer("look"), offer("sail"), offer("count")],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
            });

            let tools = of_chat(&chat).unwrap();

            let names: Vec<&Value> = tools.offered.iter().map(|tool| &tool["name"]).collect();
            assert_eq!(names, ["look", "count"]);
            assert_eq!(tools.choice, Some(json!({"type": told})));
        }
    }

    #[test]
    fn functions_are_tools_of_which_one_is_called_at_a_time() {
        let function = json!({"name": "look", "description": "Looks.", "parameters": {"type": "object"}});
        for (call, choice) in [
            (Value::Null, json!({"type": "auto", "disable_parallel_tool_use": true})),
            (json!("auto"), json!({"type": "auto", "disable_parallel_tool_use": true})),
            (json!("none"), json!({"type": "none"})),
            (json!({"name": "look"}), json!({"type": "tool", "name": "look", "disable_parallel_tool_use": true})),
        ] {
            let tools = of_chat(&json!({"functions": [function], "function_call": call})).unwrap();

            let offered = json!({"name": "look", "description": "Looks.", "input_schema": {"type": "object"}});
            assert_eq!((tools.offered, tools.choice), (vec![offered], Some(choice)));
            assert_eq!(tools.calls, Calls::OfFunction);
        }
    }

    #[test]
    fn a_choice_that_anthropic_does_not_have_is_refused_by_name() {
        let allows = |tools: Value| json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}});
        for (chat, named) in [
            (json!({"tools": [offer("a")], "tool_choice": {"type": "custom", "custom": {"name": "a"}}}), "`custom`"),
            (json!({"tools": [offer("a")], "tool_choice": allows(json!([offer("b")]))}), "allows none"),
            (json!({"tools": [offer("a")], "functions": [{"name": "b"}]}), "`functions` beside"),
            (json!({"tools": [{"type": "custom", "custom": {"name": "a"}}]}), "no function"),
        ] {
            let error = of_chat(&chat).err().unwrap();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
