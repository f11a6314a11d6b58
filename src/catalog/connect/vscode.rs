//! VS Code: a link that asks before it adds, the workspace's `.vscode/mcp.json`, and the command line.
//!
//! Secrets and missing values become `inputs`: VS Code asks for them once and keeps them encrypted.

use super::escape::{command, component};
use super::launch::entry;
use super::option::ConnectOption;
use super::template::{Need, Style};
use super::{Step, escape};
use serde_json::{Map, Value, json};

pub(super) fn steps(option: &ConnectOption) -> Vec<Step> {
    let Some(entry) = entry(option, Style::Asked, Some("stdio")) else { return Vec::new() };
    let inputs: Vec<Value> = option.needs.iter().map(input).collect();

    let mut named = Map::new();
    named.insert("name".to_owned(), option.key.clone().into());
    named.extend(entry.clone());
    let mut file = json!({ "servers": { option.key.as_str(): entry } });
    if !inputs.is_empty() {
        named.insert("inputs".to_owned(), inputs.clone().into());
        file["inputs"] = inputs.into();
    }
    let named = Value::Object(named).to_string();
    // VS Code decodes the query twice; a `%` of the configuration itself must outlive both.
    let query = component(&named.replace('%', r"\u0025"));

    vec![
        Step::link("Install in VS Code", format!("vscode:mcp/install?{query}")),
        Step::link("in Insiders", format!("vscode-insiders:mcp/install?{query}")),
        Step::new(".vscode/mcp.json", "json", escape::pretty(&file)),
        Step::new("or in a terminal", "sh", command(&["code".to_owned(), "--add-mcp".to_owned(), named])),
    ]
}

fn input(need: &Need) -> Value {
    let mut input = Map::new();
    let kind = if need.choices.is_empty() { "promptString" } else { "pickString" };
    input.insert("type".to_owned(), kind.into());
    input.insert("id".to_owned(), need.input_id().into());
    input.insert("description".to_owned(), need.description.clone().unwrap_or_else(|| need.name.clone()).into());
    if !need.choices.is_empty() {
        input.insert("options".to_owned(), need.choices.clone().into());
    }
    if let Some(default) = &need.default {
        input.insert("default".to_owned(), default.clone().into());
    }
    if need.is_secret {
        input.insert("password".to_owned(), true.into());
    }
    Value::Object(input)
}
