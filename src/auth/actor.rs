//! `Actor`: who is asking, with the roles it holds; every verb takes one first.

use super::key::ApiKey;
use super::permission::{Grant, Permission, Role, Scope};
use crate::base::{KeyId, WorkspaceId};
use std::fmt;

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub identity: Identity,
    pub(super) grants: Vec<Grant>,
    /// Of the request in which the actor asks; goes into the audit record.
    pub request_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    Key {
        id: KeyId,
        name: String,
    },
    /// The program itself: seeding, background work.
    System(&'static str),
}

/// What an actor may see: public assets always, internal ones when it is somebody, private ones of its workspaces.
///
/// Equal sights see the same catalog, so a sight is a fit key for caches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    pub everything: bool,
    pub internal: bool,
    /// Sorted.
    pub workspaces: Vec<WorkspaceId>,
}

impl Actor {
    /// Somebody without a credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { identity: Identity::Anonymous, grants: Vec::new(), request_id: None }
    }

    /// The program itself, allowed everything; `part` says which part of it.
    #[must_use]
    pub fn system(part: &'static str) -> Self {
        let grants = vec![Grant { role: Role::Administrator, scope: Scope::Instance }];
        Self { identity: Identity::System(part), grants, request_id: None }
    }

    /// The holder of a key.
    #[must_use]
    pub fn of_key(key: &ApiKey) -> Self {
        let scope = key.workspace_id.map_or(Scope::Instance, Scope::Workspace);
        Self {
            identity: Identity::Key { id: key.key_id, name: key.name.clone() },
            grants: vec![Grant { role: key.role, scope }],
            request_id: None,
        }
    }

    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.identity == Identity::Anonymous
    }

    /// The roles it holds, and where.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// What this actor may see.
    #[must_use]
    pub fn sight(&self) -> Sight {
        let mut workspaces: Vec<_> = self
            .grants
            .iter()
            .filter(|grant| grant.role.allows(Permission::ReadCatalog))
            .filter_map(|grant| match grant.scope {
                Scope::Workspace(id) => Some(id),
                Scope::Instance => None,
            })
            .collect();
        workspaces.sort_unstable();
        workspaces.dedup();
        Sight {
            everything: self.may(Permission::ReadCatalog, Scope::Instance),
            internal: !self.is_anonymous(),
            workspaces,
        }
    }

    /// Who it is and in which request, for the audit record.
    #[must_use]
    pub fn trace(&self) -> crate::audit::Trace {
        crate::audit::Trace { actor: self.to_string(), request_id: self.request_id.clone() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Identity::Anonymous => f.write_str("anonymous"),
            Identity::Key { name, .. } => write!(f, "key {name}"),
            Identity::System(part) => write!(f, "system {part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sight_grows_with_the_credential() {
        let workspace = WorkspaceId::new();
        let reader = Actor {
            identity: Identity::System("test"),
            grants: vec![Grant { role: Role::Reader, scope: Scope::Workspace(workspace) }],
            request_id: None,
        };

        assert_eq!(Actor::anonymous().sight(), Sight { everything: false, internal: false, workspaces: vec![] });
        assert_eq!(reader.sight(), Sight { everything: false, internal: true, workspaces: vec![workspace] });
        assert!(Actor::system("seed").sight().everything);
    }
}
