//! The gateway: traffic to models and REST APIs, with one set of credentials, limits, load balancing and a record.
//!
//! Two sides meet in the [`Snapshot`]. The settings side (`settings/`, `snapshot.rs`, `credential.rs`) lets people say what
//! there is, keeps it in Postgres, and swaps one immutable snapshot on every replica when it changes. The traffic side reads
//! the snapshot and nothing else: no database stands in the path of a request.

pub mod access;
mod admin;
pub mod balance;
pub mod cache;
mod credential;
pub mod door;
pub mod exchange;
mod hops;
pub mod limit;
mod masking;
pub mod policy;
pub mod provider;
mod redis_link;
pub mod room;
pub mod settings;
mod snapshot;
mod store;
pub mod stored_response;
pub mod telemetry;
pub mod tokens;
mod traffic;
pub mod upstream;
pub mod usage;
pub mod witness;

pub use admin::{Applied, Applying, Import, Imported, Put, Rehearsed, Source, Stored};
pub use credential::{Credential, CredentialError, Secret};
pub use snapshot::{Backend, Parts, Policy, Pool, PoolMember, Route, Snapshot, asset_of};
pub use traffic::{LiveBackend, LiveTrip, ReplyBody, Traffic};

use crate::base::{Clock, Config, Database, Egress, KeyRing, SealError, trust};
use arc_swap::ArcSwap;
use credential::TokenClient;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use store::State;

/// The gateway of this process; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    clock: Clock,
    egress: Egress,
    tokens: Arc<TokenClient>,
    /// Read when first needed: most commands need no secret.
    ring: OnceLock<KeyRing>,
    ring_given: Option<crate::base::Sealed<String>>,
    ring_file: PathBuf,
    snapshot: ArcSwap<Snapshot>,
    /// What the snapshot was made of, and what of it was left out, with the reasons.
    loaded: Mutex<(State, Vec<String>)>,
}

impl Gateway {
    /// A gateway without settings, until [`Gateway::start`] reads those that are stored.
    #[must_use]
    pub fn new(db: Database, clock: Clock, config: &Config) -> Self {
        let trusted = config.gateway.gateway_ca_file.as_deref().map_or(Ok(Vec::new()), trust::authorities);
        // They were looked at when the settings were read.
        let trusted =
            trusted.inspect_err(|error| tracing::error!(error, "The house's own authorities are not trusted"));
        let egress = Egress::to_hosts(&config.gateway.gateway_allowed_hosts).trusting(trusted.unwrap_or_default());
        let file = config.gateway.encryption_key_file.clone();
        Self {
            inner: Arc::new(Inner {
                db,
                egress: egress.clone(),
                tokens: Arc::new(TokenClient::new(egress, clock.clone())),
                clock,
                ring: OnceLock::new(),
                ring_given: config.gateway.encryption_keys.clone(),
                ring_file: file.unwrap_or_else(|| config.data_dir().join("encryption-keys")),
                snapshot: ArcSwap::default(),
                loaded: Mutex::default(),
            }),
        }
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

    /// What backends may reach; whoever calls one asks here and resolves names through it.
    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.inner.egress
    }

    /// What of the stored settings is left out of the snapshot, with the reasons; empty when all is in order.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        self.inner.loaded.lock().expect("no holder of this lock can panic").1.clone()
    }

    fn ring(&self) -> Result<&KeyRing, SealError> {
        if let Some(ring) = self.inner.ring.get() {
            return Ok(ring);
        }
        let ring = KeyRing::load(self.inner.ring_given.as_ref(), self.inner.ring_file.clone())?;
        Ok(self.inner.ring.get_or_init(|| ring))
    }
}
