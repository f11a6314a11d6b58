//! Counting: how much there is, of what the actor may see.

use crate::auth::Actor;
use crate::catalog::{CardFilter, Catalog, Error, Kind, Sight, card};
use moka::sync::Cache;
use sqlx::PgConnection;
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
#[derive(Clone)]
pub(in crate::catalog) struct Counted {
    all: Cache<(Sight, u64), Arc<Counts>>,
    lists: Cache<(Sight, CardFilter, u64), i64>,
}

/// Counts of a few sights; an entry nobody asks for any more is gone after a minute.
pub(in crate::catalog) fn counted() -> Counted {
    const IDLE: Duration = Duration::from_secs(60);
    Counted {
        all: Cache::builder().max_capacity(100).time_to_idle(IDLE).build(),
        lists: Cache::builder().max_capacity(1_000).time_to_idle(IDLE).build(),
    }
}

impl Catalog {
    /// How much there is that the actor may see; counted again only after a change.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn counts(&self, actor: &Actor) -> Result<Arc<Counts>, Error> {
        // Taken before reading: what changes meanwhile makes these counts old, not the next ones.
        let state = (actor.sight().clone(), self.generations.of_all());
        if let Some(counts) = self.counted.all.get(&state) {
            return Ok(counts);
        }
        let mut conn = self.db.read.acquire().await?;
        let kinds = card::count_by_kind(&mut conn, &state.0).await?;
        let operations = card::count_operations(&mut conn, &state.0).await?;
        let counts = Arc::new(Counts { kinds, operations });
        self.counted.all.insert(state, counts.clone());
        Ok(counts)
    }

    /// How many a list has on all its pages; counted again only after a change.
    pub(in crate::catalog) async fn length(
        &self,
        conn: &mut PgConnection,
        sight: &Sight,
        filter: &CardFilter,
    ) -> Result<i64, Error> {
        let state = (sight.clone(), filter.clone(), self.generations.of_all());
        if let Some(length) = self.counted.lists.get(&state) {
            return Ok(length);
        }
        let length = card::count(conn, sight, filter).await?;
        self.counted.lists.insert(state, length);
        Ok(length)
    }
}
