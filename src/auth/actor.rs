//! `Actor`: who is asking, with the roles it holds; every verb takes one first.

use super::key_scope::KeyScope;
use super::permission::{Grant, Permission, Role, Scope};
use super::sight::Sight;
use crate::base::{KeyId, ServiceAccountId, UserId};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub identity: Identity,
    /// The key it came with, where it came with one.
    pub key: Option<KeyRef>,
    pub(super) grants: Arc<[Grant]>,
    /// Names of the groups it belongs to, sorted.
    pub(super) groups: Arc<[String]>,
    /// What the token it came with says of it, as texts; empty where it came with none.
    pub(super) claims: Arc<BTreeMap<String, String>>,
    /// What its key may be used for; empty: everything.
    pub(super) scopes: Arc<[KeyScope]>,
    /// Follows from grants, groups and scopes; clones share it.
    outlook: Arc<Outlook>,
    /// Of the request in which the actor asks; goes into the audit record.
    pub request_id: Option<Arc<str>>,
    /// Where the request came from, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    Anonymous,
    User {
        id: UserId,
        name: Arc<str>,
    },
    ServiceAccount {
        id: ServiceAccountId,
        name: Arc<str>,
    },
    /// A key that belongs to nobody and has a role of its own.
    Key {
        id: KeyId,
        name: Arc<str>,
    },
    /// The program itself: seeding, background work.
    System(Arc<str>),
}

/// A key as the actor's companion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRef {
    pub id: KeyId,
    pub name: Arc<str>,
}

/// What an actor may see, worked out when it is first asked for: most actors ask many times, some never.
#[derive(Debug, Default)]
struct Outlook {
    sight: OnceLock<Sight>,
    mark: OnceLock<String>,
}

/// Actors who are alike see alike; whether one has looked already is no difference.
impl PartialEq for Outlook {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Outlook {}

impl Actor {
    /// Somebody without a credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::of(Identity::Anonymous, Vec::new())
    }

    /// The program itself, allowed everything; `part` says which part of it.
    #[must_use]
    pub fn system(part: impl Into<Arc<str>>) -> Self {
        Self::of(Identity::System(part.into()), vec![Grant::new(Role::Administrator, Scope::Instance)])
    }

    /// Somebody with these roles, in no group and without a key.
    #[must_use]
    pub fn of(identity: Identity, grants: Vec<Grant>) -> Self {
        Self {
            identity,
            key: None,
            grants: grants.into(),
            groups: Arc::default(),
            claims: Arc::default(),
            scopes: Arc::default(),
            outlook: Arc::default(),
            request_id: None,
            address: None,
        }
    }

    #[must_use]
    pub(super) fn in_groups(mut self, mut groups: Vec<String>) -> Self {
        groups.sort_unstable();
        self.groups = groups.into();
        self.outlook = Arc::default();
        self
    }

    #[must_use]
    pub(super) fn with_claims(mut self, claims: BTreeMap<String, String>) -> Self {
        self.claims = claims.into();
        self
    }

