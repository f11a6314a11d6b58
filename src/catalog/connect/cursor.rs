//! Cursor: a link that asks before it adds, and `.cursor/mcp.json`, where `${env:NAME}` reads the environment.

use super::Step;
use super::escape::component;
use super::launch::{entry, environment_note, file};
use super::option::ConnectOption;
use super::template::Style;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

pub(super) fn steps(option: &ConnectOption) -> Vec<Step> {
    let Some(entry) = entry(option, Style::CursorEnvironment, None) else { return Vec::new() };
    let config = STANDARD.encode(Value::Object(entry.clone()).to_string());
    let mut steps = vec![
        Step::link(
            "Install in Cursor",
            format!(
                "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
                component(&option.key),
                component(&config)
            ),
        ),
        Step::json(".cursor/mcp.json", &file(option, entry)),
    ];
    steps.extend(environment_note(option));
    steps
}
