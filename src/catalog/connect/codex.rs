//! Codex: `codex mcp add` for what its options can say, `config.toml` for all of it. Secrets stay in the environment.

use super::Step;
use super::launch::environment_note;
use super::option::{ConnectOption, Endpoint, Launch, Way};
use super::template::{Need, Style};
use toml::{Table, Value};

pub(super) fn steps(option: &ConnectOption) -> Vec<Step> {
    let needs = &option.needs;
    let (command, entry) = match (&option.way, option.endpoint()) {
        (_, Some(endpoint)) if endpoint.is_sse => {
            return vec![Step::note(
                "Codex speaks streamable HTTP and not server-sent events; this server offers only those.",
            )];
        }
        (_, Some(endpoint)) => (remote_words(option, endpoint), remote_table(endpoint, needs)),
        (Way::Launched(launch), None) => (Some(local_words(option, launch)), local_table(launch, needs)),
        _ => return Vec::new(),
    };
    let servers = Table::from_iter([(option.key.clone(), Value::Table(entry))]);
    let file = Table::from_iter([("mcp_servers".to_owned(), Value::Table(servers))]);
    let text = toml::to_string(&file).expect("strings and tables are always TOML");

    let mut steps: Vec<Step> = command.map(|words| Step::shell("in a terminal", &words)).into_iter().collect();
    let label = if steps.is_empty() { "~/.codex/config.toml" } else { "or ~/.codex/config.toml" };
    steps.push(Step::new(label, "toml", text));
    steps.extend(environment_note(option));
    steps
}

/// The command knows one header: a bearer token out of the environment.
fn remote_words(option: &ConnectOption, endpoint: &Endpoint) -> Option<Vec<String>> {
    let mut words: Vec<String> = ["codex", "mcp", "add", &option.key, "--url"].map(str::to_owned).into();
    words.push(endpoint.address(&option.needs, Style::Written));
    match endpoint.headers.as_slice() {
        [] => {}
        [one] => {
            let variable = bearer(one, &option.needs)?;
            words.extend(["--bearer-token-env-var".to_owned(), variable.to_owned()]);
        }
        _ => return None,
    }
    Some(words)
}

fn bearer<'a>((name, value): &(String, super::template::Template), needs: &'a [Need]) -> Option<&'a str> {
    let need = value.only_need(needs, "Bearer ").filter(|need| need.is_secret)?;
    name.eq_ignore_ascii_case("authorization").then_some(need.variable.as_str())
}

fn remote_table(endpoint: &Endpoint, needs: &[Need]) -> Table {
    let mut table = Table::new();
    table.insert("url".to_owned(), endpoint.address(needs, Style::Written).into());
    let (mut written, mut from_environment) = (Table::new(), Table::new());
    for header in &endpoint.headers {
        let (name, value) = header;
        if let Some(variable) = bearer(header, needs) {
            table.insert("bearer_token_env_var".to_owned(), variable.into());
        } else if let Some(need) = value.only_need(needs, "").filter(|need| need.is_secret) {
            from_environment.insert(name.clone(), need.variable.clone().into());
        } else {
            written.insert(name.clone(), value.render(needs, Style::Written).into());
        }
    }
    for (name, headers) in [("http_headers", written), ("env_http_headers", from_environment)] {
        if !headers.is_empty() {
            table.insert(name.to_owned(), headers.into());
        }
    }
    table
}

fn local_words(option: &ConnectOption, launch: &Launch) -> Vec<String> {
    let mut words: Vec<String> = ["codex", "mcp", "add", &option.key].map(str::to_owned).into();
    for pair in launch.pairs(&option.needs, Style::Written) {
        words.extend(["--env".to_owned(), pair]);
    }
    words.push("--".to_owned());
    words.extend(launch.line(&option.needs, Style::Written));
    words
}

fn local_table(launch: &Launch, needs: &[Need]) -> Table {
    let mut table = Table::new();
    table.insert("command".to_owned(), launch.command.clone().into());
    let arguments: Vec<Value> = launch.arguments.iter().map(|one| one.render(needs, Style::Written).into()).collect();
    if !arguments.is_empty() {
        table.insert("args".to_owned(), arguments.into());
    }
    let (mut written, mut passed) = (Table::new(), Vec::new());
    for (name, value) in &launch.environment {
        match value.only_need(needs, "") {
            // Passed on from the environment of Codex under its own name.
            Some(need) if need.is_secret && need.variable == *name => passed.push(Value::from(name.clone())),
            _ => {
                written.insert(name.clone(), value.render(needs, Style::Written).into());
            }
        }
    }
    if !passed.is_empty() {
        table.insert("env_vars".to_owned(), passed.into());
    }
    if !written.is_empty() {
        table.insert("env".to_owned(), written.into());
    }
    table
}
