//! The roles, what each may do, and the one question: may this actor do that there?

use super::actor::Actor;
use crate::base::{AssetId, Problem, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// See internal and private assets of a workspace, and what waits for approval there.
    ReadCatalog,
    /// Register assets, change and delete them, with versions, definitions and deployments.
    WriteCatalog,
    /// Change a workspace's title, its environments and metadata schemas.
    ManageWorkspace,
    /// Call assets through the gateway, and make keys for it.
    CallGateway,
    /// Decide on approvals, and comment on them.
    ReviewAssets,
    /// Read the audit record, governance findings, and the prompts and answers that the gateway keeps.
    ReadAudit,
    /// Read who used what, and what it cost.
    ReadUsage,
    /// Say who holds which role, which approval is needed, what is imported from upstream, who is told by webhook.
    GovernWorkspace,
    /// Make and revoke keys that belong to nobody or to service accounts.
    ManageKeys,
    /// Backends, pools, routes, limits and their credentials.
    ManageGateway,
    /// Make workspaces, look after people and groups, rebuild the index, read what belongs to no workspace.
    ManageInstance,
}

/// A named set of permissions.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    Reader,
    Consumer,
    Publisher,
    Reviewer,
    Compliance,
    Administrator,
}

/// Where a role holds, or where a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Instance,
    Workspace(WorkspaceId),
    Asset(WorkspaceId, AssetId),
}

/// A role, where it holds, and how it came to its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub scope: Scope,
    /// The group through which it is held; none when it was given to the holder itself.
    pub group: Option<Arc<str>>,
}

/// Which role may do what: the only place that says so.
const ALLOWED: &[(Role, &[Permission])] = {
    use Permission::*;
    &[
        (Role::Reader, &[ReadCatalog]),
        (Role::Consumer, &[ReadCatalog, CallGateway]),
        (Role::Publisher, &[ReadCatalog, CallGateway, WriteCatalog, ManageWorkspace]),
        (Role::Reviewer, &[ReadCatalog, ReviewAssets]),
        (Role::Compliance, &[ReadCatalog, ReadAudit, ReadUsage]),
        (Role::Administrator, Permission::ALL),
    ]
};

impl Permission {
    pub const ALL: &[Self] = &[
        Self::ReadCatalog,
        Self::WriteCatalog,
        Self::ManageWorkspace,
        Self::CallGateway,
        Self::ReviewAssets,
        Self::ReadAudit,
        Self::ReadUsage,
        Self::GovernWorkspace,
        Self::ManageKeys,
        Self::ManageGateway,
        Self::ManageInstance,
    ];

    /// The roles that hold it, weakest first.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        ALLOWED.iter().filter(move |(_, held)| held.contains(&self)).map(|(role, _)| *role)
    }

    /// What it lets its holder do, for people.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::ReadCatalog => "see internal and private assets, and what waits for approval",
            Self::WriteCatalog => "register, change and delete assets, versions, definitions, deployments",
            Self::ManageWorkspace => "change the workspace's title, environments and metadata schemas",
            Self::CallGateway => "call assets through the gateway",
            Self::ReviewAssets => "comment and decide on approvals",
            Self::ReadAudit => "read the audit record, findings, and prompts that are kept",
            Self::ReadUsage => "read who used what, and what it cost",
            Self::GovernWorkspace => "give roles, ask for approval, import from upstream, tell webhooks",
            Self::ManageKeys => "make and revoke keys that are not one's own",
            Self::ManageGateway => "backends, pools, routes, limits and their credentials",
            Self::ManageInstance => "workspaces, people and groups, the index",
        }
    }

    /// As it is written in answers: `read-catalog`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadCatalog => "read-catalog",
            Self::WriteCatalog => "write-catalog",
            Self::ManageWorkspace => "manage-workspace",
            Self::CallGateway => "call-gateway",
            Self::ReviewAssets => "review-assets",
            Self::ReadAudit => "read-audit",
            Self::ReadUsage => "read-usage",
            Self::GovernWorkspace => "govern-workspace",
            Self::ManageKeys => "manage-keys",
            Self::ManageGateway => "manage-gateway",
            Self::ManageInstance => "manage-instance",
        }
    }
}

