//! Postgres as the rest of the house sees it: two pools, migrations, what a constraint means, and being woken.

use crate::base::config::Storage;
use anyhow::Context;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::time::Duration;

/// The pools of a process; cheap to clone.
///
/// Reads have a pool of their own, so that a storm of writes that wait for locks leaves them connections.
#[derive(Clone, Debug)]
pub struct Database {
    /// For verbs that change something.
    pub write: PgPool,
    /// For lists, pages and searches; its transactions are read-only.
    pub read: PgPool,
    /// One connection, for a statement that runs all the time. On connections that also serve others it would find the
    /// caches of a different server process cold at each run.
    pub steady: PgPool,
}

impl Database {
    /// Pools that connect when first used. Every statement is bounded in time, and so is waiting for a lock or for a
    /// connection: a slow database makes answers of 503, not queues.
    #[must_use]
    pub fn new(options: PgConnectOptions, storage: &Storage) -> Self {
        let millis = |span: Duration| format!("{}ms", span.as_millis());
        let options = options.application_name("wharfinger").options([
            ("statement_timeout", millis(storage.database_statement_timeout)),
            ("lock_timeout", millis(storage.database_lock_timeout)),
            ("idle_in_transaction_session_timeout", "30s".to_owned()),
        ]);
        let pool = |options: PgConnectOptions, connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(storage.database_acquire_timeout)
                .test_before_acquire(false)
                // A ping before each use would double the round trips of short reads; one that was used a moment ago
                // is taken as alive.
                .before_acquire(|conn, meta| {
                    Box::pin(async move {
                        if meta.idle_for > Duration::from_secs(1) {
                            conn.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .connect_lazy_with(options)
        };
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        let connections = storage.database_connections;
        Self { write: pool(options.clone(), connections), read: pool(reading, connections), steady: pool(options, 1) }
    }

    /// Whether the database answers now.
    ///
    /// # Errors
    /// The database's, or a timeout of the pool.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("select 1").execute(&self.read).await.map(|_| ())
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        tokio::join!(self.write.close(), self.read.close(), self.steady.close());
    }
}

/// Any number would do; this one spells "whf".
const MIGRATION_LOCK: i64 = 0x77_68_66;

/// Brings the database to this release's shape; of several replicas one does it and the others wait.
///
/// The lock is tried for in a loop and never waited on: `create index concurrently` cannot finish while another session
/// waits inside a statement. A schema newer than this release is left as it is: releases are made so that the one before
/// still works.
///
/// # Errors
/// When the database does not answer or a migration fails; a later call takes up where this one ended.
pub async fn migrate(options: &PgConnectOptions) -> anyhow::Result<()> {
    // "Already exists, skipping" is no news.
    let options = options.clone().application_name("wharfinger-migrate").options([("client_min_messages", "warning")]);
    let mut conn = options.connect().await.context("the database does not answer")?;
    let mut pause = Duration::from_millis(250);
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .fetch_one(&mut conn)
        .await?
    {
        tracing::info!("Another replica is migrating the database; waiting");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    let mut migrations = sqlx::migrate!("./migrations");
    migrations.set_ignore_missing(true).set_locking(false);
    let outcome = migrations.run(&mut conn).await.context("a migration failed");
    // The lock ends with the connection.
    conn.close().await?;
    outcome
}

/// The first transaction whose lines may not be read yet by who follows a log in commit order: the oldest of this database
/// that is open, else the next one.
///
/// Asked in a statement of its own, before the lines are read: whichever older transaction ends in between is seen
/// whole by the reader. The snapshot's own lower end would do too, but it waits for every database of the cluster.
///
/// # Errors
/// The database's.
pub async fn oldest_open_transaction(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    // Postgres shows transaction numbers of sessions without their upper half; the distance to the snapshot's end has
    // none.
    sqlx::query_scalar(
        "with next as (select (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint as number),
              open as (select (next.number - backend_xid::text::bigint) & 4294967295 as distance
                       from pg_stat_activity, next
                       where backend_xid is not null and datname = current_database())
         select number - coalesce((select max(distance) from open where distance < 2147483648), 0) from next",
    )
    .fetch_one(conn)
    .await
}

/// Gives the failure of a named constraint its meaning, where the statement stands.
pub trait OnConstraint<T> {
    /// `meaning` when the constraint `name` was broken; every other error as it is.
    ///
    /// # Errors
    /// See above.
    fn on_constraint<E: From<sqlx::Error>>(self, name: &str, meaning: impl FnOnce() -> E) -> Result<T, E>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint<E: From<sqlx::Error>>(self, name: &str, meaning: impl FnOnce() -> E) -> Result<T, E> {
        self.map_err(|error| {
            if error.as_database_error().and_then(|error| error.constraint()) == Some(name) {
                meaning()
            } else {
                E::from(error)
            }
        })
    }
}

/// Whether the transaction lost against another and may simply be run again (serialization failure, deadlock).
#[must_use]
pub fn lost_a_race(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40001" || code == "40P01")
}

/// Runs a whole transaction, again when it lost a race: at most four times, with short uneven pauses between.
///
/// # Errors
/// The last attempt's; errors other than a lost race at once.
pub async fn retried<T, F: Future<Output = Result<T, sqlx::Error>>>(
    mut transaction: impl FnMut() -> F,
) -> Result<T, sqlx::Error> {
    for attempt in 0..3u32 {
        match transaction().await {
            Err(error) if lost_a_race(&error) => {
                tracing::debug!(attempt, "A transaction lost a race and runs again");
                let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0] % 16);
                tokio::time::sleep(Duration::from_millis((5 << attempt) + jitter)).await;
            }
            outcome => return outcome,
        }
    }
    transaction().await
}

/// Waits for notifications on one channel, over outages of the database.
pub struct Wakeups {
    pool: PgPool,
    channel: &'static str,
    listener: Option<PgListener>,
}

impl Wakeups {
    #[must_use]
    pub fn new(pool: PgPool, channel: &'static str) -> Self {
        Self { pool, channel, listener: None }
    }

    /// Returns when something was notified since the last call, or after `at_most`. Without a connection it always takes
    /// `at_most`, so a caller that looks after each return is late during an outage, but misses nothing.
    pub async fn next(&mut self, at_most: Duration) {
        if self.listener.is_none() {
            self.listener = self.listen().await.ok();
            if self.listener.is_some() {
                // What was notified before we listened must be looked for.
                return;
            }
        }
        let Some(listener) = &mut self.listener else {
            tokio::time::sleep(at_most).await;
            return;
        };
        if let Ok(Err(error)) = tokio::time::timeout(at_most, listener.recv()).await {
            tracing::debug!(error = %error, "Listening was interrupted");
            self.listener = None;
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(self.channel).await?;
        Ok(listener)
    }
}

/// Makes the database `name` where it is missing.
///
/// # Errors
/// The database's.
pub async fn ensure_database(conn: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        let quoted = name.replace('"', "\"\"");
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database \"{quoted}\""))).execute(conn).await?;
    }
    Ok(())
}
