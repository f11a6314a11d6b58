//! `Parts`: what a snapshot is made of, and the making.

use super::Snapshot;
use super::names::Names;
use super::route::{Admitted, Route, asset_of};
use super::thing::{Backend, Policy, Pool, PoolMember};
use crate::auth::Scope;
use crate::base::{
    AssetId, BackendId, CredentialId, FieldError, PolicyId, PoolId, PriceId, RouteId, Slug, WorkspaceId,
};
use crate::gateway::Credential;
use crate::gateway::settings::{
    BackendSettings, Callers, CredentialSettings, Entry, Owner, PolicySettings, PoolSettings, PriceSettings, Reach,
    RouteSettings, Serves,
};
use std::collections::HashMap;
use std::sync::Arc;

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
    /// Those that are stored, and of which no version is known that can be read.
    pub unread_policies: Vec<UnreadPolicy>,
    /// Named by their model: an alias, or what a vendor calls it.
    pub prices: Vec<Entry<PriceId, PriceSettings>>,
}

/// What is known of a policy whose settings cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadPolicy {
    pub owner: Owner,
    pub name: String,
    /// Whether it acts on routes that do not name it, as far as anybody can tell.
    pub reaches_all: bool,
}

impl Snapshot {
    /// The snapshot of these parts, and what is wrong with them: a thing that names what is not there is left out, so
    /// that one mistake in the store costs one route and not all. So is every route that an unread policy may reach.
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
            policies.add(owner, name, Some(policy));
        }
        let mut unread_reaching_all = Vec::new();
        for UnreadPolicy { owner, name, reaches_all } in parts.unread_policies {
            // It keeps its name: one of the instance's must not stand in for it.
            policies.add(owner.clone(), name.clone(), None);
            if reaches_all {
                unread_reaching_all.push((owner, name));
            }
        }
        reaching_all.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));

        let workspaces: HashMap<&str, WorkspaceId> =
            parts.workspaces.iter().map(|(id, name)| (name.as_str(), *id)).collect();
        for Entry { id, owner, name, settings, .. } in parts.routes {
            let Some(pool) = pools.find(&owner, &settings.pool).cloned() else {
                complain(&owner, "route", &name, format!("there is no pool {}", settings.pool));
                continue;
            };
            let reaches = |of: &Owner| *of == Owner::Instance || *of == owner;
            let mut acting: Vec<_> = reaching_all.iter().filter(|policy| reaches(&policy.owner)).cloned().collect();
            let mut unread: Vec<String> =
                unread_reaching_all.iter().filter(|(of, _)| reaches(of)).map(|(_, name)| name.clone()).collect();
            let mut missing = Vec::new();
            for named in &settings.policies {
                match policies.find(&owner, named) {
                    Some(Some(policy)) if acting.iter().any(|one| one.id == policy.id) => {}
                    Some(Some(policy)) => acting.push(policy.clone()),
                    Some(None) if unread.contains(named) => {}
                    Some(None) => unread.push(named.clone()),
                    None => missing.push(named.clone()),
                }
            }
            // Without one of its policies a route would let through what somebody wanted stopped.
            if !missing.is_empty() {
                complain(&owner, "route", &name, format!("there is no policy {}", missing.join(", ")));
                continue;
            }
            if !unread.is_empty() {
                let message = format!("the policy {} that reaches it cannot be read", unread.join(", "));
                complain(&owner, "route", &name, message);
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
        snapshot.prices = parts.prices.into_iter().map(|price| (price.owner, price.name, price.settings)).collect();
        (snapshot, wrong)
    }
}

/// Parts made by hand, of the instance; a story builds its gateway with these.
impl Parts {
    #[must_use]
    pub fn with_credential(mut self, name: &str, settings: CredentialSettings) -> Self {
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

pub(super) fn of_instance<I, T>(id: I, name: &str, settings: T) -> Entry<I, T> {
    Entry { id, owner: Owner::Instance, name: name.to_owned(), revision: 1, settings }
}