impl Role {
    pub const ALL: &[Self] =
        &[Self::Reader, Self::Consumer, Self::Publisher, Self::Reviewer, Self::Compliance, Self::Administrator];

    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        ALLOWED.iter().any(|(role, permissions)| *role == self && permissions.contains(&permission))
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Consumer => "consumer",
            Self::Publisher => "publisher",
            Self::Reviewer => "reviewer",
            Self::Compliance => "compliance",
            Self::Administrator => "administrator",
        }
    }

    /// What its holder may do, for people who choose one.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Reader => "sees what is internal and private",
            Self::Consumer => "sees it, and may call it through the gateway",
            Self::Publisher => "registers and changes assets, and may call them",
            Self::Reviewer => "sees what waits, and approves or rejects it",
            Self::Compliance => "reads the audit record, findings and usage",
            Self::Administrator => "may do everything",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .iter()
            .copied()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole { word: text.to_owned() })
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no role; choose {}", names(Role::ALL))]
pub struct UnknownRole {
    pub word: String,
}

impl Scope {
    /// Whether what holds at `self` holds at `other`: the instance everywhere, a workspace for its assets.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        match (self, other) {
            (Self::Instance, _) => true,
            (Self::Workspace(own), Self::Workspace(asked) | Self::Asset(asked, _)) => own == asked,
            (Self::Asset(_, own), Self::Asset(_, asked)) => own == asked,
            _ => false,
        }
    }

    #[must_use]
    pub fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Instance => None,
            Self::Workspace(id) | Self::Asset(id, _) => Some(id),
        }
    }
}

impl Grant {
    /// A role given to the holder itself.
    #[must_use]
    pub fn new(role: Role, scope: Scope) -> Self {
        Self { role, scope, group: None }
    }

    /// Whether this grant gives `permission` at `scope`.
    #[must_use]
    pub fn covers(&self, permission: Permission, scope: Scope) -> bool {
        self.role.allows(permission) && self.scope.contains(scope)
    }
}

/// A permission that was asked for and not held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who} may not do this here; it takes the role {}", names(.needs))]
pub struct Refused {
    pub who: String,
    pub anonymous: bool,
    pub permission: Permission,
    /// The roles that would do.
    pub needs: Vec<Role>,
    /// Whether a role is held and only the key's scopes stand in the way.
    pub by_key_scope: bool,
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

impl Actor {
    /// Whether the actor may do this there; pure. The one place that decides.
    #[must_use]
    pub fn may(&self, permission: Permission, scope: Scope) -> bool {
        self.grant_for(permission, scope).is_some() && self.key_allows(permission, scope)
    }

    /// The grant because of which the actor may do this there, whatever its key narrows.
    #[must_use]
    pub fn grant_for(&self, permission: Permission, scope: Scope) -> Option<&Grant> {
        self.grants().iter().find(|grant| grant.covers(permission, scope))
    }

    /// Whether the actor may do this in some place or other.
    #[must_use]
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.grants().iter().any(|grant| grant.role.allows(permission) && self.key_allows(permission, grant.scope))
    }

