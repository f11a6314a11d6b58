//! The vectors: read by a log of their own, the times they were written, and held when the roster knows their assets.

use super::{Follower, PAGE};
use crate::base::AssetId;
use crate::embed::State;
use crate::search::{Inner, passages};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;

/// Vectors may become visible this much later than the time they bear: the longest transaction that writes them.
const LATE: Duration = Duration::from_secs(15);

/// How far the vectors were read.
#[derive(Default)]
pub(super) struct VectorMark {
    newest: Option<OffsetDateTime>,
    /// What was read of the last moments, which are read again.
    read: HashMap<AssetId, OffsetDateTime>,
    /// Assets whose vectors are to be read.
    waiting: HashSet<AssetId>,
}

impl Follower {
    /// Takes in the vectors that were written lately.
    pub(super) async fn follow_vectors(&mut self, inner: &Arc<Inner>) -> anyhow::Result<bool> {
        let (db, model) = (&inner.catalog.db().read, inner.embedder.model());
        let since = self.vectors.newest.map_or(OffsetDateTime::UNIX_EPOCH, |newest| newest - LATE);
        let mut after = (since, None);
        let mut took = false;
        loop {
            let written = passages::written(db, model, after.0, after.1, PAGE as i64).await?;
            let Some(&(last, at)) = written.last() else { break };
            after = (at, Some(last));
            let is_last = written.len() < PAGE;
            self.vectors.newest = self.vectors.newest.max(Some(at));
            let new = written.into_iter().filter(|(id, at)| self.vectors.read.get(id) != Some(at));
            let new: Vec<(AssetId, OffsetDateTime)> = new.collect();
            self.vectors.waiting.extend(new.iter().map(|(id, _)| *id));
            self.vectors.read.extend(new);
            took |= self.take_vectors(inner).await?;
            if is_last {
                break;
            }
        }
        took |= self.take_vectors(inner).await?;
        if let Some(newest) = self.vectors.newest {
            self.vectors.read.retain(|_, at| *at + LATE >= newest);
        }
        if took {
            inner.count_change();
        }
        Ok(took)
    }

    /// Reads the vectors of waiting assets that the roster knows; the others' registration is yet to be read.
    async fn take_vectors(&mut self, inner: &Arc<Inner>) -> anyhow::Result<bool> {
        let known: Vec<AssetId> = {
            let holdings = inner.holdings();
            let is_known = |id: &&AssetId| holdings.roster.slot(**id).is_some();
            self.vectors.waiting.iter().filter(is_known).copied().collect()
        };
        if known.is_empty() {
            return Ok(false);
        }
        let stored = passages::load(&inner.catalog.db().read, inner.embedder.model(), &known).await?;
        for id in &known {
            self.vectors.waiting.remove(id);
        }
        let mut holdings = inner.holdings_mut();
        stored.into_iter().for_each(|stored| holdings.put_vectors(stored));
        Ok(true)
    }
}

/// Asks the queue for the vectors that are missing, once the model is there.
pub(super) async fn queue_missing(inner: &Inner) -> Result<(), sqlx::Error> {
    if inner.embedder.loaded().await == State::Ready {
        let now = inner.catalog.clock().now();
        let queued = passages::queue_missing(inner.catalog.db(), inner.embedder.model(), now).await?;
        if queued > 0 {
            tracing::info!(assets = queued, "Assets without vectors were queued");
        }
    }
    Ok(())
}
