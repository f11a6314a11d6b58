//! Upstreams: other MCP registries, and files, whose servers a workspace takes over by a schedule.
//!
//! [`Upstreams`] is the handle. A run (`sync.rs`) asks for what changed since the last scan began, with an overlap, page by
//! page; each page is one transaction with the place where the scan goes on, so a run that is killed or fails is taken up
//! where it was, and the same contents again change nothing. What no rule approves (`filter.rs`) waits for approval. What a
//! reading of everything does not meet any more is deleted here too (`missing.rs`), unless it is suspiciously much.

mod filter;
mod missing;
mod page;
mod run;
mod source;
mod sync;
mod verbs;

pub use filter::{Filter, Rule};
pub use run::{Rejection, Run, RunState};
pub use source::{Kind, Upstream, UpstreamInput};
pub use verbs::SyncRequest;

use crate::base::{Clock, Database, HttpClient};
use crate::catalog::Catalog;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Looks for due upstreams at least this often.
const LOOKS: Duration = Duration::from_secs(2);

/// The verbs of upstreams; cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    catalog: Catalog,
    db: Database,
    clock: Clock,
    http: HttpClient,
    wake: Arc<Notify>,
}

impl Upstreams {
    #[must_use]
    pub fn new(catalog: Catalog, http: HttpClient) -> Self {
        let (db, clock) = (catalog.db().clone(), catalog.clock().clone());
        Self { catalog, db, clock, http, wake: Arc::default() }
    }

    /// Runs what is due, until `stop`; of several replicas one runs an upstream at a time.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(problem) = self.run_due(&stop).await {
                tracing::warn!(error = %problem, "Upstreams could not be looked after");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOKS) => {}
                () = self.wake.notified() => {}
            }
        }
    }
}
