//! Counting: how much there is, of what the actor may see.

use crate::auth::Actor;
use crate::catalog::{Catalog, Error, Kind, Sight, card};
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// How much there is, of what an actor may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Live assets of each kind, most first.
    pub kinds: Vec<(Kind, i64)>,
    /// Operations and tools of their latest versions.
    pub operations: i64,
}

/// Counts that are still true: by who sees, and the state of the catalog they were taken in.
pub(in crate::catalog) type Counted = Cache<(Sight, u64), Arc<Counts>>;

/// Counts of a few sights; an entry nobody asks for any more is gone after a minute.
pub(in crate::catalog) fn counted() -> Counted {
    Cache::builder().max_capacity(100).time_to_idle(Duration::from_secs(60)).build()
}

impl Catalog {
    /// How much there is that the actor may see; counted again only after a change.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn counts(&self, actor: &Actor) -> Result<Arc<Counts>, Error> {
        let sight = actor.sight();
        // Taken before reading: what changes meanwhile makes these counts old, not the next ones.
        let state = (sight, self.generations.of_all());
        if let Some(counts) = self.counted.get(&state) {
            return Ok(counts);
        }
        let mut conn = self.db.read.acquire().await?;
        let kinds = card::count_by_kind(&mut conn, &state.0).await?;
        let operations = card::count_operations(&mut conn, &state.0).await?;
        let counts = Arc::new(Counts { kinds, operations });
        self.counted.insert(state, counts.clone());
        Ok(counts)
    }
}
