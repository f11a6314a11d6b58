//! Assembly: makes every handle once, in reading order, and puts the doors together.

pub mod seed;
pub mod worker;

use crate::auth::Auth;
use crate::base::{Clock, Config, Database};
use crate::catalog::{Catalog, Generations};
use crate::door::{self, Handles, Liveness, PublicUrl};
use crate::embed::Embedder;
use crate::search::Search;
use axum::Router;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Makes the handles of a process over its database, clock and embedder.
#[must_use]
pub fn assemble(config: Config, public_url: &str, db: Database, clock: Clock, embedder: Embedder) -> Handles {
    let auth = Auth::new(db.clone(), clock.clone());
    let catalog = Catalog::new(db.clone(), clock.clone(), Generations::default());
    let _ = &embedder;
    let search = Search::new(catalog.clone());
    let half_the_connections = (config.storage.database_connections as usize / 2).max(1);
    Handles {
        config: Arc::new(config),
        clock,
        auth,
        catalog,
        search,
        public_url: PublicUrl::new(public_url),
        db,
        liveness: Liveness::default(),
        idempotent_writes: Arc::new(Semaphore::new(half_the_connections)),
    }
}

/// All doors of the process as one service.
#[must_use]
pub fn router(handles: Handles) -> Router {
    door::apply(Router::new(), &handles, None)
}