    /// What its token says under this name.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).map(String::as_str)
    }

    #[must_use]
    pub(super) fn with_key(mut self, key: KeyRef, scopes: Vec<KeyScope>) -> Self {
        self.key = Some(key);
        self.with_scopes(scopes)
    }

    #[must_use]
    pub(super) fn with_scopes(mut self, scopes: Vec<KeyScope>) -> Self {
        self.scopes = scopes.into();
        self.outlook = Arc::default();
        self
    }

    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.identity == Identity::Anonymous
    }

    /// The person, where it is one.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.identity {
            Identity::User { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The name under which owners and others know the actor; none for anonymous callers.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.identity {
            Identity::Anonymous => None,
            Identity::User { name, .. }
            | Identity::ServiceAccount { name, .. }
            | Identity::Key { name, .. }
            | Identity::System(name) => Some(name),
        }
    }

    /// The roles it holds, and where; what its key narrows is not taken off.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Names of the groups it belongs to, sorted.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// What its key may be used for; empty: everything.
    #[must_use]
    pub fn key_scopes(&self) -> &[KeyScope] {
        &self.scopes
    }

    /// What this actor may see.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        self.outlook.sight.get_or_init(|| self.look())
    }

    /// [`Sight::mark`] of what this actor may see.
    #[must_use]
    pub fn sight_mark(&self) -> &str {
        self.outlook.mark.get_or_init(|| self.sight().mark())
    }

    fn look(&self) -> Sight {
        let reads = self.scopes.is_empty() || self.scopes.contains(&KeyScope::Read);
        let (mut workspaces, mut assets) = (Vec::new(), Vec::new());
        for grant in self.grants.iter().filter(|grant| grant.role.allows(Permission::ReadCatalog)) {
            match grant.scope {
                Scope::Workspace(id) if self.key_allows(Permission::ReadCatalog, grant.scope) => workspaces.push(id),
                Scope::Asset(_, id) if self.key_allows(Permission::ReadCatalog, grant.scope) => assets.push(id),
                // A key for publishing in one workspace shows its holder, who sees all, that one.
                Scope::Instance => workspaces.extend(self.scopes.iter().filter_map(|scope| match scope {
                    KeyScope::Publish(place) => *place,
                    _ => None,
                })),
                _ => {}
            }
        }
        workspaces.sort_unstable();
        workspaces.dedup();
        assets.sort_unstable();
        assets.dedup();
        Sight {
            everything: self.may(Permission::ReadCatalog, Scope::Instance),
            internal: reads && !self.is_anonymous(),
            workspaces,
            groups: if reads { self.groups.to_vec() } else { Vec::new() },
            assets,
        }
    }

    /// Who it is, for good: names are for people and may be taken by another after a while.
    #[must_use]
    pub fn stable_id(&self) -> String {
        match &self.key {
            Some(key) => format!("{}/key:{}", self.identity_id(), key.id),
            None => self.identity_id(),
        }
    }

    /// The same for all keys and sessions of somebody, and for nobody else.
    #[must_use]
    pub fn identity_id(&self) -> String {
        match &self.identity {
            Identity::Anonymous => "anonymous".to_owned(),
            Identity::User { id, .. } => format!("user:{id}"),
            Identity::ServiceAccount { id, .. } => format!("service-account:{id}"),
            Identity::Key { id, .. } => format!("key:{id}"),
            Identity::System(part) => format!("system:{part}"),
        }
    }

    /// Who it is and in which request, for the audit record.
    #[must_use]
    pub fn trace(&self) -> crate::audit::Trace {
        crate::audit::Trace {
            actor: self.to_string(),
            actor_id: match &self.identity {
                Identity::Anonymous => None,
                Identity::User { id, .. } => Some(format!("user:{id}")),
                Identity::ServiceAccount { id, .. } => Some(format!("service-account:{id}")),
                Identity::Key { id, .. } => Some(format!("key:{id}")),
                Identity::System(part) => Some(format!("system:{part}")),
            },
            credential: self.key.as_ref().map(|key| format!("key:{}", key.id)),
            address: self.address,
            request_id: self.request_id.as_deref().map(str::to_owned),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Identity::Anonymous => f.write_str("anonymous"),
            Identity::User { name, .. } => write!(f, "user {name}"),
            Identity::ServiceAccount { name, .. } => write!(f, "service account {name}"),
            Identity::Key { name, .. } => return write!(f, "key {name}"),
            Identity::System(part) => write!(f, "system {part}"),
        }?;
        match &self.key {
            Some(key) => write!(f, " with key {}", key.name),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AssetId, WorkspaceId};

    fn somebody(role: Role, scope: Scope) -> Actor {
        let identity = Identity::User { id: UserId::new(), name: "anna".into() };
        Actor::of(identity, vec![Grant::new(role, scope)])
    }

    fn with_scopes(actor: Actor, scopes: Vec<KeyScope>) -> Actor {
        actor.with_key(KeyRef { id: KeyId::new(), name: "laptop".into() }, scopes)
    }

    #[test]
    fn sight_grows_with_the_credential() {
        let (workspace, asset) = (WorkspaceId::new(), AssetId::new());
        let reader = somebody(Role::Reader, Scope::Workspace(workspace));
        let of_one = somebody(Role::Publisher, Scope::Asset(workspace, asset));

        assert_eq!(*Actor::anonymous().sight(), Sight::of_the_public());
        assert_eq!(*reader.sight(), Sight { internal: true, workspaces: vec![workspace], ..Sight::of_the_public() });
        assert_eq!(*of_one.sight(), Sight { internal: true, assets: vec![asset], ..Sight::of_the_public() });
        assert!(Actor::system("seed").sight().everything);
    }

    #[test]
    fn a_key_shows_no_more_than_it_is_meant_for() {
        let (here, there) = (WorkspaceId::new(), WorkspaceId::new());
        let admin = || somebody(Role::Administrator, Scope::Instance).in_groups(vec!["ops".into()]);

        let calling = with_scopes(admin(), vec![KeyScope::Call(None)]);
        let publishing = with_scopes(admin(), vec![KeyScope::Publish(Some(here))]);
        let discovering = with_scopes(admin(), vec![KeyScope::Discover]);

        assert_eq!(*calling.sight(), Sight::of_the_public());
        assert_eq!(*publishing.sight(), Sight { workspaces: vec![here], ..Sight::of_the_public() });
        assert!(publishing.may(Permission::WriteCatalog, Scope::Workspace(here)));
        assert!(!publishing.may(Permission::WriteCatalog, Scope::Workspace(there)));
        assert_eq!(*discovering.sight(), Sight::of_the_public());
        assert!(discovering.for_discovery().sight().everything);
    }
}
