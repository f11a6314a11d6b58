//! The index of words: opened at the start, made again by a task beside the follower, and taken over when it is done.

use super::{Follower, PAGE, PAUSE, blocking};
use crate::catalog::{Catalog, Mark};
use crate::search::{
    Inner, document,
    lexical::{Broken, Home, Lexical},
};
use sqlx::PgPool;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};
use tokio::task::JoinHandle;

/// A new index that is being made.
pub(super) struct Rebuild {
    /// The wish for a new index that it fulfils.
    epoch: i64,
    task: JoinHandle<anyhow::Result<(Home, Lexical)>>,
}

impl Rebuild {
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

impl Follower {
    /// Opens the index that was kept, or has a new one made.
    pub(super) async fn open_or_rebuild(&mut self, inner: &Arc<Inner>, newest: Mark) {
        match self.open(inner, newest).await {
            Ok(index) => {
                self.epoch = self.wanted_epoch;
                self.publish(inner, index).await;
            }
            Err(broken) => self.start_rebuild(inner, &broken.to_string()),
        }
    }

    async fn open(&mut self, inner: &Arc<Inner>, newest: Mark) -> Result<Lexical, Broken> {
        let (home, instance) = place(inner, &mut self.home, self.wanted_epoch).await?;
        let index = blocking(move || home.open(&instance)).await?;
        // A database restored from a backup has forgotten what the index knows.
        if index.mark() > newest {
            return Err(Broken::Foreign);
        }
        Ok(index)
    }

    /// Makes sure that there is the index that is wanted, or that it is being made.
    pub(super) fn look_after_index(&mut self, inner: &Arc<Inner>) {
        let is_being_made = self.rebuild.as_ref().is_some_and(|rebuild| rebuild.epoch == self.wanted_epoch);
        if is_being_made || self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        if inner.is_broken.swap(false, Ordering::AcqRel) {
            inner.index.store(None);
            self.index = None;
            self.start_rebuild(inner, "it could not be read");
        } else if self.epoch != self.wanted_epoch {
            self.start_rebuild(inner, "it was asked for");
        } else if self.index.as_ref().is_none_or(|index| !index.is_there()) {
            self.start_rebuild(inner, "its files are gone");
        }
    }

    pub(super) fn start_rebuild(&mut self, inner: &Arc<Inner>, reason: &str) {
        if let Some(before) = self.rebuild.take() {
            before.abort();
        }
        tracing::info!(reason, "The index of words is being made again");
        inner.set_rebuilding(true);
        let (inner, mut home, epoch) = (inner.clone(), self.home.clone(), self.wanted_epoch);
        let task = tokio::spawn(async move {
            let (home, instance) = place(&inner, &mut home, epoch).await?;
            let index = rebuild(&inner.catalog, home.clone(), instance).await?;
            inner.wake.notify_one();
            Ok((home, index))
        });
        self.rebuild = Some(Rebuild { epoch, task });
    }

    /// Takes a new index over when it is ready.
    pub(super) async fn adopt_rebuilt(&mut self, inner: &Arc<Inner>) -> bool {
        let Some(rebuild) = self.rebuild.take_if(|rebuild| rebuild.task.is_finished()) else { return false };
        // One that was aborted is not here any more: what did not end by itself has panicked.
        match rebuild.task.await.unwrap_or_else(|panic| Err(panic.into())) {
            Ok((home, index)) => {
                // The old one must not write any more when its folder goes.
                self.index = None;
                if let Err(error) = home.use_from_now(&index) {
                    tracing::warn!(error = %error, "The index is used but will be made again at the next start");
                }
                self.home = Some(home);
                self.epoch = rebuild.epoch;
                self.publish(inner, index).await;
                tracing::info!("The index of words is ready");
            }
            Err(error) => {
                tracing::warn!(error = %error, "The index of words could not be made and will be tried again");
                self.not_before = Some(Instant::now() + PAUSE);
            }
        }
        true
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

/// The id of this installation, made by whichever replica asks first.
async fn instance(db: &PgPool) -> Result<String, sqlx::Error> {
    sqlx::query("insert into instance (name, value) values ('id', $1) on conflict (name) do nothing")
        .bind(uuid::Uuid::now_v7().to_string())
        .execute(db)
        .await?;
    sqlx::query_scalar("select value from instance where name = 'id'").fetch_one(db).await
}

/// How often new indexes were asked for.
pub(super) async fn epoch(db: &PgPool) -> Result<i64, sqlx::Error> {
    let epoch: Option<String> =
        sqlx::query_scalar("select value from instance where name = 'search-epoch'").fetch_optional(db).await?;
    Ok(epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(0))
}

/// Asks all replicas to make their indexes again.
pub(in crate::search) async fn ask_for_new_index(db: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into instance (name, value) values ('search-epoch', '1')
         on conflict (name) do update set value = (instance.value::bigint + 1)::text",
    )
    .execute(db)
    .await?;
    Ok(())
}
