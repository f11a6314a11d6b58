//! Counters that move with every change, so that ready answers can be kept as long as they are true.

use sqlx::{PgPool, postgres::PgListener};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Names share this many counters: a change makes answers about few other assets void.
const SHARDS: usize = 4_096;

/// One counter for everything, and one for each group of names; cheap to clone, all clones count together.
///
/// Take the number before reading from the database and keep it with the answer: the answer is true as long as the
/// number has not moved. Counters move after a commit here, and when the database tells of a commit elsewhere.
#[derive(Clone, Debug)]
pub struct Generations(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    all: AtomicU64,
    shards: Vec<AtomicU64>,
}

impl Default for Generations {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Counters { all: AtomicU64::new(0), shards }))
    }
}

impl Generations {
    /// Moves with every change of any asset.
    #[must_use]
    pub fn of_all(&self) -> u64 {
        self.0.all.load(Ordering::Acquire)
    }

    /// Moves with every change of the asset of this registry name (and seldom with another's).
    #[must_use]
    pub fn of_name(&self, registry_name: &str) -> u64 {
        self.shard(registry_name).load(Ordering::Acquire)
    }

    /// An asset of this registry name changed.
    pub fn changed(&self, registry_name: &str) {
        self.shard(registry_name).fetch_add(1, Ordering::AcqRel);
        self.0.all.fetch_add(1, Ordering::AcqRel);
    }

    /// Anything may have changed: messages were missed.
    pub fn everything_changed(&self) {
        for shard in &self.0.shards {
            shard.fetch_add(1, Ordering::AcqRel);
        }
        self.0.all.fetch_add(1, Ordering::AcqRel);
    }

    fn shard(&self, registry_name: &str) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        registry_name.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % SHARDS as u64).expect("a remainder of a usize fits");
        &self.0.shards[at]
    }
}

/// Moves the counters when the database tells of a commit, wherever it was made; until `stop`.
///
/// While the connection is away nothing is heard, so everything counts as changed when it is back.
pub async fn follow_changes(db: PgPool, generations: Generations, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let listener = async {
            let mut listener = PgListener::connect_with(&db).await?;
            listener.listen(super::CHANGE_CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match listener.await {
            Err(error) => {
                tracing::warn!(error = %error, "Changes of other replicas cannot be followed now");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
            Ok(mut listener) => {
                generations.everything_changed();
                loop {
                    let told = tokio::select! {
                        () = stop.cancelled() => return,
                        told = listener.try_recv() => told,
                    };
                    match told {
                        Ok(Some(told)) => generations.changed(told.payload()),
                        Ok(None) | Err(_) => break,
                    }
                }
            }
        }
        // Between two connections anything may have happened.
        generations.everything_changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_moves_its_own_counter_and_the_common_one() {
        let generations = Generations::default();
        let (own, all) = (generations.of_name("a/b"), generations.of_all());

        generations.clone().changed("a/b");

        assert!(generations.of_name("a/b") > own && generations.of_all() > all);
    }
}
