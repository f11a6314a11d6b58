//! `Handles`: everything a door can reach, each cheap to clone; a handler takes only what it uses.

use crate::audit_trail::AuditTrail;
use crate::auth::Auth;
use crate::base::{Clock, Config, Database, HttpClient};
use crate::catalog::Catalog;
use crate::gateway::policy::Services;
use crate::gateway::usage::{BudgetNotices, Ledger};
use crate::gateway::{Gateway, Traffic};
use crate::search::Search;
use crate::upstream::Upstreams;
use crate::webhook::Webhooks;
use axum::extract::FromRef;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;

/// The handles of the domains, and the settings.
#[derive(Clone, FromRef)]
pub struct Handles {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub auth: Auth,
    pub audit_trail: AuditTrail,
    pub catalog: Catalog,
    pub search: Search,
    pub webhooks: Webhooks,
    pub upstreams: Upstreams,
    pub gateway: Gateway,
    pub traffic: Traffic,
    /// What policies share: counters, the cache of answers.
    pub services: Services,
    pub ledger: Ledger,
    pub http: HttpClient,
    pub public_url: PublicUrl,
    pub db: Database,
    pub liveness: Liveness,
    /// How many writes with an Idempotency-Key may run at once; see `door/idempotency.rs`.
    #[from_ref(skip)]
    pub idempotent_writes: Arc<Semaphore>,
    /// Budgets that were passed, until the background work takes them.
    #[from_ref(skip)]
    pub budget_notices: Arc<Mutex<Option<BudgetNotices>>>,
}

/// Whether the process is about to stop: it then says so on `/readyz`, before it stops taking connections.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<AtomicBool>);

impl Liveness {
    pub fn begin_stopping(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The address clients use; every absolute URL we emit starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').into())
    }

    /// Without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether clients come over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// `path`, which starts with a slash, as an absolute address.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}
