//! `Charged`: whose usage somebody may see.

use crate::auth::{Actor, Identity, Permission, Scope};
use crate::base::{KeyId, WorkspaceId};

/// Whose usage somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Charged {
    pub(super) everything: bool,
    pub(super) workspaces: Vec<WorkspaceId>,
    /// Its own, wherever it is charged.
    pub(super) key: Option<KeyId>,
    pub(super) user: Option<String>,
}

impl Charged {
    pub(super) fn seen_by(actor: &Actor) -> Self {
        let workspaces = actor.grants().iter().filter_map(|grant| match grant.scope {
            Scope::Workspace(id) if actor.may(Permission::ReadUsage, grant.scope) => Some(id),
            _ => None,
        });
        let key = match (&actor.key, &actor.identity) {
            (Some(key), _) => Some(key.id),
            (None, Identity::Key { id, .. }) => Some(*id),
            _ => None,
        };
        let user = match &actor.identity {
            Identity::User { name, .. } | Identity::ServiceAccount { name, .. } => Some(name.to_string()),
            _ => None,
        };
        Self {
            everything: actor.may(Permission::ReadUsage, Scope::Instance),
            workspaces: workspaces.collect(),
            key,
            user,
        }
    }
}
