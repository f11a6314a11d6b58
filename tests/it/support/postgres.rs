//! One private Postgres for the test process, and a migrated database of its own for each test.

use super::leavings::{at_the_end, lasting_folder};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wharfinger::base::{EmbeddedPostgres, db};

/// The server, and the process that ends it when this one is gone.
struct Cluster {
    home: PathBuf,
    /// Takes the names of databases whose stories have ended.
    no_longer_needed: UnboundedSender<String>,
    _undertaker: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
const TEMPLATE: &str = "wharfinger_template";

/// How to reach a new, empty, migrated database.
pub async fn fresh_database() -> PgConnectOptions {
    let (cluster, name) = create(TEMPLATE).await;
    cluster.options(&name)
}

/// The URL of a new database: migrated, or as Postgres makes it.
pub async fn fresh_database_url(migrated: bool) -> String {
    let (cluster, name) = create(if migrated { TEMPLATE } else { "template1" }).await;
    let socket = cluster.options(&name).get_socket().unwrap().display().to_string();
    format!("postgres://wharfinger@localhost/{name}?host={}", socket.replace('/', "%2F"))
}

async fn create(template: &str) -> (&'static Cluster, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(Cluster::start)).await.unwrap();
    let name = format!("story_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let _turn = ONE_AT_A_TIME.lock().await;
    let mut conn = cluster.options("postgres").connect().await.unwrap();
    let statement = format!("create database {name} template {template}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let gone = name.clone();
    // Where nobody takes it any more the whole cluster goes.
    at_the_end(move || _ = cluster.no_longer_needed.send(gone));
    (cluster, name)
}

impl Cluster {
    /// Runs the server on a thread with a runtime of its own: that of a test ends with the test.
    fn start() -> Self {
        let home = lasting_folder("cluster");
        let (no_longer_needed, ended) = unbounded_channel();
        let (ready, started) = std::sync::mpsc::channel();
        let place = home.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A test's data need not survive a crash of the machine; each story has pools of its own.
                let fast = [
                    ("fsync", "off"),
                    ("synchronous_commit", "off"),
                    ("full_page_writes", "off"),
                    ("max_connections", "400"),
                ];
                let server = EmbeddedPostgres::start(&place, None, &fast).await.unwrap();
                let mut conn = server.options("postgres").connect().await.unwrap();
                db::ensure_database(&mut conn, TEMPLATE).await.unwrap();
                db::migrate(&server.options(TEMPLATE)).await.unwrap();
                ready.send(server.process_id().unwrap()).unwrap();
                drop_databases(&mut conn, ended).await;
            });
        });
        let process = started.recv().expect("the private Postgres of the tests starts");
        Self { _undertaker: undertaker(process, &home), home, no_longer_needed }
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        EmbeddedPostgres::options_of_running(&self.home, database)
    }
}

/// Drops the databases as they are named, also those that something of an ended story is still connected to.
async fn drop_databases(conn: &mut PgConnection, mut names: UnboundedReceiver<String>) {
    while let Some(name) = names.recv().await {
        let statement = format!("drop database {name} with (force)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *conn).await.unwrap();
    }
}

/// A process that waits for the end of ours, however it comes (its standard input is closed then), stops the server
/// `process` and removes its files.
fn undertaker(process: i32, home: &Path) -> Child {
    let script = "cat > /dev/null; kill -INT $0; while kill -0 $0 2> /dev/null; do sleep 0.1; done; rm -rf \"$1\"";
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(process.to_string()).arg(home);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C ends the tests; this process must still do its work then.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().unwrap()
}
