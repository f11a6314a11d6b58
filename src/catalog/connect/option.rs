//! `ConnectOption`: one way to reach a server, as its `server.json` tells it.

use super::escape::key;
use super::template::{Need, Template};
use super::{package, remote};
use crate::wire::server_json;
use serde_json::Value;

/// One way to reach a server: a remote, or a package to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOption {
    /// For people: `Streamable HTTP at mcp.example.com`, `npm package @example/files 1.2.0`.
    pub label: String,
    /// The server's name in configuration files.
    pub key: String,
    pub way: Way,
    /// What the user fills in, in the order in which it appears.
    pub needs: Vec<Need>,
    /// What may be set besides; the forms leave it out.
    pub optional: Vec<Need>,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Somebody runs it: an address.
    Remote(Endpoint),
    /// The client starts it and talks to it over its standard input and output.
    Launched(Launch),
    /// The user starts it, the client connects to its address.
    Served { launch: Launch, endpoint: Endpoint },
    /// A bundle that Claude Desktop opens.
    Bundle { url: String, sha256: Option<String> },
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Server-sent events, the transport of 2024; otherwise streamable HTTP.
    pub is_sse: bool,
    pub(super) url: Template,
    pub(super) headers: Vec<(String, Template)>,
}

/// A command that starts a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What has to be installed first, for packages no runner fetches.
    pub(super) install: Option<Vec<String>>,
    pub(super) command: String,
    pub(super) arguments: Vec<Template>,
    pub(super) environment: Vec<(String, Template)>,
}

impl ConnectOption {
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        match &self.way {
            Way::Remote(endpoint) | Way::Served { endpoint, .. } => Some(endpoint),
            Way::Launched(_) | Way::Bundle { .. } => None,
        }
    }

    /// Whether the server runs on the user's own machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !matches!(self.way, Way::Remote(_))
    }
}

/// The ways to reach the server of a `server.json`, remotes first; empty when it names none that can be written down.
///
/// What could not be told apart from an attack is left out: addresses that are not `http` or `https`, packages and
/// runners whose names would read as options of a command.
#[must_use]
pub fn options(document: &Value) -> Vec<ConnectOption> {
    let server = server_json::read(document);
    let key = key(&server.name);
    let remotes = server.remotes.iter().filter_map(|transport| remote::option(&key, transport));
    let packages = server.packages.iter().filter_map(|one| package::option(&key, one));
    remotes.chain(packages).collect()
}
