//! The pages about the gateway: pools and their breakers, backends, routes, limits.

mod backends;
mod limits;
mod pools;
mod routes;
mod usage;

pub(super) use backends::{import, show as show_backends};
pub(super) use limits::show as show_limits;
pub(super) use pools::{drain, show as show_pools};
pub(super) use routes::show as show_routes;
pub(super) use usage::show as show_usage;

use crate::gateway::settings::Owner;

/// The pages, in the order of their tabs.
pub const TABS: &[(&str, &str)] = &[
    ("/gateway/usage", "Usage and cost"),
    ("/gateway/pools", "Pools"),
    ("/gateway/backends", "Backends"),
    ("/gateway/routes", "Routes"),
    ("/gateway/limits", "Limits"),
];

/// Where a thing stands on its page; things of different workspaces may have one name.
fn anchor(owner: &Owner, name: &str) -> String {
    match owner.workspace_name() {
        Some(workspace) => format!("{workspace}.{name}"),
        None => name.to_owned(),
    }
}

fn workspace(owner: &Owner) -> Option<String> {
    owner.workspace_name().map(ToString::to_string)
}

/// `300,000`, or `no limit`.
fn capacity(tokens: Option<u64>) -> String {
    tokens.map_or_else(|| "no limit".to_owned(), |tokens| super::words::number(tokens as usize))
}
