//! Copilot CLI: its configuration file, where `${NAME}` reads the environment, or the form behind `/mcp add`.

use super::Step;
use super::launch::{entry, environment_note, file};
use super::option::ConnectOption;
use super::template::Style;

pub(super) fn steps(option: &ConnectOption) -> Vec<Step> {
    let Some(mut entry) = entry(option, Style::Environment, Some("local")) else { return Vec::new() };
    entry.insert("tools".to_owned(), serde_json::json!(["*"]));
    let mut steps = vec![
        Step::json("~/.copilot/mcp-config.json", &file(option, entry)),
        Step::new(
            "or inside Copilot CLI",
            "text",
            format!(
                "Type /mcp add, name the server {}, fill in the fields as above, and save with Ctrl+S.",
                option.key
            ),
        ),
    ];
    steps.extend(environment_note(option));
    steps
}
