//! The roles, what each may do, and the one question: may this actor do that there?

use super::actor::{Actor, Identity};
use crate::base::{Problem, WorkspaceId};
use serde::{Deserialize, Serialize};

/// What can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// See internal and private assets of a workspace.
    ReadCatalog,
    /// Register assets, change and delete them, with versions, definitions and deployments.
    WriteCatalog,
    /// Change a workspace itself, its environments and metadata schemas.
    ManageWorkspace,
    /// Make and revoke keys.
    ManageKeys,
    /// Make workspaces, rebuild the index, read what belongs to no workspace.
    ManageInstance,
}

/// A named set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    Reader,
    Publisher,
    Administrator,
}

/// Where a role holds, or where a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Instance,
    Workspace(WorkspaceId),
}

/// A role and where it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub scope: Scope,
}

/// Which role may do what: the only place that says so.
const ALLOWED: &[(Role, &[Permission])] = &[
    (Role::Reader, &[Permission::ReadCatalog]),
    (Role::Publisher, &[Permission::ReadCatalog, Permission::WriteCatalog, Permission::ManageWorkspace]),
    (
        Role::Administrator,
        &[
            Permission::ReadCatalog,
            Permission::WriteCatalog,
            Permission::ManageWorkspace,
            Permission::ManageKeys,
            Permission::ManageInstance,
        ],
    ),
];

impl Role {
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        ALLOWED.iter().any(|(role, permissions)| *role == self && permissions.contains(&permission))
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Publisher => "publisher",
            Self::Administrator => "administrator",
        }
    }
}

impl Grant {
    /// Whether this grant gives `permission` at `scope`; a grant for the instance holds in every workspace.
    #[must_use]
    pub fn covers(self, permission: Permission, scope: Scope) -> bool {
        self.role.allows(permission) && (self.scope == Scope::Instance || self.scope == scope)
    }
}

/// A permission that was asked for and not held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who} may not do this here; it takes the role {}", names(.needs))]
pub struct Refused {
    pub who: String,
    pub anonymous: bool,
    /// The roles that would do.
    pub needs: Vec<Role>,
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

impl Actor {
    /// Whether the actor may do this there; pure.
    #[must_use]
    pub fn may(&self, permission: Permission, scope: Scope) -> bool {
        self.grants.iter().any(|grant| grant.covers(permission, scope))
    }

    /// # Errors
    /// [`Refused`] when the actor may do this nowhere at all.
    pub fn require_somewhere(&self, permission: Permission) -> Result<(), Refused> {
        match self.grants.iter().any(|grant| grant.role.allows(permission)) {
            true => Ok(()),
            false => self.require(permission, Scope::Instance),
        }
    }

    /// # Errors
    /// [`Refused`] names the roles that would do.
    pub fn require(&self, permission: Permission, scope: Scope) -> Result<(), Refused> {
        if self.may(permission, scope) {
            return Ok(());
        }
        let needs = ALLOWED.iter().filter(|(_, held)| held.contains(&permission)).map(|(role, _)| *role).collect();
        Err(Refused { who: self.to_string(), anonymous: self.identity == Identity::Anonymous, needs })
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        if refused.anonymous {
            return Self::unauthenticated("This needs a key.");
        }
        let roles: Vec<_> = refused.needs.iter().map(|role| role.as_str()).collect();
        Self::forbidden(format!("{} may not do this here.", refused.who))
            .with_help(format!("A key with the role {} would do; an administrator can make one.", roles.join(" or ")))
            .with("roles", roles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_one_workspace_does_nothing_in_another() {
        let (here, there) = (WorkspaceId::new(), WorkspaceId::new());
        let publisher = Grant { role: Role::Publisher, scope: Scope::Workspace(here) };

        assert!(publisher.covers(Permission::WriteCatalog, Scope::Workspace(here)));
        assert!(!publisher.covers(Permission::WriteCatalog, Scope::Workspace(there)));
        assert!(!publisher.covers(Permission::WriteCatalog, Scope::Instance));
        assert!(!publisher.covers(Permission::ManageKeys, Scope::Workspace(here)));
    }

    #[test]
    fn an_administrator_may_everything_everywhere() {
        let admin = Grant { role: Role::Administrator, scope: Scope::Instance };

        for permission in
            [Permission::ReadCatalog, Permission::WriteCatalog, Permission::ManageKeys, Permission::ManageInstance]
        {
            assert!(admin.covers(permission, Scope::Workspace(WorkspaceId::new())));
        }
    }

    #[test]
    fn a_refusal_names_the_roles_that_would_do() {
        let problem = Problem::from(Refused { who: "key ci".into(), anonymous: false, needs: vec![Role::Publisher] });

        assert_eq!(problem.status.as_u16(), 403);
        assert!(problem.help.unwrap().contains("publisher"));
    }
}
