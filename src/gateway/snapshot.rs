//! `Snapshot`: all settings of the gateway as one immutable value, with every name followed. Pure.

use super::Credential;
use super::settings::{
    BackendSettings, Callers, Entry, Owner, PolicySettings, PoolSettings, PriceSettings, Reach, RouteSettings, Serves,
};
use crate::auth::{Actor, Permission, Scope};
use crate::base::{
    AssetId, BackendId, CredentialId, FieldError, PolicyId, PoolId, PriceId, RouteId, Slug, WorkspaceId,
};
use std::collections::HashMap;
use std::sync::Arc;

/// A backend, with its credential at hand.
#[derive(Debug)]
pub struct Backend {
    pub id: BackendId,
    pub owner: Owner,
    pub name: String,
    pub revision: i64,
    pub settings: BackendSettings,
    pub url: url::Url,
    pub credential: Option<Arc<Credential>>,
}

/// A pool, with its backends at hand, in the order in which they were written.
#[derive(Debug)]
pub struct Pool {
    pub id: PoolId,
    pub owner: Owner,
    pub name: String,
    pub settings: PoolSettings,
    pub members: Vec<PoolMember>,
}

/// A backend in a pool.
#[derive(Clone, Debug)]
pub struct PoolMember {
    pub backend: Arc<Backend>,
    pub priority: u32,
    pub weight: u32,
}

/// A policy.
#[derive(Debug)]
pub struct Policy {
    pub id: PolicyId,
    pub owner: Owner,
    pub name: String,
    pub revision: i64,
    pub settings: PolicySettings,
}

/// A route, with its pool and all policies that reach it: those of the instance, those of its workspace, its own.
#[derive(Debug)]
pub struct Route {
    pub id: RouteId,
    pub owner: Owner,
    pub name: String,
    pub settings: RouteSettings,
    pub pool: Arc<Pool>,
    pub policies: Vec<Arc<Policy>>,
    callers: Admitted,
    /// Its asset, where the catalog has it.
    asset_scope: Option<Scope>,
}

/// [`Callers`] with every name followed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Admitted {
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
    prices: HashMap<String, PriceSettings>,
    credentials: HashMap<CredentialId, Arc<Credential>>,
    credential_names: Names<Arc<Credential>>,
    workspaces: HashMap<WorkspaceId, Slug>,
    /// Which state of the stored settings this is; grows with every change.
    pub generation: i64,
}

/// What a snapshot is made of.
#[derive(Debug, Default)]
pub struct Parts {
    pub generation: i64,
    pub workspaces: Vec<(WorkspaceId, Slug)>,
    /// Those that routes belong to, by the names of workspace and asset.
    pub assets: HashMap<(String, String), (WorkspaceId, AssetId)>,
    pub credentials: Vec<(Owner, Arc<Credential>)>,
    pub backends: Vec<Entry<BackendId, BackendSettings>>,
    pub pools: Vec<Entry<PoolId, PoolSettings>>,
    pub routes: Vec<Entry<RouteId, RouteSettings>>,
    pub policies: Vec<Entry<PolicyId, PolicySettings>>,
    /// Named by their model: an alias, or what a vendor calls it.
    pub prices: Vec<Entry<PriceId, PriceSettings>>,
}

