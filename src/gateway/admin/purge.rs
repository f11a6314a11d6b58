//! Answers taken out of the cache, and out of those of other replicas.

use super::rights;
use super::{Gateway, store};
use crate::audit;
use crate::auth::Actor;
use crate::base::{Problem, db::Wakeups};
use crate::gateway::cache::{Cache, Purge};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is looked for what others took out, whether or not anything was notified.
const LOOK: Duration = Duration::from_secs(1);
/// How far back that goes.
const BACK: Duration = Duration::from_secs(10 * 60);

impl Gateway {
    /// Takes answers out of `cache`. Where replicas share it they are gone for all of them, else each takes out its own
    /// within a second. Gives how many went, here or from what is shared.
    ///
    /// # Errors
    /// 401, 403 for who does not look after the instance's gateway; 422 for what nothing can be called; 503 when the shared
    /// cache does not answer: not all may have gone then.
    pub async fn purge(&self, actor: &Actor, cache: &Cache, which: &Purge) -> Result<usize, Problem> {
        rights::require_instance(actor)?;
        let now = self.inner.clock.now();
        let Purge { route, asset, key } = which;
        for (name, text, most) in [("route", route, 200), ("asset", asset, 300), ("key", key, 200)] {
            if text.as_ref().is_some_and(|text| text.contains('\0') || text.chars().count() > most) {
                let words = format!("must have at most {most} characters, none of them U+0000");
                return Err(Problem::invalid_field(format!("body.{name}"), words));
            }
        }
        let mut tx = self.inner.db.write.begin().await?;
        let subject = audit::Subject { name: "answers", id: None, workspace: None };
        let told = json!({"route": route, "asset": asset, "key": key});
        audit::record(&mut tx, now, &actor.trace(), "cache.purge", subject, None, Some(told)).await?;
        let monotonic = self.inner.clock.monotonic();
        let removed = if cache.is_shared() {
            tx.commit().await?;
            cache.purge(which, monotonic).await
        } else {
            store::put_purge(&mut tx, now, which).await?;
            // Before the commit, which wakes our own follower too: it would take them out uncounted.
            let removed = cache.purge(which, monotonic).await;
            tx.commit().await?;
            removed
        };
        removed.ok_or_else(|| {
            Problem::unavailable("The cache that replicas share cannot be reached; not all may have gone.")
                .with_help("Try again when Redis answers.")
        })
    }

    /// Takes out of `cache`, until `stop`, what others take out of theirs.
    pub async fn follow_purges(self, cache: Cache, stop: CancellationToken) {
        if cache.is_shared() {
            return;
        }
        let clock = &self.inner.clock;
        let mut wakeups = Wakeups::new(self.inner.db.read.clone(), store::PURGES);
        let (mut done, mut looked_at) = (HashSet::new(), clock.monotonic());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = wakeups.next(LOOK) => {}
            }
            let purges = match self.purges().await {
                Ok(purges) => purges,
                Err(error) => {
                    tracing::debug!(error = %error, "What others took out of their caches is not known for now");
                    continue;
                }
            };
            let now = clock.monotonic();
            if now.saturating_sub(looked_at) >= BACK {
                // Something may have been missed: what is asked anew costs less than what is wrong.
                cache.purge(&Purge::default(), now).await;
            }
            looked_at = now;
            for (_, which) in purges.iter().filter(|(id, _)| !done.contains(id)) {
                cache.purge(which, now).await;
            }
            done = purges.into_iter().map(|(id, _)| id).collect();
        }
    }

    async fn purges(&self) -> sqlx::Result<Vec<(Uuid, Purge)>> {
        let mut conn = self.inner.db.read.acquire().await?;
        store::purges(&mut conn, self.inner.clock.now() - BACK).await
    }
}
