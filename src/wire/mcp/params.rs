//! The parameters of the methods we serve, as far as their shape goes; what they mean is for the handlers.

use serde_json::{Map, Value};

/// Whether `params` has what `method` needs, in the right types.
///
/// # Errors
/// The member that is wrong, in words.
pub(super) fn check(method: &str, params: Option<&Value>) -> Result<(), String> {
    let nothing = Map::new();
    let params = params.and_then(Value::as_object).unwrap_or(&nothing);
    match method {
        "initialize" => {
            text(params, "protocolVersion")?;
            object(params, "capabilities")?;
            let client = object(params, "clientInfo")?;
            text(client, "name").and_then(|()| text(client, "version")).map_err(|why| format!("clientInfo: {why}"))
        }
        "tools/call" | "prompts/get" => {
            text(params, "name")?;
            match params.get("arguments") {
                None | Some(Value::Object(_)) => Ok(()),
                Some(_) => Err("`arguments` is an object.".to_owned()),
            }
        }
        "resources/read" => text(params, "uri"),
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" => match params.get("cursor") {
            None | Some(Value::String(_)) => Ok(()),
            Some(_) => Err("`cursor` is a string that an earlier answer gave as `nextCursor`.".to_owned()),
        },
        _ => Ok(()),
    }
}

fn text(params: &Map<String, Value>, name: &str) -> Result<(), String> {
    match params.get(name) {
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(format!("`{name}` is a string.")),
        None => Err(format!("`{name}` is missing.")),
    }
}

fn object<'a>(params: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, String> {
    match params.get(name) {
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(format!("`{name}` is an object.")),
        None => Err(format!("`{name}` is missing.")),
    }
}