impl Snapshot {
    /// The snapshot of these parts, and what is wrong with them: a thing that names what is not there is left out, so
    /// that one mistake in the store costs one route and not all.
    #[must_use]
    pub fn from_parts(parts: Parts) -> (Self, Vec<FieldError>) {
        let mut wrong = Vec::new();
        let mut snapshot = Self { generation: parts.generation, ..Self::default() };
        let mut complain = |owner: &Owner, noun: &str, name: &str, message: String| {
            let place = owner.workspace_name().map(|workspace| format!("{workspace}/")).unwrap_or_default();
            wrong.push(FieldError::new(format!("{noun} {place}{name}"), message));
        };

        snapshot.credentials = parts.credentials.iter().map(|(_, one)| (one.id, one.clone())).collect();
        let credentials: Names<Arc<Credential>> =
            parts.credentials.into_iter().map(|(owner, one)| (owner, one.name.clone(), one)).collect();
        let mut backends = Names::default();
        for Entry { id, owner, name, revision, settings } in parts.backends {
            let url = match settings.url.parse() {
                Ok(url) => url,
                Err(error) => {
                    complain(&owner, "backend", &name, format!("its URL cannot be read: {error}"));
                    continue;
                }
            };
            let credential = match &settings.credential {
                None => None,
                // Its owner's own only; see the check of backends.
                Some(named) => match credentials.of(&owner, named) {
                    Some(found) => Some(found.clone()),
                    None => {
                        complain(&owner, "backend", &name, format!("there is no credential {named}"));
                        continue;
                    }
                },
            };
            let backend =
                Arc::new(Backend { id, owner: owner.clone(), name: name.clone(), revision, settings, url, credential });
            snapshot.backends.insert(id, backend.clone());
            backends.add(owner, name, backend);
        }

        let mut pools = Names::default();
        for Entry { id, owner, name, settings, .. } in parts.pools {
            let mut members = Vec::new();
            for member in &settings.members {
                match backends.find(&owner, &member.backend) {
                    Some(backend) => members.push(PoolMember {
                        backend: backend.clone(),
                        priority: member.priority,
                        weight: member.weight,
                    }),
                    None => complain(&owner, "pool", &name, format!("there is no backend {}", member.backend)),
                }
            }
            if members.is_empty() {
                complain(&owner, "pool", &name, "it has no members".to_owned());
                continue;
            }
            let pool = Arc::new(Pool { id, owner: owner.clone(), name: name.clone(), settings, members });
            snapshot.pools.insert(id, pool.clone());
            pools.add(owner, name, pool);
        }

        let mut policies = Names::default();
        let mut reaching_all = Vec::new();
        for Entry { id, owner, name, revision, settings } in parts.policies {
            let policy = Arc::new(Policy { id, owner: owner.clone(), name: name.clone(), revision, settings });
            if policy.settings.reach == Reach::All {
                reaching_all.push(policy.clone());
            }
            snapshot.policies.insert(id, policy.clone());
            policies.add(owner, name, policy);
        }
        reaching_all.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));

        let workspaces: HashMap<&str, WorkspaceId> =
            parts.workspaces.iter().map(|(id, name)| (name.as_str(), *id)).collect();
        for Entry { id, owner, name, settings, .. } in parts.routes {
            let Some(pool) = pools.find(&owner, &settings.pool).cloned() else {
                complain(&owner, "route", &name, format!("there is no pool {}", settings.pool));
                continue;
            };
            let reaches = |policy: &&Arc<Policy>| policy.owner == Owner::Instance || policy.owner == owner;
            let mut acting: Vec<_> = reaching_all.iter().filter(reaches).cloned().collect();
            let mut missing = Vec::new();
            for named in &settings.policies {
                match policies.find(&owner, named) {
                    Some(policy) if acting.iter().any(|one| one.id == policy.id) => {}
                    Some(policy) => acting.push(policy.clone()),
                    None => missing.push(named.clone()),
                }
            }
            // Without one of its policies a route would let through what somebody wanted stopped.
            if !missing.is_empty() {
                complain(&owner, "route", &name, format!("there is no policy {}", missing.join(", ")));
                continue;
            }
            let callers = match (&settings.callers, owner.workspace_id()) {
                (Callers::Everyone, _) | (Callers::Workspace, None) => Admitted::Anywhere,
                (Callers::Workspace, Some(id)) => Admitted::Workspaces(vec![id]),
                (Callers::Workspaces(names), _) => Admitted::Workspaces(
                    names.iter().filter_map(|name| workspaces.get(name.as_str()).copied()).collect(),
                ),
            };
            let asset = asset_of(&owner, &settings).map(|(workspace, asset)| (workspace.to_owned(), asset.to_owned()));
            let asset_scope =
                asset.and_then(|asset| parts.assets.get(&asset)).map(|(one, other)| Scope::Asset(*one, *other));
            let route = Arc::new(Route { id, owner, name, settings, pool, policies: acting, callers, asset_scope });
            for model in route.models() {
                snapshot.by_model.entry(model.clone()).or_default().push(route.clone());
            }
            if let (Serves::Rest(_), Some((workspace, asset))) = (&route.settings.serves, route.asset()) {
                snapshot.by_rest.insert((workspace.to_owned(), asset.to_owned()), route.clone());
            }
            snapshot.routes.insert(id, route);
        }
        for routes in snapshot.by_model.values_mut() {
            routes.sort_by_key(|route| (route.owner == Owner::Instance, route.owner.clone(), route.name.clone()));
        }
        snapshot.credential_names = credentials;
        snapshot.workspaces = parts.workspaces.into_iter().collect();
        snapshot.prices = parts.prices.into_iter().map(|price| (price.name, price.settings)).collect();
        (snapshot, wrong)
    }

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

    /// In no order.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }

    /// The name of a workspace.
    #[must_use]
    pub fn workspace_name(&self, id: WorkspaceId) -> Option<&str> {
        self.workspaces.get(&id).map(Slug::as_str)
    }

    /// What a model costs at a backend: by the backend's own prices, else by what the vendor calls it, else by its alias.
    #[must_use]
    pub fn price<'a>(&'a self, backend: &'a Backend, alias: &str) -> Option<&'a PriceSettings> {
        let by_vendor = || backend.settings.vendor_model(alias).and_then(|model| self.prices.get(model));
        backend.settings.prices.get(alias).or_else(by_vendor).or_else(|| self.prices.get(alias))
    }
}

