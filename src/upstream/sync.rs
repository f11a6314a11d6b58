//! A run: pages are fetched, filtered and taken over, each in one transaction with the place where the scan goes on.

use super::Upstreams;
use super::missing::{self, Met};
use super::page::{self, Part};
use super::run::{self, Run, RunState};
use super::source::{self, Kind, Upstream};
use crate::auth::Actor;
use crate::base::{Fetched, Problem, UpstreamId};
use crate::catalog::{MirrorBatch, MirrorEntry};
use crate::notify::{self, Notice};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::HashSet;
use time::Duration;
use tokio_util::sync::CancellationToken;

/// Entries of a file that are stored in one transaction.
const BATCH: usize = 100;
/// Any number that nothing else locks in its first half.
const LOCK: i32 = 0x75_70;
/// A cursor that fails this often is given up: the scan begins again with its first page.
const CURSOR_TRIES: i32 = 4;

/// Why a run came to no end.
enum Halt {
    /// Asked to stop, or overtaken.
    Interrupted,
    Failed(Problem),
}

impl<E: Into<Problem>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Upstreams {
    /// Runs what is due now, one after the other; gives how many ran here.
    ///
    /// # Errors
    /// 503 when the database does not answer. What goes wrong with an upstream stands in its run.
    pub async fn run_due(&self, stop: &CancellationToken) -> Result<usize, Problem> {
        let due = source::due(&mut *self.db.read.acquire().await?, self.clock.now()).await?;
        let mut ran = 0;
        for id in due {
            if stop.is_cancelled() {
                break;
            }
            ran += usize::from(self.run_one(id, stop).await?);
        }
        Ok(ran)
    }

    /// Runs one, unless another replica does; gives whether it ran.
    async fn run_one(&self, id: UpstreamId, stop: &CancellationToken) -> Result<bool, Problem> {
        let Some(lock) = self.lock(id).await? else { return Ok(false) };
        let Some((mut upstream, mut run)) = self.begin(id).await? else { return Ok(false) };
        let actor = Actor::system(format!("upstream {}", upstream.name));
        let outcome = match upstream.kind {
            Kind::Registry => self.scan(&actor, &mut upstream, &mut run, stop).await,
            Kind::File => self.read_file(&actor, &mut upstream, &mut run, stop).await,
        };
        self.end(&mut run, outcome).await?;
        release(lock, id).await;
        Ok(true)
    }

    /// A connection of its own that holds the lock: however we end, Postgres lets go of it with the connection.
    async fn lock(&self, id: UpstreamId) -> Result<Option<PgConnection>, Problem> {
        let mut conn = self.db.write.acquire().await?.detach();
        let got: bool = sqlx::query_scalar("select pg_try_advisory_lock($1, hashtext($2))")
            .bind(LOCK)
            .bind(id.to_string())
            .fetch_one(&mut conn)
            .await?;
        Ok(got.then_some(conn))
    }

    async fn begin(&self, id: UpstreamId) -> Result<Option<(Upstream, Run)>, Problem> {
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let Some(mut upstream) = source::find_by_id(&mut tx, id).await? else { return Ok(None) };
        if upstream.is_paused || upstream.next_run_at > now {
            return Ok(None);
        }
        let resumed = upstream.scan_started_at.is_some();
        if !resumed {
            upstream.scan_since = upstream.mark.map(|mark| mark - Duration::minutes(upstream.overlap_minutes.into()));
            upstream.scan_started_at = Some(now);
            upstream.scan_cursor = None;
        } else if upstream.failures > 0 && upstream.failures % CURSOR_TRIES == 0 {
            upstream.scan_cursor = None;
        }
        let run = Run::begin(id, upstream.scan_since, resumed, now);
        upstream.run_id = Some(run.run_id);
        run::insert(&mut tx, &run).await?;
        source::set_progress(&mut tx, &upstream).await?;
        tx.commit().await?;
        tracing::info!(upstream.id = %id, "Upstream {} is read{}", upstream.name, if resumed { " on" } else { "" });
        Ok(Some((upstream, run)))
    }

