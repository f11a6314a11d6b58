//! A start from nothing to serving, and the way back: the steps in their order.

use super::{assemble, doors, health, seed, server, worker};
use crate::api;
use crate::auth::Auth;
use crate::base::config::default_data_dir;
use crate::base::{Clock, Config, Database, EmbeddedPostgres, Slug, config::Embedding, db, telemetry, use_tls};
use crate::embed::{Embedder, Source};
use anyhow::{Context, Result};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a database that is given by its URL may take to appear: in a composition of containers it starts with us.
const DATABASE_APPEARS_WITHIN: Duration = Duration::from_secs(60);

/// Serves until a signal to stop; SIGTERM and SIGINT stop in order, a second one at once.
///
/// # Errors
/// When something needed for the start is missing; the text says what to do.
pub async fn serve(config: Config) -> Result<()> {
    telemetry::start(&config.logging);
    use_tls();
    raise_descriptors();
    leave_huge_pages();
    leave_no_core();
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    // First the port: a second start by mistake is told at once and touches nothing.
    let listener = bind(config.server.listen, "WHARFINGER_LISTEN").await?;
    let metrics = match config.server.metrics_listen {
        Some(address) => Some(bind(address, "WHARFINGER_METRICS_LISTEN").await?),
        None => None,
    };
    let stop = server::Stop::default();
    tokio::spawn(watch_signals(stop.clone()));

    let storage = Storage::open(&config).await?;
    let outcome = serve_with(config, &storage, (listener, metrics), &stop).await;
    // Also after a failure: the private Postgres does not outlive an orderly end.
    let closed = storage.close().await;
    outcome.and(closed)
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    let what = || format!("cannot listen on {address}; is it in use? {setting} chooses another");
    TcpListener::bind(address).await.with_context(what)
}

async fn serve_with(
    config: Config,
    storage: &Storage,
    (listener, metrics): (TcpListener, Option<TcpListener>),
    stop: &server::Stop,
) -> Result<()> {
    db::migrate(&storage.options).await?;
    let embedder = Embedder::start(model(&config.embedding, &storage.data_dir), threads(&config.embedding));
    let database = Database::new(storage.options.clone(), &config.storage);
    let public_url = config.public_url(listener.local_addr()?);
    let admin_key = config.access.admin_key.clone();
    let handles = assemble(config, &public_url, database, Clock::system(), embedder)?;

    handles.gateway.start().await?;
    handles.ledger.recover(&handles.services.limits).await?;
    let system = crate::auth::Actor::system("first start");
    let default = Slug::parse("default").expect("a plain word is a slug");
    handles.catalog.ensure_workspace(&system, &default, "Default").await?;
    let made =
        admin_key_for_a_start(&handles.db, &handles.auth, admin_key.as_ref().map(|key| key.expose().as_str())).await?;
    seed::first_start(&handles, &api::document(&public_url)).await?;

    let (tasks, end_tasks) = (TaskTracker::new(), CancellationToken::new());
    worker::start(&handles, &tasks, &end_tasks);
    if let Some(metrics) = metrics {
        tasks.spawn(health::serve_metrics(metrics, end_tasks.clone()));
    }
    announce(&public_url, made.as_deref());

    // They outlive what is settled after the last answer.
    let lanes = Arc::new(server::Lanes::start().context("the threads of the connections could not be started")?);
    let doors = doors(handles.clone());
    server::serve(listener, doors, handles.config.clone(), &handles.liveness, stop, lanes.clone()).await;

    tracing::info!("Stopping");
    end_tasks.cancel();
    tasks.close();
    if tokio::time::timeout(Duration::from_secs(10), tasks.wait()).await.is_err() {
        tracing::warn!("Background work did not end in time; the queue will hand it out again");
    }
    if let Some(telemetry) = handles.services.telemetry.clone() {
        // Requests are settled to their last moment. The collector is waited for, so not on a thread of the runtime.
        if let Err(error) = tokio::task::spawn_blocking(move || telemetry.close()).await {
            tracing::warn!(error = %error, "What the collector was not told yet is lost");
        }
    }
    handles.db.close().await;
    drop(lanes);
    Ok(())
}

/// Brings the database to this release's shape and stops what was started for it.
///
/// # Errors
/// As [`serve`].
pub async fn migrate(config: Config) -> Result<()> {
    telemetry::start(&config.logging);
    use_tls();
    let storage = Storage::open(&config).await?;
    let outcome = db::migrate(&storage.options).await;
    storage.close().await?;
    outcome
}

/// The data directory and the database of this process.
struct Storage {
    data_dir: std::path::PathBuf,
    options: PgConnectOptions,
    private: Option<EmbeddedPostgres>,
    /// Held while we run; the kernel lets go of it however we end.
    _lock: File,
}

