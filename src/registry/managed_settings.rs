//! The extension `managed-settings`: settings of clients that allow exactly the servers of a registry.
//!
//! Copilot's managed settings take entries that each name a server, an address or a command; an entry that cannot be read
//! makes the whole list empty, so only these three members are written.

use super::{
    Registry,
    answer::{Answer, Stamp},
    query::{Parameters, failed},
};
use crate::{
    auth::Actor,
    base::{FieldError, Problem},
    catalog::{RegistryFilter, RegistryScope, VersionFilter},
};
use http::StatusCode;
use serde_json::{Value, json};

/// Servers read at a time, and most servers of such settings.
const PAGE: i64 = 500;
const MOST: usize = 10_000;

impl Registry {
    /// The settings for the client that is asked for.
    pub(super) async fn managed_settings(
        &self,
        actor: &Actor,
        scope: RegistryScope<'_>,
        query: Option<&str>,
    ) -> Result<(Answer, Option<Stamp>), Problem> {
        let parameters = Parameters::parse(query)?;
        let stamp = Stamp::of_all(self.catalog.generations());
        let settings = match parameters.get("client").unwrap_or("copilot") {
            "vscode" => self.for_vscode(scope),
            "copilot" => self.for_copilot(actor, scope).await?,
            other => {
                let message = "expected value to be one of \"copilot, vscode\"";
                return Err(failed(FieldError::new("query.client", message).with_value(other)));
            }
        };
        Ok((Answer::json(StatusCode::OK, settings.to_string().into_bytes()), Some(stamp)))
    }

    /// VS Code asks the registry itself, and then takes only what it lists.
    fn for_vscode(&self, scope: RegistryScope<'_>) -> Value {
        let base = match scope {
            RegistryScope::All => self.public_url.as_str().to_owned(),
            RegistryScope::Workspace(name) => self.public_url.join(&format!("/workspaces/{name}")),
            RegistryScope::View(view) => self.public_url.join(&format!("/registries/{}", view.name)),
        };
        json!({"chat.mcp.gallery.serviceUrl": base, "chat.mcp.access": "registry"})
    }

    async fn for_copilot(&self, actor: &Actor, scope: RegistryScope<'_>) -> Result<Value, Problem> {
        let filter = RegistryFilter { scope, version: VersionFilter::Latest, ..RegistryFilter::default() };
        let (mut allowed, mut servers, mut after) = (Vec::new(), 0, None);
        loop {
            let entries = self.catalog.registry_entries(actor, &filter, after.as_ref(), PAGE).await?;
            servers += entries.len();
            for entry in &entries {
                allowed.push(json!({"serverName": entry.registry_name}));
                let document: Value = serde_json::from_str(&entry.server).unwrap_or_default();
                allowed.extend(addresses(&document).map(|url| json!({"serverUrl": url})));
                allowed.extend(commands(&document).map(|argv| json!({"serverCommand": argv})));
            }
            if servers > MOST {
                return Err(Problem::invalid(format!("Settings name at most {MOST} servers; narrow the view.")));
            }
            match entries.last() {
                Some(last) if entries.len() as i64 == PAGE => after = Some(last.place()),
                _ => break,
            }
        }
        Ok(json!({"allowedMcpServers": allowed}))
    }
}

/// Where a server is reached; a variable of its address may be anything.
fn addresses(document: &Value) -> impl Iterator<Item = String> {
    let remotes = document.get("remotes").and_then(Value::as_array).into_iter().flatten();
    remotes.filter_map(|remote| remote.get("url")?.as_str().map(with_stars))
}

fn with_stars(url: &str) -> String {
    let (mut text, mut depth) = (String::with_capacity(url.len()), 0_usize);
    for c in url.chars() {
        match c {
            '{' => {
                if depth == 0 {
                    text.push('*');
                }
                depth += 1;
            }
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    text
}

/// How packages are started, as far as it is the same for everybody: the runner and the package.
fn commands(document: &Value) -> impl Iterator<Item = Vec<String>> {
    let packages = document.get("packages").and_then(Value::as_array).into_iter().flatten();
    packages.filter_map(|package| {
        let text = |member: &str| package.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (identifier, version) = (text("identifier")?, text("version"));
        let pinned = |between: &str| match version {
            Some(version) => format!("{identifier}{between}{version}"),
            None => identifier.to_owned(),
        };
        let words: Vec<String> = match text("registryType")? {
            "npm" => vec!["npx".into(), "-y".into(), pinned("@")],
            "pypi" => vec!["uvx".into(), pinned("==")],
            "nuget" => vec!["dnx".into(), pinned("@"), "--yes".into()],
            "oci" => vec!["docker".into(), "run".into(), "-i".into(), "--rm".into(), identifier.to_owned()],
            _ => return None,
        };
        Some(words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_commands_are_those_of_the_server() {
        let document = json!({
            "remotes": [{"url": "https://{region}.example.com/mcp"}, {"url": "https://example.com/sse"}],
            "packages": [{"registryType": "npm", "identifier": "@acme/files", "version": "1.2.0"},
                         {"registryType": "pypi", "identifier": "files", "version": "2.0"},
                         {"registryType": "mcpb", "identifier": "https://example.com/x.mcpb"}],
        });

        assert_eq!(addresses(&document).collect::<Vec<_>>(), ["https://*.example.com/mcp", "https://example.com/sse"]);
        assert_eq!(
            commands(&document).collect::<Vec<_>>(),
            [vec!["npx", "-y", "@acme/files@1.2.0"], vec!["uvx", "files==2.0"]]
        );
    }
}
