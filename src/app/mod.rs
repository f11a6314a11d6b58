//! Assembly: makes every handle once, in reading order, and puts the doors together.

pub mod seed;
pub mod worker;

use crate::auth::Auth;
use crate::base::{Clock, Config, Database};
use crate::catalog::{Catalog, Generations};
use crate::door::{Handles, PublicUrl};
use crate::embed::Embedder;
use crate::search::Search;
use axum::Router;
use std::sync::Arc;

/// Makes the handles of a process over its database, clock and embedder.
#[must_use]
pub fn assemble(config: Config, public_url: &str, db: Database, clock: Clock, embedder: Embedder) -> Handles {
    let auth = Auth::new(db.clone(), clock.clone());
    let catalog = Catalog::new(db, clock.clone(), Generations::default());
    let _ = &embedder;
    let search = Search::new(catalog.clone());
    Handles { config: Arc::new(config), clock, auth, catalog, search, public_url: PublicUrl::new(public_url) }
}

/// All doors of the process as one service.
#[must_use]
pub fn router(handles: Handles) -> Router {
    Router::new().with_state(handles)
}
