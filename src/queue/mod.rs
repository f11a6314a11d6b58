//! Work that must happen later, on Postgres: asked for in the transaction that makes it necessary, done at least once.

mod worker;

pub use worker::{Delivery, Worker, dead, run_again, waiting};

use crate::base::AssetId;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The channel on which a commit wakes the workers.
pub const CHANNEL: &str = "wharfinger_job";

/// Everything that can have happened and that somebody reacts to later (`app/worker.rs` says who).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An asset, or something below it, was written.
    AssetChanged(AssetId),
}

impl Event {
    /// The kind under which the event's work is queued.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::AssetChanged(_) => "asset-changed",
        }
    }

    /// Waiting work of the same kind and key is the same work.
    fn key(self) -> String {
        match self {
            Self::AssetChanged(id) => id.to_string(),
        }
    }

    fn payload(self) -> Value {
        match self {
            Self::AssetChanged(id) => json!({ "asset": id }),
        }
    }

    /// The event a stored job stands for.
    #[must_use]
    pub fn read(kind: &str, payload: &Value) -> Option<Self> {
        match kind {
            "asset-changed" => serde_json::from_value(payload.get("asset")?.clone()).ok().map(Self::AssetChanged),
            _ => None,
        }
    }
}

/// Queues the work for an event in the caller's transaction; equal work that still waits is not queued twice.
///
/// # Errors
/// The database's.
pub async fn publish(conn: &mut PgConnection, event: Event, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with queued as (
             insert into job (kind, key, payload, run_at, created_at)
             values ($1, $2, $3, $4, $4)
             on conflict (kind, key) where claimed_at is null and dead_at is null do nothing
             returning 1)
         select pg_notify($5, '') from queued",
    )
    .bind(event.kind())
    .bind(event.key())
    .bind(event.payload())
    .bind(now)
    .bind(CHANNEL)
    .execute(conn)
    .await?;
    Ok(())
}
