//! The follower: keeps this replica's roster, index and vectors equal to the database.
//!
//! It reads the change log after its mark and takes the changed assets in, some at a time, a commit of the index each.
//! Vectors come by a log of their own, later ([`vectors`]). An index that is missing, foreign or damaged is made again by
//! a task beside it, and taken over when it is done ([`rebuilding`]); the one before goes on answering where it can.

mod rebuilding;
mod vectors;

pub(super) use rebuilding::ask_for_new_index;

use super::{
    Inner, document,
    lexical::{Broken, Home, Lexical},
};
use crate::auth::Sight;
use crate::base::AssetId;
use crate::catalog::{CHANGE_CHANNEL, Mark, Searchable};
use rebuilding::Rebuild;
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Changes that are taken in with one commit of the index.
const BATCH: usize = 500;
/// Assets that are read at a time while everything is read.
const PAGE: usize = 1_000;
/// Looks for changes and vectors at least this often.
const IDLE: Duration = Duration::from_millis(400);
/// Looks for declared facets, and for a wish for a new index, this often.
const SETTINGS: Duration = Duration::from_secs(2);
/// How long after the last change the index is tidied.
const QUIET: Duration = Duration::from_secs(3);
/// A pause after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// What the follower keeps from step to step.
#[derive(Default)]
pub(super) struct Follower {
    /// How far the roster reaches; none before it was read.
    mark: Option<Mark>,
    home: Option<Home>,
    index: Option<Lexical>,
    rebuild: Option<Rebuild>,
    /// Until when making an index is not tried again, after it failed.
    not_before: Option<Instant>,
    /// The last wish for a new index.
    wanted_epoch: i64,
    /// The wish that the present index fulfils.
    epoch: i64,
    settings_read: Option<Instant>,
    vectors: vectors::VectorMark,
    /// When the index was last written, until it is tidied.
    quiet_since: Option<Instant>,
}

