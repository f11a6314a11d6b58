//! Claude Code: `claude mcp add`, or the project's `.mcp.json`, where `${NAME}` reads the environment.
//! Claude Desktop: its configuration file knows local servers only; remote ones are connectors of the account, which
//! take no headers, so a server that wants one is reached through the `mcp-remote` bridge.

use super::Step;
use super::launch::{entry, environment_note, file};
use super::option::{ConnectOption, Endpoint, Way};
use super::template::{Need, Style};
use serde_json::{Map, Value, json};

pub(super) fn code(option: &ConnectOption) -> Vec<Step> {
    let Some(entry) = entry(option, Style::Environment, Some("stdio")) else { return Vec::new() };
    let mut steps = vec![
        Step::shell("in a terminal", &words(option)),
        Step::json("or, shared with a project: .mcp.json", &file(option, entry)),
    ];
    steps.extend(environment_note(option));
    steps
}

fn words(option: &ConnectOption) -> Vec<String> {
    let needs = &option.needs;
    let mut words: Vec<String> = ["claude", "mcp", "add"].map(str::to_owned).into();
    // `--env` and `--header` take every word up to the next option; the name must not follow one of them.
    match (&option.way, option.endpoint()) {
        (_, Some(endpoint)) => {
            words.extend(["--transport", endpoint.word(), &option.key].map(str::to_owned));
            words.push(endpoint.address(needs, Style::Written));
            for header in endpoint.lines(needs, Style::Written) {
                words.extend(["--header".to_owned(), header]);
            }
        }
        (Way::Launched(launch), None) => {
            for pair in launch.pairs(needs, Style::Written) {
                words.extend(["--env".to_owned(), pair]);
            }
            words.extend(["--transport", "stdio", &option.key, "--"].map(str::to_owned));
            words.extend(launch.line(needs, Style::Written));
        }
        _ => {}
    }
    words
}

const FILE: &str = "claude_desktop_config.json (Settings, Developer, Edit Config)";

pub(super) fn desktop(option: &ConnectOption) -> Vec<Step> {
    let needs = &option.needs;
    match (&option.way, option.endpoint()) {
        (Way::Bundle { url, .. }, _) => vec![
            Step::link("Download the bundle", url.clone()),
            Step::new("then", "text", "Open the downloaded file; Claude Desktop shows what it will run and asks."),
        ],
        (_, Some(endpoint)) if endpoint.headers.is_empty() && matches!(option.way, Way::Remote(_)) => vec![Step::new(
            "Settings, Connectors, Add custom connector",
            "text",
            endpoint.address(needs, Style::Written),
        )],
        (_, Some(endpoint)) => vec![Step::json(FILE, &file(option, bridged(endpoint, needs)))],
        (Way::Launched(launch), None) => vec![Step::json(FILE, &file(option, launch.entry(needs, Style::Written)))],
        _ => Vec::new(),
    }
}

/// The bridge takes a header as one word without a space, so its value comes from the environment.
fn bridged(endpoint: &Endpoint, needs: &[Need]) -> Map<String, Value> {
    let mut arguments = vec!["-y".to_owned(), "mcp-remote".to_owned(), endpoint.address(needs, Style::Written)];
    if endpoint.is_sse {
        arguments.extend(["--transport".to_owned(), "sse-only".to_owned()]);
    }
    let mut environment = Map::new();
    for (at, (name, value)) in endpoint.headers.iter().enumerate() {
        let variable = format!("HEADER_{}", at + 1);
        arguments.extend(["--header".to_owned(), format!("{name}:${{{variable}}}")]);
        environment.insert(variable, value.render(needs, Style::Written).into());
    }
    let mut entry = Map::new();
    entry.insert("command".to_owned(), "npx".into());
    entry.insert("args".to_owned(), json!(arguments));
    if !environment.is_empty() {
        entry.insert("env".to_owned(), environment.into());
    }
    entry
}
