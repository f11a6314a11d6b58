//! Assembly: makes every handle once, in reading order, and puts the doors together.

pub mod cli;
mod health;
pub mod seed;
pub mod server;
pub mod start;
pub mod worker;

use crate::api;
use crate::audit_trail::AuditTrail;
use crate::auth::Auth;
use crate::base::{Clock, Config, Database, HttpClient, KeyRing, SealError};
use crate::catalog::{Catalog, Generations};
use crate::door::{self, Front, Handles, Liveness, ProblemPage, PublicUrl};
use crate::embed::Embedder;
use crate::gateway::policy::Services;
use crate::gateway::{Gateway, Traffic};
use crate::mcp;
use crate::registry;
use crate::search::Search;
use crate::upstream::Upstreams;
use crate::web;
use crate::webhook::Webhooks;
use axum::Router;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Makes the handles of a process over its database, clock and embedder.
///
/// # Errors
/// When the keys that seal secrets and sign the audit record cannot be read.
pub fn assemble(
    config: Config,
    public_url: &str,
    db: Database,
    clock: Clock,
    embedder: Embedder,
) -> Result<Handles, SealError> {
    let keys = key_ring(&config)?;
    let auth = Auth::new(db.clone(), clock.clone(), &config, public_url);
    let kept = config.audit.audit_retention;
    let audit_trail = AuditTrail::new(db.clone(), clock.clone(), keys.clone(), &config.data_dir(), kept);
    let catalog = Catalog::new(db.clone(), clock.clone(), Generations::default())
        .with_registered_namespaces_only(config.access.registered_namespaces_only);
    let search = Search::new(catalog.clone(), embedder.clone(), config.data_dir().join("search"));
    let gateway = Gateway::new(db.clone(), clock.clone(), &config);
    let (services, budget_notices) =
        Services::of(&config, db.clone(), clock.clone(), embedder, gateway.egress().clone());
    let ledger = services.ledger.clone().expect("the services of a process keep a ledger");
    let http = HttpClient::new(&config.fetch);
    let webhooks = Webhooks::new(&catalog, &auth, &http, &keys, public_url);
    let half_the_connections = (config.storage.database_connections as usize / 2).max(1);
    let config = Arc::new(config);
    let refusals = audit_trail.refusals();
    let traffic =
        Traffic::new(gateway.clone(), auth.clone(), clock.clone(), config.clone(), services.clone(), refusals);
    Ok(Handles {
        config,
        clock,
        auth,
        audit_trail,
        upstreams: Upstreams::new(catalog.clone(), http.clone()),
        catalog,
        search,
        webhooks,
        gateway,
        traffic,
        services,
        ledger,
        http,
        public_url: PublicUrl::new(public_url),
        db,
        liveness: Liveness::default(),
        idempotent_writes: Arc::new(Semaphore::new(half_the_connections)),
        budget_notices: Arc::new(Mutex::new(Some(budget_notices))),
    })
}

/// The keys of this instance, which are never in the database.
///
/// # Errors
/// When they cannot be read, or made on a first start.
pub fn key_ring(config: &Config) -> Result<KeyRing, SealError> {
    let file = config.gateway.encryption_key_file.clone();
    let file = file.unwrap_or_else(|| config.data_dir().join("encryption-keys"));
    KeyRing::load(config.gateway.encryption_keys.as_ref(), file)
}

/// All ways into the process.
pub fn doors(handles: Handles) -> server::Doors {
    server::Doors { traffic: Some(handles.traffic.clone()), router: router(handles) }
}

/// All doors of the process as one service, but for the gateway's own.
pub fn router(handles: Handles) -> Front {
    let (registry, ready) = registry::router(&handles);
    let doors = Router::new()
        .merge(health::router(&handles.config))
        .merge(api::router(&handles))
        .merge(web::router())
        .merge(registry)
        .merge(mcp::router(&handles));
    Front::new(door::apply(doors, &handles, Some(problem_page(&handles))), ready, &handles)
}

/// Problems as the pages show them.
fn problem_page(handles: &Handles) -> ProblemPage {
    let public_url = handles.public_url.clone();
    ProblemPage(Arc::new(move |problem, context| {
        let page = web::problem_page(problem, &context.headers, &context.path, &context.request_id, &public_url);
        door::with_form_token(page, &context.headers, &public_url)
    }))
}
