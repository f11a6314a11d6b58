//! Gemini CLI: `gemini mcp add`, or `settings.json`, where `${NAME}` reads the environment.

use super::Step;
use super::launch::{entry, environment_note, file};
use super::option::{ConnectOption, Way};
use super::template::Style;

pub(super) fn steps(option: &ConnectOption) -> Vec<Step> {
    let Some(mut entry) = entry(option, Style::Environment, None) else { return Vec::new() };
    // `url` alone means server-sent events here; streamable HTTP has a name of its own.
    if option.endpoint().is_some_and(|endpoint| !endpoint.is_sse)
        && let Some(url) = entry.shift_remove("url")
    {
        entry.shift_insert(0, "httpUrl".to_owned(), url);
    }
    let mut steps: Vec<Step> = words(option).map(|words| Step::shell("in a terminal", &words)).into_iter().collect();
    let label = if steps.is_empty() { "~/.gemini/settings.json" } else { "or ~/.gemini/settings.json" };
    steps.push(Step::json(label, &file(option, entry)));
    steps.extend(environment_note(option));
    steps
}

fn words(option: &ConnectOption) -> Option<Vec<String>> {
    let needs = &option.needs;
    let mut words: Vec<String> = ["gemini", "mcp", "add"].map(str::to_owned).into();
    match (&option.way, option.endpoint()) {
        (_, Some(endpoint)) => {
            words.extend(["--transport".to_owned(), endpoint.word().to_owned()]);
            for header in endpoint.lines(needs, Style::Written) {
                words.extend(["--header".to_owned(), header]);
            }
            words.extend([option.key.clone(), endpoint.address(needs, Style::Written)]);
        }
        (Way::Launched(launch), None) => {
            let pairs = launch.pairs(needs, Style::Written);
            // The command cuts a value at its second `=`; the file does not.
            if pairs.iter().any(|pair| pair.matches('=').count() > 1) {
                return None;
            }
            for pair in pairs {
                words.extend(["-e".to_owned(), pair]);
            }
            // Behind `--` the options of the server are not taken for ours.
            words.extend([option.key.clone(), launch.command.clone()]);
            if !launch.arguments.is_empty() {
                words.push("--".to_owned());
                words.extend(launch.line(needs, Style::Written).into_iter().skip(1));
            }
        }
        _ => return None,
    }
    Some(words)
}
