//! Prompts: ways to begin that people pick from a menu of their client.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};

struct Offered {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// Names with what they mean; all are needed.
    arguments: &'static [(&'static str, &'static str)],
}

const PROMPTS: [Offered; 2] = [
    Offered {
        name: "find",
        title: "Find an API or MCP server",
        description: "Looks through the register for what can do a task, and says which to take.",
        arguments: &[("task", "What you want to do, in plain words.")],
    },
    Offered {
        name: "install",
        title: "Install an MCP server",
        description: "Says how to use an MCP server of the register in your client.",
        arguments: &[
            ("server", "Name of the server."),
            ("client", "The client: vscode, cursor, claude-code, codex, ..."),
        ],
    },
];

pub(super) fn list() -> Vec<Prompt> {
    PROMPTS
        .into_iter()
        .map(|Offered { name, title, description, arguments }| {
            let arguments = arguments
                .iter()
                .map(|(name, meaning)| PromptArgument::new(*name).with_description(*meaning).with_required(true));
            Prompt::new(name, Some(description), Some(arguments.collect())).with_title(title)
        })
        .collect()
}

/// The prompt with its arguments filled in.
///
/// # Errors
/// -32602 for a prompt there is not, and for an argument that is missing or no text.
pub(super) fn get(name: &str, given: &JsonObject) -> Result<GetPromptResult, ErrorData> {
    let Some(Offered { description, arguments, .. }) = PROMPTS.into_iter().find(|prompt| prompt.name == name) else {
        let names = PROMPTS.map(|prompt| prompt.name).join(", ");
        return Err(ErrorData::invalid_params(format!("There is no prompt {name:?}; there are {names}."), None));
    };
    let mut values = Vec::new();
    for (argument, meaning) in arguments {
        match given.get(*argument).and_then(serde_json::Value::as_str) {
            Some(value) => values.push(value),
            None => {
                return Err(ErrorData::invalid_params(
                    format!("The argument `{argument}` is missing: {meaning}"),
                    None,
                ));
            }
        }
    }
    let text = match values.as_slice() {
        [server, client] => format!(
            "Use connect to say how to install the MCP server {server:?} in the client {client:?}. Show the step to \
             take and what I have to fill in; do not ask me for secrets."
        ),
        _ => format!(
            "Use search_catalog to find what can do this: {}. Compare the best hits with describe_asset, prefer what is \
             in production and not deprecated, and recommend one with its reason.",
            values.join(" ")
        ),
    };
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_filled_in_or_says_what_is_missing() {
        let given = |value: serde_json::Value| value.as_object().unwrap().clone();

        let found = get("find", &given(serde_json::json!({"task": "refund a card"}))).unwrap();
        assert!(serde_json::to_string(&found).unwrap().contains("refund a card"));
        for (name, arguments, expected) in [
            ("find", serde_json::json!({}), "`task` is missing"),
            ("install", serde_json::json!({"server": "x"}), "`client` is missing"),
            ("sing", serde_json::json!({}), "no prompt \"sing\""),
        ] {
            assert!(get(name, &given(arguments)).unwrap_err().message.contains(expected), "{name}");
        }
    }
}
