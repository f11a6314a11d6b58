//! Every other client: the `mcpServers` entry most of them read; for a bundle, how to fetch and check it.

use super::Step;
use super::escape::{command, word};
use super::launch::{entry, file};
use super::option::{ConnectOption, Way};
use super::template::Style;

pub(super) fn steps(option: &ConnectOption) -> Vec<Step> {
    if let Way::Bundle { url, sha256 } = &option.way {
        let name = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let name = if name.is_empty() || name.starts_with('-') { "server.mcpb" } else { name };
        let mut text = command(&["curl", "-fL", "-o", name, url].map(str::to_owned));
        if let Some(hash) = sha256 {
            text.push_str(&format!("\necho {} | sha256sum --check", word(&format!("{hash}  {name}"))));
        }
        return vec![Step::new("in a terminal", "sh", text)];
    }
    let Some(entry) = entry(option, Style::Written, Some("stdio")) else { return Vec::new() };
    vec![Step::json("mcpServers", &file(option, entry))]
}