/// Follows until `stop`; survives the database going away and coming back.
pub(super) async fn run(inner: Arc<Inner>, stop: CancellationToken) {
    let mut wakeups = crate::base::db::Wakeups::new(inner.catalog.db().read.clone(), CHANGE_CHANNEL);
    let ask_for_missing = async {
        while let Err(error) = vectors::queue_missing(&inner).await {
            tracing::warn!(error = %error, "Assets without vectors could not be queued; tried again");
            tokio::time::sleep(PAUSE).await;
        }
        std::future::pending::<()>().await;
    };
    let follow = async {
        loop {
            let outcome = inner.follower.lock().await.step(&inner).await;
            match outcome {
                Ok(true) => {}
                Ok(false) => tokio::select! {
                    () = wakeups.next(IDLE) => {}
                    () = inner.wake.notified() => {}
                },
                Err(error) => {
                    tracing::warn!(error = %error, "The search could not follow the catalog and will try again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow => {}
        () = ask_for_missing => {}
    }
    if let Some(rebuild) = inner.follower.lock().await.rebuild.take() {
        rebuild.abort();
    }
}

impl Follower {
    /// Takes in what has happened since the last step; gives whether there may be more.
    pub(super) async fn step(&mut self, inner: &Arc<Inner>) -> anyhow::Result<bool> {
        let read_settings = self.read_settings(inner).await?;
        if self.mark.is_none() {
            self.start(inner).await?;
            return Ok(true);
        }
        self.look_after_index(inner);
        let adopted = self.adopt_rebuilt(inner).await;
        let followed = self.follow_changes(inner).await?;
        let vectors = self.follow_vectors(inner).await?;
        self.tidy(inner).await;
        Ok(read_settings || adopted || followed || vectors)
    }

    /// Whether there is nothing left to do but to wait for a new index.
    pub(super) fn is_rebuilding(&self) -> bool {
        self.rebuild.is_some()
    }

    async fn read_settings(&mut self, inner: &Arc<Inner>) -> anyhow::Result<bool> {
        if self.settings_read.is_some_and(|at| at.elapsed() < SETTINGS) && !inner.reindex.load(Ordering::Acquire) {
            return Ok(false);
        }
        inner.reindex.store(false, Ordering::Release);
        let facets = inner.catalog.metadata_facets().await?;
        inner.holdings_mut().roster.declare(facets);
        let epoch = rebuilding::epoch(&inner.catalog.db().read).await?;
        let is_new = epoch != self.wanted_epoch;
        self.wanted_epoch = epoch;
        self.settings_read = Some(Instant::now());
        Ok(is_new)
    }

    /// Reads all assets into the roster, all vectors, and opens the index. What fails on the way is begun again from
    /// nothing: assets that went meanwhile are told of by no change after the mark.
    async fn start(&mut self, inner: &Arc<Inner>) -> anyhow::Result<()> {
        let began = Instant::now();
        inner.holdings_mut().clear();
        self.vectors = vectors::VectorMark::default();
        let mark = inner.catalog.newest_mark().await?;
        let everything = Sight::of_everything();
        let mut after = None;
        loop {
            let ids = inner.catalog.asset_ids_after(after, PAGE).await?;
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            let cards = inner.catalog.cards(&everything, &ids).await?;
            let mut holdings = inner.holdings_mut();
            for card in &cards {
                holdings.roster.put(card);
            }
        }
        while self.follow_vectors(inner).await? {}

        self.open_or_rebuild(inner, mark).await;
        self.mark = Some(mark);
        inner.set_mark(mark);
        inner.set_loaded();
        let assets = inner.holdings().roster.len();
        tracing::info!(assets, duration_ms = began.elapsed().as_millis() as u64, "The search has read the catalog");
        Ok(())
    }

    /// Shows the index's last commit to searches.
    async fn publish(&mut self, inner: &Arc<Inner>, index: Lexical) {
        let shown = inner.clone();
        let outcome = blocking(move || {
            let holdings = shown.holdings();
            let snapshot = index.snapshot(|id| holdings.roster.slot(id))?;
            drop(holdings);
            Ok((index, snapshot))
        })
        .await;
        match outcome {
            Ok((index, snapshot)) => {
                inner.index.store(Some(Arc::new(snapshot)));
                inner.set_rebuilding(self.rebuild.is_some() || self.epoch != self.wanted_epoch);
                self.index = Some(index);
            }
            Err(broken) => self.start_rebuild(inner, &broken.to_string()),
        }
    }

    /// Takes in the next changes after the mark of the roster or of the index, whichever is behind.
    async fn follow_changes(&mut self, inner: &Arc<Inner>) -> anyhow::Result<bool> {
        let roster = self.mark.unwrap_or_default();
        let from = self.index.as_ref().map_or(roster, |index| index.mark().min(roster));
        let changes = inner.catalog.all_changes(from, BATCH).await?;
        let Some(last) = changes.last().map(|change| change.mark) else { return Ok(false) };

        let mut ids: Vec<AssetId> = changes.iter().map(|change| change.asset_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let assets = inner.catalog.searchable(&ids).await?;
        let gone = gone(&ids, &assets);
        {
            let mut holdings = inner.holdings_mut();
            for asset in &assets {
                holdings.roster.put(&asset.card);
            }
            for id in &gone {
                holdings.remove(*id);
            }
        }
        self.mark = Some(roster.max(last));
        if let Some(mut index) = self.index.take() {
            let written = blocking(move || {
                assets.iter().try_for_each(|asset| index.put(asset.card.asset_id, &document::fields(asset)))?;
                gone.iter().try_for_each(|id| index.remove(*id))?;
                index.commit(last)?;
                Ok(index)
            });
            match written.await {
                Ok(index) => self.publish(inner, index).await,
                Err(broken) => self.start_rebuild(inner, &broken.to_string()),
            }
        }
        inner.set_mark(self.index.as_ref().map_or(roster.max(last), Lexical::mark));
        inner.count_change();
        self.quiet_since = Some(Instant::now());
        Ok(true)
    }

    /// Brings the parts of the index together when nothing has changed for a while: each part costs every search.
    async fn tidy(&mut self, inner: &Arc<Inner>) {
        if self.quiet_since.is_none_or(|since| since.elapsed() < QUIET) {
            return;
        }
        self.quiet_since = None;
        let Some(mut index) = self.index.take() else { return };
        let tidied = blocking(move || {
            index.merge()?;
            Ok(index)
        });
        match tidied.await {
            Ok(index) => self.publish(inner, index).await,
            Err(broken) => self.start_rebuild(inner, &broken.to_string()),
        }
    }
}

fn gone(asked: &[AssetId], found: &[Searchable]) -> Vec<AssetId> {
    let found: HashSet<AssetId> = found.iter().map(|asset| asset.card.asset_id).collect();
    asked.iter().copied().filter(|id| !found.contains(id)).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Broken> + Send + 'static) -> Result<T, Broken> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(Broken::Damaged("working on it failed".to_owned())))
}
