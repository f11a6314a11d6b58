//! The follower: keeps this replica's roster, index and vectors equal to the database.
//!
//! It reads the change log after its mark and takes the changed assets in, some at a time, a commit of the index each.
//! Vectors come by a log of their own, later. An index that is missing, foreign or damaged is made again by a task
//! beside it, and taken over when it is done; the one before goes on answering where it can.

use super::{
    Inner, document,
    lexical::{Broken, Home, Lexical},
    passages,
};
use crate::auth::Sight;
use crate::base::AssetId;
use crate::catalog::{CHANGE_CHANNEL, Catalog, Mark, Searchable};
use sqlx::PgPool;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

/// Changes that are taken in with one commit of the index.
const BATCH: usize = 500;
/// Assets that are read at a time while everything is read.
const PAGE: usize = 1_000;
/// Looks for changes and vectors at least this often.
const IDLE: Duration = Duration::from_millis(400);
/// Looks for declared facets, and for a wish for a new index, this often.
const SETTINGS: Duration = Duration::from_secs(2);
/// Vectors may become visible this much later than the time they bear: the longest transaction that writes them.
const LATE: Duration = Duration::from_secs(15);
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
    rebuild: Option<JoinHandle<anyhow::Result<(Home, Lexical)>>>,
    /// Until when making an index is not tried again, after it failed.
    not_before: Option<Instant>,
    /// The wish for a new index that the present one fulfils.
    epoch: i64,
    settings_read: Option<Instant>,
    vectors: VectorMark,
    /// When the index was last written, until it is tidied.
    quiet_since: Option<Instant>,
}

/// How far the vectors were read.
#[derive(Default)]
struct VectorMark {
    newest: Option<OffsetDateTime>,
    /// What was read of the last moments, which are read again.
    read: HashMap<AssetId, OffsetDateTime>,
    /// Assets whose vectors are to be read.
    waiting: HashSet<AssetId>,
}

