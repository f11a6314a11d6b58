//! What is known of who calls: for counter keys, conditions and records. The one place that looks into an actor for them.

use crate::auth::{Identity, Scope};
use crate::base::{KeyId, WorkspaceId};
use crate::gateway::exchange::Exchange;
use crate::gateway::limit::{Facts, Whose};
use crate::gateway::settings::{Condition, KeyTemplate, TemplatePart};
use std::cell::OnceCell;
use std::net::IpAddr;

/// An exchange's answers to templates and conditions.
pub struct CallFacts<'a> {
    exchange: &'a Exchange,
    asset: OnceCell<Option<String>>,
}

impl<'a> CallFacts<'a> {
    #[must_use]
    pub fn of(exchange: &'a Exchange) -> Self {
        Self { exchange, asset: OnceCell::new() }
    }

    /// The key that was used.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        match (&self.exchange.caller.key, &self.exchange.caller.identity) {
            (Some(key), _) => Some(key.id),
            (None, Identity::Key { id, .. }) => Some(*id),
            _ => None,
        }
    }

    /// The key that was used, or who calls without one, by an id: names may be given twice.
    #[must_use]
    pub fn caller_id(&self) -> u128 {
        self.key_id().map_or_else(|| self.user_id(), |id| id.0.as_u128())
    }

    /// As `{user}` names it; 0 of who has no id.
    fn user_id(&self) -> u128 {
        match &self.exchange.caller.identity {
            Identity::User { id, .. } => id.0.as_u128(),
            Identity::ServiceAccount { id, .. } => id.0.as_u128(),
            Identity::Key { id, .. } => id.0.as_u128(),
            Identity::Anonymous | Identity::System(_) => 0,
        }
    }

    /// The name of the person or the service account that calls, with a key or without one.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        match &self.exchange.caller.identity {
            Identity::User { name, .. } | Identity::ServiceAccount { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whose the counter of this template is.
    #[must_use]
    pub fn whose(&self, template: &KeyTemplate) -> Whose {
        let has = |part: &TemplatePart| template.parts().contains(part);
        let (key, user) = (has(&TemplatePart::Key), has(&TemplatePart::User));
        Whose { key: if key { self.caller_id() } else { 0 }, user: if user { self.user_id() } else { 0 } }
    }

    /// The workspace that is charged: the caller's only one, else the route's where the caller belongs to it, else the
    /// caller's first.
    ///
    /// A role for one asset says what its holder may call, and not where it belongs: it counts where there is no role
    /// in a workspace.
    #[must_use]
    pub fn workspace_id(&self) -> Option<WorkspaceId> {
        let (mut of_workspaces, mut of_assets) = (Vec::new(), Vec::new());
        for grant in self.exchange.caller.grants() {
            match grant.scope {
                Scope::Workspace(id) => of_workspaces.push(id),
                Scope::Asset(id, _) => of_assets.push(id),
                Scope::Instance => {}
            }
        }
        let mut ids = if of_workspaces.is_empty() { of_assets } else { of_workspaces };
        ids.sort_unstable();
        ids.dedup();
        let of_route = self.exchange.route.owner.workspace_id();
        match ids.as_slice() {
            [] => of_route,
            [only] => Some(*only),
            several => of_route.filter(|id| several.contains(id)).or(several.first().copied()),
        }
    }

    /// Whether a policy with this condition applies.
    #[must_use]
    pub fn meets(&self, condition: &Condition) -> bool {
        let listed = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|one| one == value))
        };
        let workspace = self.workspace();
        listed(&condition.workspaces, workspace)
            && listed(&condition.keys, self.key())
            && listed(&condition.users, self.user())
            && (condition.groups.is_empty()
                || self.exchange.caller.groups().iter().any(|group| condition.groups.contains(group)))
            && listed(&condition.models, self.model())
            && listed(&condition.routes, self.route())
            && (condition.except_workspaces.is_empty() || !listed(&condition.except_workspaces, workspace))
    }
}

impl Facts for CallFacts<'_> {
    fn key(&self) -> Option<&str> {
        match (&self.exchange.caller.key, &self.exchange.caller.identity) {
            (Some(key), _) => Some(&key.name),
            (None, Identity::Key { name, .. }) => Some(name),
            // A session has no key: what counts by key counts by who it is.
            _ => self.exchange.caller.name(),
        }
    }

    fn user(&self) -> Option<&str> {
        self.person().or_else(|| self.key())
    }

    fn group(&self) -> Option<&str> {
        self.exchange.caller.groups().first().map(String::as_str)
    }

    fn workspace(&self) -> Option<&str> {
        let id = self.workspace_id()?;
        self.exchange.snapshot.workspace_name(id)
    }

    fn route(&self) -> Option<&str> {
        Some(&self.exchange.route.name)
    }

    fn model(&self) -> Option<&str> {
        Some(self.exchange.model())
    }

    fn asset(&self) -> Option<&str> {
        let joined = || self.exchange.route.asset().map(|(workspace, name)| format!("{workspace}/{name}"));
        self.asset.get_or_init(joined).as_deref()
    }

    fn ip(&self) -> Option<IpAddr> {
        Some(self.exchange.ip)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.exchange.headers.get(name)?.to_str().ok()
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.exchange.caller.claim(name)
    }
}
