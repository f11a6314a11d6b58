//! Assembly: makes every handle once, in reading order, and puts the doors together.

pub mod cli;
mod health;
pub mod seed;
pub mod server;
pub mod start;
pub mod worker;

use crate::api;
use crate::auth::Auth;
use crate::base::{Clock, Config, Database, HttpClient};
use crate::catalog::{Catalog, Generations};
use crate::door::{self, Handles, Liveness, ProblemPage, PublicUrl};
use crate::embed::Embedder;
use crate::gateway::Gateway;
use crate::mcp;
use crate::registry;
use crate::search::Search;
use crate::web;
use axum::Router;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Makes the handles of a process over its database, clock and embedder.
#[must_use]
pub fn assemble(config: Config, public_url: &str, db: Database, clock: Clock, embedder: Embedder) -> Handles {
    let auth = Auth::new(db.clone(), clock.clone());
    let catalog = Catalog::new(db.clone(), clock.clone(), Generations::default());
    let search = Search::new(catalog.clone(), embedder, config.data_dir().join("search"));
    let gateway = Gateway::new(db.clone(), clock.clone(), &config);
    let half_the_connections = (config.storage.database_connections as usize / 2).max(1);
    let http = HttpClient::new(&config.fetch);
    Handles {
        config: Arc::new(config),
        clock,
        auth,
        catalog,
        search,
        gateway,
        http,
        public_url: PublicUrl::new(public_url),
        db,
        liveness: Liveness::default(),
        idempotent_writes: Arc::new(Semaphore::new(half_the_connections)),
    }
}

/// All doors of the process as one service.
pub fn router(handles: Handles) -> Router {
    let doors = Router::new()
        .merge(health::router())
        .merge(api::router(&handles))
        .merge(web::router())
        .merge(registry::router(&handles))
        .merge(mcp::router(&handles));
    door::apply(doors, &handles, Some(problem_page(&handles)))
}

/// Problems as the pages show them.
fn problem_page(handles: &Handles) -> ProblemPage {
    let public_url = handles.public_url.clone();
    ProblemPage(Arc::new(move |problem, context| {
        web::problem_page(problem, &context.headers, &context.path, &context.request_id, &public_url)
    }))
}
