//! What credentials turned out to mean, kept until the database tells that something changed.
//!
//! A trigger on every table that decides who somebody is notifies on the channel [`CHANNEL`]. Entries are kept under the
//! generation they were asked for in, and each notification starts the next one, so nothing asked for before a change is
//! believed after it. While notifications cannot be heard a new generation starts every second.

use super::actor::Actor;
use futures::FutureExt;
use moka::future::Cache;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// The channel of the triggers in the migrations.
const CHANNEL: &str = "access_changed";

/// Even unchanged, an entry is asked for again after this time; what is noted of a credential's use is as fresh.
const LONGEST: Duration = Duration::from_secs(60);

/// How many credentials are remembered.
const MOST: u64 = 50_000;

/// What a credential turned out to mean.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    Somebody {
        actor: Arc<Actor>,
        /// When the credential ends by itself.
        ends_at: Option<OffsetDateTime>,
        /// When the first of the roles ends, and must be asked for again.
        changes_at: Option<OffsetDateTime>,
    },
    /// Known, but ended, revoked, or of somebody who was disabled.
    Ended,
    Unknown,
}

/// Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub(super) struct Remembered {
    generation: Arc<AtomicU64>,
    meanings: Cache<([u8; 32], u64), Arc<Meaning>>,
}

impl Remembered {
    pub fn new() -> Self {
        let meanings = Cache::builder().max_capacity(MOST).time_to_live(LONGEST).build();
        Self { generation: Arc::default(), meanings }
    }

    /// The meaning of the credential of this digest: as remembered, else as `ask` finds it; one `ask` at a time.
    ///
    /// # Errors
    /// Those of `ask`.
    pub async fn meaning<E, F, A>(&self, digest: [u8; 32], now: OffsetDateTime, ask: F) -> Result<Arc<Meaning>, Arc<E>>
    where
        F: Fn() -> A,
        A: Future<Output = Result<Meaning, E>>,
        E: Send + Sync + 'static,
    {
        if let Some(found) = self.recall(digest, now) {
            return Ok(found);
        }
        let key = (digest, self.generation.load(Ordering::Acquire));
        // Boxed: what asks the database is large, and every request would be moved about with room for it.
        let asking = || Box::pin(self.meanings.try_get_with(key, async { ask().await.map(Arc::new) }));
        let found = asking().await?;
        match &*found {
            Meaning::Somebody { changes_at: Some(at), .. } if *at <= now => {
                self.meanings.invalidate(&key).await;
                asking().await
            }
            _ => Ok(found),
        }
    }

    /// The meaning of the credential of this digest, where it is remembered and holds; asks nothing and waits for nothing.
    pub fn recall(&self, digest: [u8; 32], now: OffsetDateTime) -> Option<Arc<Meaning>> {
        let key = (digest, self.generation.load(Ordering::Acquire));
        let found = self.meanings.get(&key).now_or_never().flatten()?;
        let changed = matches!(&*found, Meaning::Somebody { changes_at: Some(at), .. } if *at <= now);
        (!changed).then_some(found)
    }

    /// Which one it is now; what is kept elsewhere under it is as true.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Everything is asked for again.
    pub fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Follows the notifications of all replicas until `stop`.
    pub async fn follow(&self, db: &PgPool, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.changed();
            if let Err(error) = self.listen(db, stop).await {
                tracing::warn!(error = %error, "Changes of keys and roles cannot be followed now; they count within a second");
            }
            self.changed();
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    async fn listen(&self, db: &PgPool, stop: &CancellationToken) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(db).await?;
        listener.listen(CHANNEL).await?;
        self.changed();
        loop {
            let told = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                told = listener.try_recv() => told?,
            };
            if told.is_none() {
                return Ok(());
            }
            self.changed();
        }
    }
}
