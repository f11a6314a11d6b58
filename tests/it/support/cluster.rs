//! One private Postgres for all stories of this process, and a fresh database for each.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;
use wharfinger::base::{Database, EmbeddedPostgres, config::Storage, db};

static CLUSTER: OnceCell<std::path::PathBuf> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of this release's shape, with nothing in it.
pub async fn new_database(storage: &Storage) -> Database {
    let home = CLUSTER.get_or_init(start).await;
    let name = format!("story_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let admin = EmbeddedPostgres::options_of_running(home, "postgres");
    let mut conn = connect(&admin).await;
    let statement = format!("create database {name} template story_template");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut conn).await.expect("the template is not in use");
    Database::new(EmbeddedPostgres::options_of_running(home, &name), storage)
}

async fn connect(options: &sqlx::postgres::PgConnectOptions) -> sqlx::PgConnection {
    use sqlx::ConnectOptions;
    options.connect().await.expect("the private Postgres answers")
}

async fn start() -> std::path::PathBuf {
    let home = std::env::temp_dir().join(format!("whf-it-{}", std::process::id()));
    let tuning =
        [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off"), ("max_connections", "400")];
    let server = EmbeddedPostgres::start(&home, None, &tuning).await.expect("a private Postgres can be started");
    stop_with_us(&server, &home);
    let mut conn = connect(&server.options("postgres")).await;
    db::ensure_database(&mut conn, "story_template").await.expect("a database can be made");
    db::migrate(&server.options("story_template")).await.expect("the migrations run");
    // The watcher belongs to the first story's runtime; the server itself outlives it.
    std::mem::forget(server);
    home
}

/// Statics are never dropped, so a small process waits for the end of this one and clears up.
fn stop_with_us(server: &EmbeddedPostgres, home: &std::path::Path) {
    let server = server.process_id().expect("a running server has an id").to_string();
    let script = "while kill -0 $1 2>/dev/null; do sleep 0.3; done; kill -INT $2; sleep 2; rm -rf \"$3\"";
    Command::new("sh")
        .args(["-c", script, "sh", &std::process::id().to_string(), &server])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh is there");
}
