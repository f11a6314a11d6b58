//! The gateway: traffic to models and REST APIs, with one set of credentials, limits, load balancing and a record.
//!
//! Two sides meet in the [`Snapshot`]. The settings side (`settings/`, `snapshot.rs`, `credential.rs`) lets people say what
//! there is, keeps it in Postgres, and swaps one immutable snapshot on every replica when it changes. The traffic side reads
//! the snapshot and nothing else: no database stands in the path of a request.

pub mod balance;
pub mod cache;
mod credential;
pub mod exchange;
pub mod limit;
pub mod policy;
pub mod settings;
mod snapshot;
pub mod tokens;
pub mod usage;

pub use credential::{Credential, CredentialError, Secret};
pub use snapshot::{Backend, Parts, Policy, Pool, PoolMember, Route, Snapshot};

use crate::base::{Clock, Database};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The gateway of this process; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    #[expect(dead_code, reason = "the verbs that change settings come with their tables")]
    db: Database,
    #[expect(dead_code, reason = "the verbs that change settings come with their tables")]
    clock: Clock,
    snapshot: ArcSwap<Snapshot>,
}

impl Gateway {
    /// A gateway without settings.
    #[must_use]
    pub fn new(db: Database, clock: Clock) -> Self {
        Self { inner: Arc::new(Inner { db, clock, snapshot: ArcSwap::default() }) }
    }

    /// The settings as they are now. A request loads them once and keeps what it got.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.load_full()
    }

    /// Requests that come from now on go by this snapshot; those under way keep theirs.
    pub fn install(&self, snapshot: Snapshot) {
        self.inner.snapshot.store(Arc::new(snapshot));
    }
}