    /// Pages of a registry, from where the scan stands to its end.
    async fn scan(
        &self,
        actor: &Actor,
        upstream: &mut Upstream,
        run: &mut Run,
        stop: &CancellationToken,
    ) -> Result<(), Halt> {
        let is_everything = upstream.scan_since.is_none();
        // Only who was there from the first page to the last knows what is not there.
        let is_whole = is_everything && upstream.scan_cursor.is_none();
        let mut part = upstream.scan_since.map_or(Part::EverythingWithDeleted, Part::Since);
        let (mut asked, mut met) = (HashSet::new(), Met::default());
        loop {
            let fetched = tokio::select! {
                () = stop.cancelled() => return Err(Halt::Interrupted),
                fetched = self.fetch_page(upstream, &mut part) => fetched?,
            };
            let read = page::of_registry(&fetched.bytes)?;
            if let Some(next) = &read.next
                && !asked.insert(next.clone())
            {
                let detail = "The upstream leads in a circle: it gave the same cursor twice.";
                return Err(Halt::Failed(Problem::new(
                    http::StatusCode::BAD_GATEWAY,
                    "fetch-failed",
                    "Fetch failed",
                    detail,
                )));
            }
            upstream.scan_cursor = read.next;
            run.pages += 1;
            if is_whole {
                met.add(&read.entries);
            }
            self.store(actor, upstream, run, &read.entries).await?;
            if upstream.scan_cursor.is_none() {
                break;
            }
        }
        if is_whole {
            return self.delete_missing(actor, upstream, run, &met, stop).await;
        }
        if is_everything {
            run.note = Some(
                "It went on where a run before it had ended, so it cannot tell what is no longer there. Read everything \
                 once more to find that."
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The page at which the scan stands. Where the upstream does not know how to give what was deleted, it is asked for the
    /// rest from then on.
    async fn fetch_page(&self, upstream: &Upstream, part: &mut Part) -> Result<Fetched, Problem> {
        let address = |part| page::address(&upstream.url, part, upstream.scan_cursor.as_deref());
        if *part == Part::EverythingWithDeleted {
            if let Some(fetched) = self.http.fetch_if_there(address(*part)?.as_str()).await? {
                return Ok(fetched);
            }
            *part = Part::Everything;
        }
        self.http.fetch(address(*part)?.as_str()).await
    }

    /// A whole file; what came from it and is no longer in it is deleted.
    async fn read_file(
        &self,
        actor: &Actor,
        upstream: &mut Upstream,
        run: &mut Run,
        stop: &CancellationToken,
    ) -> Result<(), Halt> {
        let fetched = tokio::select! {
            () = stop.cancelled() => return Err(Halt::Interrupted),
            fetched = self.http.fetch(&upstream.url) => fetched?,
        };
        let entries = page::of_file(&fetched.bytes)?;
        let mut met = Met::default();
        met.add(&entries);
        for batch in entries.chunks(BATCH) {
            if stop.is_cancelled() {
                return Err(Halt::Interrupted);
            }
            run.pages += 1;
            self.store(actor, upstream, run, batch).await?;
        }
        self.delete_missing(actor, upstream, run, &met, stop).await
    }

    /// Deletes what came from the upstream and was not met in a reading of all of it. What is suspiciously much waits for a
    /// person.
    async fn delete_missing(
        &self,
        actor: &Actor,
        upstream: &Upstream,
        run: &mut Run,
        met: &Met,
        stop: &CancellationToken,
    ) -> Result<(), Halt> {
        let known = self.catalog.mirrored_versions(upstream.upstream_id).await?;
        let verdict = missing::judge(known, met, upstream.may_delete);
        run.note = verdict.note;
        for paths in verdict.deleted.chunks(BATCH) {
            let mut gone = Vec::with_capacity(paths.len());
            for (name, version) in paths {
                if stop.is_cancelled() {
                    return Err(Halt::Interrupted);
                }
                // Where pages are counted off, what is deleted before the place moves the rest past it unseen.
                if upstream.kind == Kind::File || !self.is_there(upstream, name, version).await? {
                    gone.push((name, version));
                }
            }
            let mut counted = run.clone();
            let mut batch = self.begin_batch(actor, upstream, run).await?;
            for (name, version) in gone {
                counted.deleted += i32::from(batch.drop_missing(name, version).await?);
            }
            run::update(batch.connection(), &counted).await?;
            batch.commit().await?;
            *run = counted;
        }
        let mut conn = self.db.write.acquire().await?;
        Ok(source::set_missing(&mut conn, upstream.upstream_id, run.run_id, verdict.kept).await?)
    }

    /// Whether a registry still has a version when it is asked for that one.
    async fn is_there(&self, upstream: &Upstream, name: &str, version: &str) -> Result<bool, Problem> {
        let url = page::of_version(&upstream.url, name, version)?;
        Ok(self.http.fetch_if_there(url.as_str()).await?.is_some())
    }

    /// A batch of the run, unless somebody else runs the upstream by now, or it was changed under our feet.
    async fn begin_batch<'a>(
        &'a self,
        actor: &'a Actor,
        upstream: &Upstream,
        run: &Run,
    ) -> Result<MirrorBatch<'a>, Halt> {
        let mut batch = self.catalog.begin_mirroring(actor, upstream.workspace_id, upstream.upstream_id).await?;
        let current = source::find_by_id(batch.connection(), upstream.upstream_id).await?;
        match current.is_some_and(|current| current.run_id == Some(run.run_id) && !current.is_paused) {
            true => Ok(batch),
            false => Err(Halt::Interrupted),
        }
    }

    /// Takes entries over, and notes in the same transaction what the run did and where it stands.
    async fn store(&self, actor: &Actor, upstream: &Upstream, run: &mut Run, entries: &[String]) -> Result<(), Halt> {
        let mut counted = run.clone();
        let mut batch = self.begin_batch(actor, upstream, run).await?;
        for text in entries {
            counted.seen += 1;
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            let server = value.get("server").unwrap_or(&value);
            if !upstream.filter.takes(server) {
                counted.passed_over += 1;
                continue;
            }
            let said = |member: &str| server.get(member).and_then(Value::as_str).unwrap_or_default();
            let taken = match MirrorEntry::read(text.as_bytes()) {
                Ok(entry) => {
                    let approved = upstream.approve.iter().any(|rule| rule.approves(server));
                    batch.take(&entry, approved).await
                }
                Err(error) => Err(error),
            };
            match taken {
                Ok((mirrored, waits)) => counted.count(mirrored, waits),
                Err(error) => match Problem::from(error) {
                    gone if gone.status == http::StatusCode::SERVICE_UNAVAILABLE => return Err(Halt::Failed(gone)),
                    problem => counted.reject(said("name"), said("version"), problem.detail),
                },
            }
        }
        source::set_progress(batch.connection(), upstream).await?;
        run::update(batch.connection(), &counted).await?;
        batch.commit().await?;
        *run = counted;
        Ok(())
    }

    /// Writes how the run ended, and when the next one is due.
    async fn end(&self, run: &mut Run, outcome: Result<(), Halt>) -> Result<(), Problem> {
        let now = self.clock.now();
        run.ended_at = Some(now);
        let mut tx = self.db.write.begin().await?;
        let current = source::find_by_id(&mut tx, run.upstream_id).await?;
        let Some(mut upstream) = current.filter(|current| current.run_id == Some(run.run_id)) else {
            run.state = RunState::Interrupted;
            run::update(&mut tx, run).await?;
            tx.commit().await?;
            return Ok(());
        };
        match outcome {
            Ok(()) => {
                run.state = RunState::Succeeded;
                upstream.mark = upstream.scan_started_at.or(upstream.mark);
                upstream.scan_started_at = None;
                upstream.scan_since = None;
                upstream.scan_cursor = None;
                upstream.failures = 0;
                upstream.next_run_at = now + Duration::minutes(upstream.every_minutes.into());
            }
            Err(Halt::Interrupted) => {
                run.state = RunState::Interrupted;
                upstream.next_run_at = now;
            }
            Err(Halt::Failed(problem)) => {
                run.state = RunState::Failed;
                tracing::warn!(upstream.id = %run.upstream_id, error = %problem, "Reading upstream {} failed", upstream.name);
                run.error = Some(problem.detail);
                upstream.failures = upstream.failures.saturating_add(1);
                if upstream.failures == 1 {
                    let told = json!({"upstream": upstream.name, "error": run.error});
                    let notice = Notice::new(notify::Kind::SourceFailed, now, upstream.name.as_str());
                    notify::publish(&mut tx, notice.of_workspace(upstream.workspace_id).with(told)).await?;
                }
                upstream.next_run_at = now + pause(upstream.failures, upstream.every_minutes);
            }
        }
        upstream.run_id = None;
        source::set_progress(&mut tx, &upstream).await?;
        run::update(&mut tx, run).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Lets go of the lock before the next run is looked for: with a connection that is only dropped it ends some time later.
async fn release(mut lock: PgConnection, id: UpstreamId) {
    let freed = sqlx::query("select pg_advisory_unlock($1, hashtext($2))").bind(LOCK).bind(id.to_string());
    if let Err(error) = freed.execute(&mut lock).await {
        tracing::debug!(error = %error, "The lock of an upstream ends with its connection");
    }
}

/// How long to wait after this many failures: from half a minute, doubling, but never longer than the schedule has it.
fn pause(failures: i32, every_minutes: i32) -> Duration {
    let seconds = 30_i64 << failures.saturating_sub(1).clamp(0, 12);
    Duration::seconds(seconds.min(i64::from(every_minutes) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_make_for_longer_pauses_but_not_beyond_the_schedule() {
        let pauses: Vec<i64> = [1, 2, 3, 5, 8, 40].map(|failures| pause(failures, 60).whole_seconds()).into();

        assert_eq!(pauses, [30, 60, 120, 480, 3_600, 3_600]);
        assert_eq!(pause(3, 1).whole_seconds(), 60);
    }
}
