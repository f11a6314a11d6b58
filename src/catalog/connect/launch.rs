//! What forms of several clients share: the `mcpServers` entry, and the command of a server the user starts.

use super::escape::word;
use super::option::{ConnectOption, Endpoint, Launch, Way};
use super::template::{Need, Style, Template};
use super::{Step, escape};
use serde_json::{Map, Value, json};

/// The command that starts a server which the client then only connects to, with what has to be installed before.
pub(super) fn start_first(option: &ConnectOption) -> Option<Step> {
    match &option.way {
        Way::Served { launch, .. } => Some(Step::new("first, in a terminal", "sh", started(launch, &option.needs))),
        Way::Launched(Launch { install: Some(install), .. }) => Some(Step::shell("first, in a terminal", install)),
        _ => None,
    }
}

fn started(launch: &Launch, needs: &[Need]) -> String {
    let mut words = Vec::new();
    if !launch.environment.is_empty() {
        words.push("env".to_owned());
        words.extend(
            launch.environment.iter().map(|(name, value)| format!("{name}={}", value.render(needs, Style::Written))),
        );
    }
    words.extend(launch.line(needs, Style::Written));
    let install = launch.install.as_ref().map(|install| format!("{}\n", escape::command(install))).unwrap_or_default();
    format!("{install}{}", words.iter().map(|one| word(one)).collect::<Vec<_>>().join(" "))
}

impl Launch {
    /// The command and its arguments.
    pub(super) fn line(&self, needs: &[Need], style: Style) -> Vec<String> {
        let mut line = vec![self.command.clone()];
        line.extend(self.arguments.iter().map(|argument| argument.render(needs, style)));
        line
    }

    /// `NAME=value` for each variable.
    pub(super) fn pairs(&self, needs: &[Need], style: Style) -> Vec<String> {
        self.environment.iter().map(|(name, value)| format!("{name}={}", value.render(needs, style))).collect()
    }

    /// `{command, args, env}`, empty parts left out.
    pub(super) fn entry(&self, needs: &[Need], style: Style) -> Map<String, Value> {
        let mut entry = Map::new();
        entry.insert("command".to_owned(), self.command.clone().into());
        let arguments: Vec<Value> = self.arguments.iter().map(|one| one.render(needs, style).into()).collect();
        if !arguments.is_empty() {
            entry.insert("args".to_owned(), arguments.into());
        }
        let environment = rendered(&self.environment, needs, style);
        if !environment.is_empty() {
            entry.insert("env".to_owned(), environment.into());
        }
        entry
    }
}

impl Endpoint {
    pub(super) fn address(&self, needs: &[Need], style: Style) -> String {
        self.url.render(needs, style)
    }

    /// `Name: value` for each header.
    pub(super) fn lines(&self, needs: &[Need], style: Style) -> Vec<String> {
        self.headers.iter().map(|(name, value)| format!("{name}: {}", value.render(needs, style))).collect()
    }

    pub(super) fn header_map(&self, needs: &[Need], style: Style) -> Map<String, Value> {
        rendered(&self.headers, needs, style)
    }

    /// `http` or `sse`, as configuration files call it.
    pub(super) const fn word(&self) -> &'static str {
        if self.is_sse { "sse" } else { "http" }
    }
}

fn rendered(values: &[(String, Template)], needs: &[Need], style: Style) -> Map<String, Value> {
    values.iter().map(|(name, value)| (name.clone(), value.render(needs, style).into())).collect()
}

/// The entry of the server in a file of `mcpServers`: `types` names the two sorts where the client wants them named.
pub(super) fn entry(option: &ConnectOption, style: Style, types: Option<&str>) -> Option<Map<String, Value>> {
    let needs = &option.needs;
    let mut entry = Map::new();
    if let Some(endpoint) = option.endpoint() {
        if types.is_some() {
            entry.insert("type".to_owned(), endpoint.word().into());
        }
        entry.insert("url".to_owned(), endpoint.address(needs, style).into());
        let headers = endpoint.header_map(needs, style);
        if !headers.is_empty() {
            entry.insert("headers".to_owned(), headers.into());
        }
        return Some(entry);
    }
    let Way::Launched(launch) = &option.way else { return None };
    if let Some(local) = types {
        entry.insert("type".to_owned(), local.into());
    }
    entry.extend(launch.entry(needs, style));
    Some(entry)
}

/// Which variables the user sets, for clients that read secrets from their environment.
pub(super) fn environment_note(option: &ConnectOption) -> Option<Step> {
    let templates: Vec<&Template> = match (&option.way, option.endpoint()) {
        (_, Some(endpoint)) => endpoint.headers.iter().map(|(_, value)| value).chain([&endpoint.url]).collect(),
        (Way::Launched(launch), None) => {
            launch.environment.iter().map(|(_, value)| value).chain(&launch.arguments).collect()
        }
        _ => Vec::new(),
    };
    let mut secrets: Vec<&str> = Vec::new();
    for need in templates.into_iter().flat_map(|template| template.used(&option.needs)) {
        if need.is_secret && !secrets.contains(&need.variable.as_str()) {
            secrets.push(&need.variable);
        }
    }
    (!secrets.is_empty()).then(|| {
        Step::note(&format!("The file reads {} from the environment in which the client starts.", secrets.join(", ")))
    })
}

/// `{"mcpServers": {key: entry}}`.
pub(super) fn file(option: &ConnectOption, entry: Map<String, Value>) -> Value {
    json!({ "mcpServers": { option.key.as_str(): entry } })
}
