//! `Route`: what callers ask for, the pool behind it, the policies in between, and who may call it.

use super::thing::{Policy, Pool};
use crate::auth::{Actor, Permission, Scope};
use crate::base::{RouteId, WorkspaceId};
use crate::gateway::settings::{Owner, RouteSettings, Serves};
use std::sync::Arc;

/// A route, with its pool and all policies that reach it: those of the instance, those of its workspace, its own.
#[derive(Debug)]
pub struct Route {
    pub id: RouteId,
    pub owner: Owner,
    pub name: String,
    pub settings: RouteSettings,
    pub pool: Arc<Pool>,
    pub policies: Vec<Arc<Policy>>,
    pub(super) callers: Admitted,
    /// Its asset, where the catalog has it.
    pub(super) asset_scope: Option<Scope>,
}

/// [`Callers`](crate::gateway::settings::Callers) with every name followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    Anywhere,
    Workspaces(Vec<WorkspaceId>),
}

impl Route {
    /// Whether this actor may call it: with its role and its key, here or for the asset it belongs to.
    #[must_use]
    pub fn admits(&self, actor: &Actor) -> bool {
        actor.key_calls(&self.qualified_name()) && (self.reaches(actor) || self.gives_asset_to(actor))
    }

    fn reaches(&self, actor: &Actor) -> bool {
        match &self.callers {
            // A role for one asset is one for that asset and not for what everybody may call.
            Admitted::Anywhere => actor.grants().iter().any(|grant| {
                !matches!(grant.scope, Scope::Asset(..))
                    && grant.role.allows(Permission::CallGateway)
                    && actor.key_allows(Permission::CallGateway, grant.scope)
            }),
            Admitted::Workspaces(ids) => ids.iter().any(|id| actor.may(Permission::CallGateway, Scope::Workspace(*id))),
        }
    }

    fn gives_asset_to(&self, actor: &Actor) -> bool {
        self.asset_scope.is_some_and(|scope| actor.may(Permission::CallGateway, scope))
    }

    /// `chat`, or `team/chat` of a workspace's: what the scope of a key calls it.
    #[must_use]
    pub fn qualified_name(&self) -> String {
        match self.owner.workspace_name() {
            Some(workspace) => format!("{workspace}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The aliases it answers to; none of a route to a REST API.
    #[must_use]
    pub fn models(&self) -> &[String] {
        match &self.settings.serves {
            Serves::Models(models) => models,
            Serves::Rest(_) => &[],
        }
    }

    /// The alias of its own that a caller means, who may write the workspace before it: prices, conditions and counters know
    /// that one alone.
    #[must_use]
    pub fn alias<'a>(&self, asked: &'a str) -> &'a str {
        let plain = || asked.split_once('/').map(|(_, alias)| alias).filter(|alias| self.answers_to(alias));
        if self.answers_to(asked) { asked } else { plain().unwrap_or(asked) }
    }

    fn answers_to(&self, alias: &str) -> bool {
        self.models().iter().any(|model| model == alias)
    }

    /// The catalog asset it belongs to, as workspace and name.
    #[must_use]
    pub fn asset(&self) -> Option<(&str, &str)> {
        asset_of(&self.owner, &self.settings)
    }
}

/// The catalog asset a route belongs to, as workspace and name.
#[must_use]
pub fn asset_of<'a>(owner: &'a Owner, settings: &'a RouteSettings) -> Option<(&'a str, &'a str)> {
    let named = match (&settings.asset, &settings.serves) {
        (Some(asset), _) | (None, Serves::Rest(asset)) => asset.as_str(),
        (None, Serves::Models(_)) => return None,
    };
    match owner.workspace_name() {
        Some(workspace) => Some((workspace.as_str(), named)),
        None => named.split_once('/'),
    }
}
