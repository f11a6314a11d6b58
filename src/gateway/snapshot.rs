//! `Snapshot`: all settings of the gateway as one immutable value, with every name followed. Pure.

mod names;
mod parts;
mod route;
mod thing;

pub use parts::{Parts, UnreadPolicy};
pub use route::{Route, asset_of};
pub use thing::{Backend, Policy, Pool, PoolMember};

use super::Credential;
use super::settings::{Owner, PriceSettings};
use crate::auth::Actor;
use crate::base::{BackendId, CredentialId, PolicyId, PoolId, RouteId, Slug, WorkspaceId};
use names::Names;
use std::collections::HashMap;
use std::sync::Arc;

/// All settings of the gateway.
#[derive(Debug, Default)]
pub struct Snapshot {
    backends: HashMap<BackendId, Arc<Backend>>,
    pools: HashMap<PoolId, Arc<Pool>>,
    routes: HashMap<RouteId, Arc<Route>>,
    policies: HashMap<PolicyId, Arc<Policy>>,
    /// Those of workspaces before those of the instance.
    by_model: HashMap<String, Vec<Arc<Route>>>,
    by_rest: HashMap<(String, String), Arc<Route>>,
    prices: Names<PriceSettings>,
    credentials: HashMap<CredentialId, Arc<Credential>>,
    credential_names: Names<Arc<Credential>>,
    workspaces: HashMap<WorkspaceId, Slug>,
    /// Which state of the stored settings this is; grows with every change.
    pub generation: i64,
}

impl Snapshot {
    /// The route that answers this actor for a model: one of its workspaces' before one of the instance. `workspace/alias`
    /// asks for the one of that workspace. What the actor may not call is not there.
    #[must_use]
    pub fn route_for_model(&self, actor: &Actor, model: &str) -> Option<&Arc<Route>> {
        let plain = self.by_model.get(model).into_iter().flatten().find(|route| route.admits(actor));
        plain.or_else(|| {
            let (workspace, alias) = model.split_once('/')?;
            let of_workspace = |route: &&Arc<Route>| {
                route.owner.workspace_name().is_some_and(|name| name.as_str() == workspace) && route.admits(actor)
            };
            self.by_model.get(alias)?.iter().find(of_workspace)
        })
    }

    /// The route behind `/rest/{workspace}/{asset}`, if the actor may call it.
    #[must_use]
    pub fn route_for_rest(&self, actor: &Actor, workspace: &str, asset: &str) -> Option<&Arc<Route>> {
        self.by_rest.get(&(workspace.to_owned(), asset.to_owned())).filter(|route| route.admits(actor))
    }

    /// The aliases this actor may ask for, sorted, each with the route that would answer.
    #[must_use]
    pub fn models(&self, actor: &Actor) -> Vec<(&str, &Arc<Route>)> {
        let mut models: Vec<_> = self
            .by_model
            .iter()
            .filter_map(|(model, routes)| {
                let route = routes.iter().find(|route| !route.settings.disabled && route.admits(actor))?;
                Some((model.as_str(), route))
            })
            .collect();
        models.sort_unstable_by_key(|(model, _)| *model);
        models
    }

    #[must_use]
    pub fn credential(&self, id: CredentialId) -> Option<&Arc<Credential>> {
        self.credentials.get(&id)
    }

    /// The credential of this name that a thing of `owner` may use.
    #[must_use]
    pub fn credential_of(&self, owner: &Owner, name: &str) -> Option<&Arc<Credential>> {
        self.credential_names.of(owner, name)
    }

    #[must_use]
    pub fn backend(&self, id: BackendId) -> Option<&Arc<Backend>> {
        self.backends.get(&id)
    }

    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.pools.get(&id)
    }

    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&Arc<Route>> {
        self.routes.get(&id)
    }

    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Arc<Policy>> {
        self.policies.get(&id)
    }

    /// In no order.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.values()
    }

    /// In no order.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// In no order.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// The routes that belong to an asset of the catalog, by name.
    #[must_use]
    pub fn routes_of_asset(&self, workspace: &str, asset: &str) -> Vec<&Arc<Route>> {
        let mut routes: Vec<_> =
            self.routes.values().filter(|route| route.asset() == Some((workspace, asset))).collect();
        routes.sort_unstable_by(|one, other| (&one.owner, &one.name).cmp(&(&other.owner, &other.name)));
        routes
    }

    /// In no order.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }

    /// The name of a workspace.
    #[must_use]
    pub fn workspace_name(&self, id: WorkspaceId) -> Option<&str> {
        self.workspaces.get(&id).map(Slug::as_str)
    }

    /// What a model costs at a backend: by the backend's own prices, else by those of its owner, else by those of the
    /// instance; among these by what the vendor calls it before its alias.
    ///
    /// Whose route leads to the backend does not matter: a workspace must not make the house's backends cheap, before whose
    /// price the budgets of the instance stand.
    #[must_use]
    pub fn price<'a>(&'a self, backend: &'a Backend, alias: &str) -> Option<&'a PriceSettings> {
        let names = [backend.settings.vendor_model(alias), Some(alias)];
        let of = |owner: &Owner| names.into_iter().flatten().find_map(|name| self.prices.of(owner, name));
        backend.settings.prices.get(alias).or_else(|| of(&backend.owner)).or_else(|| of(&Owner::Instance))
    }
}

#[cfg(test)]
mod tests;
