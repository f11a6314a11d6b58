//! The worker: claims what is due, runs it, tries again with growing pauses, and lays aside what never succeeds.

use super::Event;
use crate::base::Clock;
use futures::future::BoxFuture;
use serde_json::Value;
use sqlx::{PgPool, postgres::PgListener};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A claim older than this is void: its worker died.
const CLAIM_HOLDS: Duration = Duration::from_secs(120);
/// How often a job is tried before it is laid aside.
const ATTEMPTS: i32 = 8;
/// How many jobs are handed over at a time.
const BATCH: i64 = 64;
/// Looks for due jobs at least this often, for retries and for wake-ups that were missed.
const IDLE: Duration = Duration::from_secs(1);

/// What a reaction gets: the events of one kind, some at a time, so that it can share work between them.
pub type Delivery = Arc<dyn Fn(Vec<Event>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// Runs the queued work of this process.
pub struct Worker {
    db: PgPool,
    clock: Clock,
    deliver: Delivery,
}

#[derive(sqlx::FromRow)]
struct Job {
    job_id: i64,
    kind: String,
    payload: Value,
    attempts: i32,
}

impl Worker {
    /// `deliver` may be called twice with the same event and must then do no harm.
    #[must_use]
    pub fn new(db: PgPool, clock: Clock, deliver: Delivery) -> Self {
        Self { db, clock, deliver }
    }

    /// Works until `stop`; survives the database going away and coming back.
    pub async fn run(self, stop: CancellationToken) {
        let mut listener = None;
        while !stop.is_cancelled() {
            if listener.is_none() {
                listener = listen(&self.db).await;
            }
            match self.run_due().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(error = %error, "The queue could not be read"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(IDLE) => {}
                woken = wake(&mut listener) => if !woken { listener = None },
            }
        }
    }

    /// Runs what is due now, once; gives how many jobs that were. Tests call it to let everything settle.
    ///
    /// # Errors
    /// The database's; errors of the work itself are kept with the job.
    pub async fn run_due(&self) -> Result<usize, sqlx::Error> {
        let jobs = self.claim().await?;
        let (mut events, mut unreadable) = (Vec::new(), Vec::new());
        for job in &jobs {
            match Event::read(&job.kind, &job.payload) {
                Some(event) => events.push(event),
                None => unreadable.push(job.job_id),
            }
        }
        // A kind this release does not know may be one of a newer replica: leave it to that one.
        self.release(&unreadable).await?;
        let jobs: Vec<Job> = jobs.into_iter().filter(|job| !unreadable.contains(&job.job_id)).collect();
        if jobs.is_empty() {
            return Ok(0);
        }

        match (self.deliver)(events).await {
            Ok(()) => self.done(&jobs).await?,
            Err(error) => {
                tracing::warn!(error = %error, jobs = jobs.len(), "Queued work failed and will be tried again");
                self.failed(&jobs, &error.to_string()).await?;
            }
        }
        Ok(jobs.len())
    }

    async fn claim(&self) -> Result<Vec<Job>, sqlx::Error> {
        let now = self.clock.now();
        sqlx::query_as(
            "update job set claimed_at = $1, attempts = attempts + 1
             where job_id in (
                 select job_id from job
                 where dead_at is null and run_at <= $1 and (claimed_at is null or claimed_at < $2)
                 order by run_at, job_id
                 limit $3
                 for update skip locked)
             returning job_id, kind, payload, attempts",
        )
        .bind(now)
        .bind(now - CLAIM_HOLDS)
        .bind(BATCH)
        .fetch_all(&self.db)
        .await
    }

    async fn release(&self, ids: &[i64]) -> Result<(), sqlx::Error> {
        if ids.is_empty() {
            return Ok(());
        }
        sqlx::query("update job set claimed_at = null, attempts = attempts - 1, run_at = $2 where job_id = any($1)")
            .bind(ids)
            .bind(self.clock.now() + Duration::from_secs(60))
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn done(&self, jobs: &[Job]) -> Result<(), sqlx::Error> {
        let ids: Vec<_> = jobs.iter().map(|job| job.job_id).collect();
        sqlx::query("delete from job where job_id = any($1)").bind(ids).execute(&self.db).await?;
        Ok(())
    }

    /// Sets a new time for each, or lays it aside when its attempts are used up. Equal work that came in meanwhile
    /// takes the failed job's place.
    async fn failed(&self, jobs: &[Job], error: &str) -> Result<(), sqlx::Error> {
        let now = self.clock.now();
        for job in jobs {
            let pause = Duration::from_secs(1 << job.attempts.clamp(0, 10));
            sqlx::query(
                "with newer as (
                     select 1 from job other join job failed on failed.job_id = $1
                     where other.kind = failed.kind and other.key = failed.key and other.claimed_at is null
                       and other.dead_at is null and other.job_id <> $1),
                 dropped as (delete from job where job_id = $1 and exists (select from newer))
                 update job
                 set claimed_at = null, last_error = $2, run_at = $3, dead_at = case when attempts >= $4 then $5 end
                 where job_id = $1 and not exists (select from newer)",
            )
            .bind(job.job_id)
            .bind(error)
            .bind(now + pause)
            .bind(ATTEMPTS)
            .bind(now)
            .execute(&self.db)
            .await?;
        }
        Ok(())
    }
}

async fn listen(db: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(db).await.ok()?;
    listener.listen(super::CHANNEL).await.ok()?;
    Some(listener)
}

/// Whether the listener is still of use; without one, waits for ever and leaves waking to the caller's timer.
async fn wake(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => listener.recv().await.is_ok(),
        None => std::future::pending().await,
    }
}

/// How many jobs wait or run.
///
/// # Errors
/// The database's.
pub async fn waiting(db: &PgPool, kind: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from job where kind = $1 and dead_at is null").bind(kind).fetch_one(db).await
}

/// How many jobs were laid aside.
///
/// # Errors
/// The database's.
pub async fn dead(db: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from job where dead_at is not null").fetch_one(db).await
}
