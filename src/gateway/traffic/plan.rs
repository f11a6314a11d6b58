//! `Plan`: a snapshot made ready for traffic, with the states, connections and policies of each route at hand.

use crate::base::RouteId;
use crate::gateway::balance::{BackendState, PoolState, States, mixed};
use crate::gateway::policy::{Chain, Services};
use crate::gateway::provider::{self, Provider};
use crate::gateway::upstream::{Origin, Origins};
use crate::gateway::{Backend, Route, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Plan {
    pub(super) snapshot: Arc<Snapshot>,
    routes: HashMap<RouteId, Arc<PlannedRoute>>,
}

/// A route with all that its requests need.
pub(super) struct PlannedRoute {
    pub(super) chain: Chain,
    pub(super) pool: Arc<PoolState>,
    /// Those of the first priority first.
    pub(super) members: Vec<PlannedMember>,
}

pub(super) struct PlannedMember {
    pub(super) backend: Arc<Backend>,
    pub(super) state: Arc<BackendState>,
    pub(super) origin: Arc<Origin>,
    pub(super) provider: &'static dyn Provider,
    /// The path of the backend's URL, without a slash at its end.
    pub(super) base: String,
    pub(super) priority: u32,
    pub(super) weight: u32,
    pub(super) identity: u64,
}

impl Plan {
    pub(super) fn of(snapshot: Arc<Snapshot>, states: &States, origins: &Origins, services: &Services) -> Self {
        states.keep(|id| snapshot.backend(id).is_some(), |id| snapshot.pool(id).is_some());
        let routes = snapshot
            .routes()
            .map(|route| (route.id, Arc::new(PlannedRoute::of(route, states, origins, services))))
            .collect();
        Self { snapshot, routes }
    }

    pub(super) fn route(&self, route: &Route) -> Option<&Arc<PlannedRoute>> {
        self.routes.get(&route.id)
    }
}

impl PlannedRoute {
    fn of(route: &Route, states: &States, origins: &Origins, services: &Services) -> Self {
        let mut members: Vec<PlannedMember> = route
            .pool
            .members
            .iter()
            .filter_map(|member| {
                let backend = &member.backend;
                let origin = match origins.of(&backend.url) {
                    Ok(origin) => origin,
                    Err(reason) => {
                        tracing::warn!(backend.name = %backend.name, reason, "A backend's address cannot be used");
                        return None;
                    }
                };
                Some(PlannedMember {
                    backend: backend.clone(),
                    state: states.backend(backend.id),
                    origin,
                    provider: provider::of(backend.settings.provider),
                    base: backend.url.path().trim_end_matches('/').to_owned(),
                    priority: member.priority,
                    weight: member.weight,
                    identity: mixed(backend.id.0.as_u128() as u64),
                })
            })
            .collect();
        members.sort_by_key(|member| member.priority);
        Self { chain: Chain::of(route, services), pool: states.pool(route.pool.id), members }
    }
}