/// Things by owner and name; who asks finds its own before those of the instance.
#[derive(Debug)]
struct Names<T>(HashMap<(Option<WorkspaceId>, String), T>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Names<T> {
    fn add(&mut self, owner: Owner, name: String, thing: T) {
        self.0.insert((owner.workspace_id(), name), thing);
    }

    fn of(&self, owner: &Owner, name: &str) -> Option<&T> {
        self.0.get(&(owner.workspace_id(), name.to_owned()))
    }

    fn find(&self, asker: &Owner, name: &str) -> Option<&T> {
        self.of(asker, name).or_else(|| self.of(&Owner::Instance, name))
    }
}

impl<T> FromIterator<(Owner, String, T)> for Names<T> {
    fn from_iter<I: IntoIterator<Item = (Owner, String, T)>>(things: I) -> Self {
        Self(things.into_iter().map(|(owner, name, thing)| ((owner.workspace_id(), name), thing)).collect())
    }
}

/// Parts made by hand, of the instance; a story builds its gateway with these.
impl Parts {
    #[must_use]
    pub fn with_credential(mut self, name: &str, settings: super::settings::CredentialSettings) -> Self {
        self.credentials.push((Owner::Instance, Arc::new(Credential::new(CredentialId::new(), name, 1, settings))));
        self
    }

    #[must_use]
    pub fn with_backend(mut self, name: &str, settings: BackendSettings) -> Self {
        self.backends.push(of_instance(BackendId::new(), name, settings));
        self
    }

    #[must_use]
    pub fn with_pool(mut self, name: &str, settings: PoolSettings) -> Self {
        self.pools.push(of_instance(PoolId::new(), name, settings));
        self
    }

    #[must_use]
    pub fn with_route(mut self, name: &str, settings: RouteSettings) -> Self {
        self.routes.push(of_instance(RouteId::new(), name, settings));
        self
    }

    #[must_use]
    pub fn with_policy(mut self, name: &str, settings: PolicySettings) -> Self {
        self.policies.push(of_instance(PolicyId::new(), name, settings));
        self
    }

    #[must_use]
    pub fn with_price(mut self, model: &str, settings: PriceSettings) -> Self {
        self.prices.push(of_instance(PriceId::new(), model, settings));
        self
    }
}

fn of_instance<I, T>(id: I, name: &str, settings: T) -> Entry<I, T> {
    Entry { id, owner: Owner::Instance, name: name.to_owned(), revision: 1, settings }
}

#[cfg(test)]
mod tests;
