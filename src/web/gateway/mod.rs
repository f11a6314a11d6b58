//! The pages about the gateway: usage, kept prompts, the playground, pools and their breakers, backends, routes, limits.

mod answers;
mod backends;
mod edit;
mod limits;
mod playground;
mod pools;
mod prompts;
mod routes;
mod usage;

pub(super) use answers::purge;
pub(super) use backends::{import, show as show_backends};
pub(super) use edit::{new as new_thing, show as show_thing, submit as submit_thing};
pub(super) use limits::show as show_limits;
pub(super) use playground::{path_for as playground_path, send as send_prompt, show as show_playground};
pub(super) use pools::{drain, show as show_pools};
pub(super) use prompts::show as show_prompts;
pub(super) use routes::show as show_routes;
pub(super) use usage::show as show_usage;

use crate::auth::{Actor, Permission};
use crate::gateway::Gateway;
use crate::gateway::settings::{Owner, Thing};

/// The pages, in the order of their tabs.
pub const TABS: &[(&str, &str)] = &[
    ("/gateway/usage", "Usage and cost"),
    ("/gateway/playground", "Playground"),
    ("/gateway/pools", "Pools"),
    ("/gateway/backends", "Backends"),
    ("/gateway/routes", "Routes"),
    ("/gateway/limits", "Limits"),
];

/// Where the reader changes a thing; none where that is not the reader's to do.
fn edit_link(actor: &Actor, thing: &Thing) -> Option<String> {
    Gateway::may_manage(actor, &thing.owner).then(|| edit::edit_path(thing))
}

/// Whether the reader makes such things somewhere.
fn may_make(actor: &Actor) -> bool {
    actor.may_somewhere(Permission::ManageGateway)
}

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