/// Follows until `stop`; survives the database going away and coming back.
pub(super) async fn run(inner: Arc<Inner>, stop: CancellationToken) {
    let mut wakeups = crate::base::db::Wakeups::new(inner.catalog.db().read.clone(), CHANGE_CHANNEL);
    let ask_for_missing = async {
        if let Err(error) = inner.queue_missing().await {
            tracing::warn!(error = %error, "Assets without vectors could not be queued");
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
        self.look_after_index(inner).await;
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
        let epoch = epoch(&inner.catalog.db().read).await?;
        let is_new = epoch != self.epoch && self.mark.is_some();
        self.epoch = epoch;
        self.settings_read = Some(Instant::now());
        if is_new {
            self.start_rebuild(inner, "it was asked for");
        }
        Ok(is_new)
    }

    /// Reads all assets into the roster, all vectors, and opens the index.
    async fn start(&mut self, inner: &Arc<Inner>) -> anyhow::Result<()> {
        let began = Instant::now();
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
        self.mark = Some(mark);
        inner.set_mark(mark);

        match self.open(inner, mark).await {
            Ok(index) => self.publish(inner, index).await,
            Err(broken) => self.start_rebuild(inner, &broken.to_string()),
        }
        while self.follow_vectors(inner).await? {}
        inner.set_loaded();
        let assets = inner.holdings().roster.len();
        tracing::info!(assets, duration_ms = began.elapsed().as_millis() as u64, "The search has read the catalog");
        Ok(())
    }

    async fn open(&mut self, inner: &Arc<Inner>, newest: Mark) -> Result<Lexical, Broken> {
        let (home, instance) = place(inner, &mut self.home, self.epoch).await?;
        let index = blocking(move || home.open(&instance)).await?;
        // A database restored from a backup has forgotten what the index knows.
        if index.mark() > newest {
            return Err(Broken::Foreign);
        }
        Ok(index)
    }

    /// Makes sure that there is an index, or that one is being made.
    async fn look_after_index(&mut self, inner: &Arc<Inner>) {
        if self.rebuild.is_some() || self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        if inner.is_broken.swap(false, Ordering::AcqRel) {
            inner.index.store(None);
            self.index = None;
            self.start_rebuild(inner, "it could not be read");
        } else if self.index.as_ref().is_none_or(|index| !index.is_there()) {
            self.start_rebuild(inner, "its files are gone");
        }
    }

    fn start_rebuild(&mut self, inner: &Arc<Inner>, reason: &str) {
        if let Some(before) = self.rebuild.take() {
            before.abort();
        }
        tracing::info!(reason, "The index of words is being made again");
        inner.set_rebuilding(true);
        let (inner, mut home, epoch) = (inner.clone(), self.home.clone(), self.epoch);
        self.rebuild = Some(tokio::spawn(async move {
            let (home, instance) = place(&inner, &mut home, epoch).await?;
            let index = rebuild(&inner.catalog, home.clone(), instance).await?;
            inner.wake.notify_one();
            Ok((home, index))
        }));
    }

    /// Takes a new index over when it is ready.
    async fn adopt_rebuilt(&mut self, inner: &Arc<Inner>) -> bool {
        let Some(rebuild) = self.rebuild.take_if(|rebuild| rebuild.is_finished()) else { return false };
        match rebuild.await {
            Ok(Ok((home, index))) => {
                // The old one must not write any more when its folder goes.
                self.index = None;
                if let Err(error) = home.use_from_now(&index) {
                    tracing::warn!(error = %error, "The index is used but will be made again at the next start");
                }
                self.home = Some(home);
                self.publish(inner, index).await;
                tracing::info!("The index of words is ready");
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "The index of words could not be made and will be tried again");
                self.not_before = Some(Instant::now() + PAUSE);
            }
            // Another one was started in its place.
            Err(_) => {}
        }
        true
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
                inner.set_rebuilding(false);
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

    /// Takes in the vectors that were written lately.
    async fn follow_vectors(&mut self, inner: &Arc<Inner>) -> anyhow::Result<bool> {
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

/// A new index of everything, as far as the log now goes.
async fn rebuild(catalog: &Catalog, home: Home, instance: String) -> anyhow::Result<Lexical> {
    let mark = catalog.newest_mark().await?;
    let mut index = blocking(move || home.create(&instance)).await?;
    let mut after = None;
    loop {
        let ids = catalog.asset_ids_after(after, PAGE).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        let assets = catalog.searchable(&ids).await?;
        index = blocking(move || {
            for asset in &assets {
                index.put(asset.card.asset_id, &document::fields(asset))?;
            }
            Ok(index)
        })
        .await?;
    }
    Ok(blocking(move || {
        index.commit(mark)?;
        Ok(index)
    })
    .await?)
}

/// This process's place for indexes, taken when there is none yet, and what an index made now is marked with.
async fn place(inner: &Inner, home: &mut Option<Home>, epoch: i64) -> Result<(Home, String), Broken> {
    let instance = instance(&inner.catalog.db().write).await.map_err(|error| Broken::Damaged(error.to_string()))?;
    let taken = match home {
        Some(home) => home.clone(),
        None => {
            let folder = inner.folder.clone();
            home.insert(blocking(move || Home::take(&folder)).await?).clone()
        }
    };
    Ok((taken, format!("{instance}:{epoch}")))
}

fn gone(asked: &[AssetId], found: &[Searchable]) -> Vec<AssetId> {
    let found: HashSet<AssetId> = found.iter().map(|asset| asset.card.asset_id).collect();
    asked.iter().copied().filter(|id| !found.contains(id)).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Broken> + Send + 'static) -> Result<T, Broken> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(Broken::Damaged("working on it failed".to_owned())))
}

/// The id of this installation, made by whichever replica asks first.
async fn instance(db: &PgPool) -> Result<String, sqlx::Error> {
    sqlx::query("insert into instance (name, value) values ('id', $1) on conflict (name) do nothing")
        .bind(uuid::Uuid::now_v7().to_string())
        .execute(db)
        .await?;
    sqlx::query_scalar("select value from instance where name = 'id'").fetch_one(db).await
}

/// How often new indexes were asked for.
async fn epoch(db: &PgPool) -> Result<i64, sqlx::Error> {
    let epoch: Option<String> =
        sqlx::query_scalar("select value from instance where name = 'search-epoch'").fetch_optional(db).await?;
    Ok(epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(0))
}

/// Asks all replicas to make their indexes again.
pub(super) async fn ask_for_new_index(db: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into instance (name, value) values ('search-epoch', '1')
         on conflict (name) do update set value = (instance.value::bigint + 1)::text",
    )
    .execute(db)
    .await?;
    Ok(())
}