impl Storage {
    async fn open(config: &Config) -> Result<Self> {
        let data_dir = config.data_dir();
        fs::create_dir_all(&data_dir)
            .with_context(|| format!("cannot create {}; WHARFINGER_DATA_DIR chooses another", data_dir.display()))?;
        let lock = lock(&data_dir).await?;
        let (options, private) = match &config.storage.database_url {
            Some(url) => {
                let options: PgConnectOptions =
                    url.expose().parse().map_err(|_| anyhow::anyhow!("WHARFINGER_DATABASE_URL cannot be read"))?;
                wait_for(&options).await?;
                (options, None)
            }
            None => {
                let server = EmbeddedPostgres::start(&data_dir, config.storage.postgres_bin.as_deref(), &[]).await?;
                if server.adopted {
                    tracing::info!("Took over the private Postgres of a start that was killed");
                }
                let mut conn = server.options("postgres").connect().await?;
                db::ensure_database(&mut conn, "wharfinger").await?;
                conn.close().await?;
                (server.options("wharfinger"), Some(server))
            }
        };
        Ok(Self { data_dir, options, private, _lock: lock })
    }

    async fn close(self) -> Result<()> {
        match self.private {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

/// One process a data directory: the search index and the private Postgres in it have one owner. Who was killed a moment
/// ago may still hold it, by a child that was just starting, so it is tried for a while.
async fn lock(data_dir: &Path) -> Result<File> {
    const FREE_WITHIN: Duration = Duration::from_secs(5);
    let begun = Instant::now();
    let path = data_dir.join("lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < FREE_WITHIN => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "another Wharfinger is using {}; stop it, or give this one a data directory of its own (WHARFINGER_DATA_DIR)",
                data_dir.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

async fn wait_for(options: &PgConnectOptions) -> Result<()> {
    let begun = Instant::now();
    loop {
        match options.connect().await {
            Ok(conn) => return Ok(conn.close().await?),
            Err(error) if begun.elapsed() > DATABASE_APPEARS_WITHIN => {
                return Err(error).context("the database at WHARFINGER_DATABASE_URL does not answer");
            }
            Err(error) => {
                tracing::warn!(error = %error, "The database does not answer yet; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Where the model and its runtime lie: as configured, else where `scripts/setup` puts them, which is the data directory
/// or, when that was chosen for this start only, the usual one of this user.
fn model(settings: &Embedding, data_dir: &Path) -> Source {
    let prepared = [data_dir, &default_data_dir()].map(|folder| folder.join("models/all-MiniLM-L6-v2"));
    let prepared = prepared.into_iter().find(|folder| folder.join("model.onnx").is_file());
    let model_dir = settings.model_dir.clone().or(prepared);
    let beside = |folder: &Path| {
        let near = [folder.join("libonnxruntime.so"), folder.join("../../lib/libonnxruntime.so")];
        near.into_iter().chain([data_dir.join("lib/libonnxruntime.so")]).find(|path| path.is_file())
    };
    let runtime = settings.model_runtime.clone().or_else(|| beside(model_dir.as_deref().unwrap_or(data_dir)));
    let hub_cache = settings.model_hub.then(|| data_dir.join("hub"));
    Source { model_dir, runtime, hub_cache }
}

fn threads(settings: &Embedding) -> usize {
    settings.embedding_threads as usize
}

/// The admin key when one is made now and nobody was told it yet: only where there never was one, so that a house that
/// revoked its keys gets none behind its back. A given one is kept on any start, which lets in again who lost all others. Of
/// several replicas that start at once one makes it.
async fn admin_key_for_a_start(db: &Database, auth: &Auth, given: Option<&str>) -> Result<Option<String>> {
    /// Any number that nothing else locks.
    const LOCK: i64 = 0x61_64_6d;
    let mut tx = db.write.begin().await?;
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut *tx).await? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut made = None;
    if let Some(key) = given {
        auth.ensure_admin_key("first admin", key).await?;
    } else if !auth.had_admin_key().await? {
        let key = crate::auth::SecretKey::generate();
        auth.ensure_admin_key("first admin", key.reveal()).await?;
        made = Some(key.reveal().to_owned());
    }
    tx.commit().await?;
    Ok(made)
}

fn announce(public_url: &str, admin_key: Option<&str>) {
    println!("Wharfinger is ready at {public_url}");
    if let Some(key) = admin_key {
        println!("Admin key, shown only this once: {key}");
    }
    tracing::info!(address = public_url, "Ready");
}

async fn watch_signals(stop: server::Stop) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("Signals cannot be received; the program can only be killed");
        return;
    };
    for last in [&stop.gently, &stop.now] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        last.cancel();
    }
}

/// The allocator asks for huge pages, and of those a few bytes in use keep two megabytes resident: buffers of connections
/// are mostly empty.
fn leave_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(error = %error, "Huge pages stay in use");
    }
}

/// Each connection takes a descriptor; the usual soft limit of 1,024 is below our own bound.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::debug!(error = %error, "The limit of open files stays as it is");
    }
}

/// What would be left of a crash holds keys and what people say to models, and nobody but the process itself may read its
/// memory.
fn leave_no_core() {
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::debug!(error = %error, "A crash leaves a core file where the system is set so");
    }
}