    /// # Errors
    /// [`Refused`] when the actor may do this nowhere at all.
    pub fn require_somewhere(&self, permission: Permission) -> Result<(), Refused> {
        match self.may_somewhere(permission) {
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
        Err(Refused {
            who: self.to_string(),
            anonymous: self.is_anonymous(),
            permission,
            needs: permission.roles().collect(),
            by_key_scope: self.grant_for(permission, scope).is_some(),
        })
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        if refused.anonymous {
            return Self::unauthenticated("This needs a key, or signing in.");
        }
        let roles: Vec<_> = refused.needs.iter().map(|role| role.as_str()).collect();
        let problem = Self::forbidden(format!("{} may not do this here.", refused.who));
        let problem = if refused.by_key_scope {
            problem
                .with_kind("key-scope")
                .with_help("Your role would do, but this key is not meant for it; use another key.")
        } else {
            problem.with_help(format!("The role {} would do; an administrator can give it.", roles.join(" or ")))
        };
        problem.with("permission", refused.permission.as_str()).with("roles", roles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(role: Role, scope: Scope) -> Grant {
        Grant::new(role, scope)
    }

    #[test]
    fn a_role_of_one_workspace_does_nothing_in_another() {
        let (here, there) = (WorkspaceId::new(), WorkspaceId::new());
        let publisher = grant(Role::Publisher, Scope::Workspace(here));

        assert!(publisher.covers(Permission::WriteCatalog, Scope::Workspace(here)));
        assert!(publisher.covers(Permission::WriteCatalog, Scope::Asset(here, AssetId::new())));
        assert!(!publisher.covers(Permission::WriteCatalog, Scope::Workspace(there)));
        assert!(!publisher.covers(Permission::WriteCatalog, Scope::Instance));
        assert!(!publisher.covers(Permission::GovernWorkspace, Scope::Workspace(here)));
    }

    #[test]
    fn a_role_for_one_asset_does_nothing_for_its_neighbours() {
        let (workspace, own, other) = (WorkspaceId::new(), AssetId::new(), AssetId::new());
        let publisher = grant(Role::Publisher, Scope::Asset(workspace, own));

        assert!(publisher.covers(Permission::WriteCatalog, Scope::Asset(workspace, own)));
        assert!(!publisher.covers(Permission::WriteCatalog, Scope::Asset(workspace, other)));
        assert!(!publisher.covers(Permission::WriteCatalog, Scope::Workspace(workspace)));
    }

    #[test]
    fn an_administrator_may_everything_everywhere() {
        let admin = grant(Role::Administrator, Scope::Instance);

        for &permission in Permission::ALL {
            assert!(admin.covers(permission, Scope::Workspace(WorkspaceId::new())), "{permission:?}");
        }
    }

    #[test]
    fn the_documented_table_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ACCESS.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (head, rest) = page.split_once("<!-- roles -->\n").unwrap();
        let (_, tail) = rest.split_once("<!-- /roles -->").unwrap();
        let current = format!("{head}<!-- roles -->\n{}<!-- /roles -->{tail}", table());

        if std::env::var_os("WHARFINGER_UPDATE_DOCS").is_some() {
            std::fs::write(path, &current).unwrap();
        }

        assert_eq!(
            page, current,
            "docs/ACCESS.md is not current: WHARFINGER_UPDATE_DOCS=1 cargo test --lib permission"
        );
    }

    /// Permissions down, roles across.
    fn table() -> String {
        let roles: String = Role::ALL.iter().map(|role| format!(" {} |", role.as_str())).collect();
        let mut table = format!("| |{roles} |\n| --- |{} --- |\n", " :-: |".repeat(Role::ALL.len()));
        for permission in Permission::ALL {
            let marks: String =
                Role::ALL.iter().map(|role| if role.allows(*permission) { " yes |" } else { " |" }).collect();
            table += &format!("| `{}` |{marks} {} |\n", permission.as_str(), permission.description());
        }
        table
    }

    #[test]
    fn nobody_who_writes_decides_on_it_but_an_administrator() {
        let both = Role::ALL
            .iter()
            .filter(|role| role.allows(Permission::WriteCatalog) && role.allows(Permission::ReviewAssets));

        assert_eq!(both.copied().collect::<Vec<_>>(), [Role::Administrator]);
    }

    #[test]
    fn a_refusal_names_the_roles_that_would_do() {
        let problem = Problem::from(Refused {
            who: "key ci".into(),
            anonymous: false,
            permission: Permission::WriteCatalog,
            needs: vec![Role::Publisher],
            by_key_scope: false,
        });

        assert_eq!(problem.status.as_u16(), 403);
        assert!(problem.help.unwrap().contains("publisher"));
    }
}
