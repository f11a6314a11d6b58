//! The things of a snapshot that are looked up in it.

use crate::base::{BackendId, PolicyId, PoolId};
use crate::gateway::Credential;
use crate::gateway::settings::{BackendSettings, Owner, PolicySettings, PoolSettings};
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
