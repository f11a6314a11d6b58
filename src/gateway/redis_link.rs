//! `RedisLink`: a Redis or Valkey that replicas share, and that may be away: nobody waits long for it, and for a moment after
//! it did not answer nobody asks it.

use crate::base::Sealed;
use redis::RedisResult;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long it is left alone after it did not answer.
const REST: Duration = Duration::from_secs(1);

pub(in crate::gateway) struct RedisLink {
    connection: ConnectionManager,
    /// On the monotonic clock, in milliseconds; not asked before.
    away_until: AtomicU64,
    /// What is shared there, for the log.
    what: &'static str,
}

impl RedisLink {
    /// The one at this address; it is connected when first asked.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(url: &Sealed<String>, what: &'static str) -> RedisResult<Self> {
        let client = redis::Client::open(url.expose().as_str())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE * 4))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100));
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { connection, away_until: AtomicU64::new(0), what })
    }

    /// Whether it is left alone at this moment because it did not answer.
    pub fn is_away(&self, monotonic: Duration) -> bool {
        (monotonic.as_millis() as u64) < self.away_until.load(Ordering::Relaxed)
    }

    /// Whether it answers a ping.
    pub async fn answers(&self, monotonic: Duration) -> bool {
        let ping = async |mut to: ConnectionManager| redis::cmd("PING").query_async::<()>(&mut to).await;
        self.ask(monotonic, ping).await.is_some()
    }

    /// What it answers; none when it does not answer in time, or wrongly.
    pub async fn ask<T, F>(&self, monotonic: Duration, asked: impl FnOnce(ConnectionManager) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let error = match tokio::time::timeout(PATIENCE * 2, asked(self.connection.clone())).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer in time".to_owned(),
        };
        let until = monotonic + REST;
        self.away_until.store(until.as_millis() as u64, Ordering::Relaxed);
        tracing::warn!(error, "Redis cannot be reached for the {}", self.what);
        None
    }
}
