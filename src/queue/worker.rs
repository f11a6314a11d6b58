//! The worker: claims what is due, runs it, tries again with growing pauses, and lays aside what never succeeds. Work that
//! fails together is run one by one at once, so that one that cannot succeed takes no other with it.

use super::Event;
use crate::base::Clock;
use anyhow::anyhow;
use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use sqlx::{PgPool, postgres::PgListener};
use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// A claim older than this is void: its worker died, or is still at it; then the work is done twice, which does no harm.
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

/// How a claimed job goes back to those that wait.
struct PutBack<'a> {
    run_at: OffsetDateTime,
    /// Whether this time does not count.
    is_unspent: bool,
    error: Option<&'a str>,
    dead_at: Option<OffsetDateTime>,
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
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for job in self.claim().await? {
            match Event::read(&job.kind, &job.payload) {
                Some(event) => known.push((job, event)),
                None => unknown.push(job),
            }
        }
        // A kind this release does not know may be one of a newer replica: leave it to that one.
        self.release(&unknown).await?;
        self.attempt(&known).await?;
        Ok(known.len())
    }

    /// Delivers all together, and when that fails each by itself.
    async fn attempt(&self, claimed: &[(Job, Event)]) -> Result<(), sqlx::Error> {
        let Err(error) = self.deliver(claimed).await else { return self.done(claimed).await };
        if let [(job, _)] = claimed {
            return self.failed(job, &error.to_string()).await;
        }
        tracing::warn!(error = %error, jobs = claimed.len(), "Queued work failed together and is tried one by one");
        for one in claimed.chunks(1) {
            match self.deliver(one).await {
                Ok(()) => self.done(one).await?,
                Err(error) => self.failed(&one[0].0, &error.to_string()).await?,
            }
        }
        Ok(())
    }

    /// A reaction that panics has failed, as one that says so.
    async fn deliver(&self, claimed: &[(Job, Event)]) -> anyhow::Result<()> {
        if claimed.is_empty() {
            return Ok(());
        }
        let events = claimed.iter().map(|(_, event)| *event).collect();
        let reaction = async { (self.deliver)(events).await };
        AssertUnwindSafe(reaction).catch_unwind().await.unwrap_or_else(|panic| Err(anyhow!(told(&*panic))))
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

    async fn release(&self, jobs: &[Job]) -> Result<(), sqlx::Error> {
        let run_at = self.clock.now() + Duration::from_secs(60);
        for job in jobs {
            self.put_back(job, &PutBack { run_at, is_unspent: true, error: None, dead_at: None }).await?;
        }
        Ok(())
    }

    async fn done(&self, claimed: &[(Job, Event)]) -> Result<(), sqlx::Error> {
        let ids: Vec<_> = claimed.iter().map(|(job, _)| job.job_id).collect();
        sqlx::query("delete from job where job_id = any($1)").bind(ids).execute(&self.db).await?;
        Ok(())
    }

    /// Sets a new time, or lays the job aside when its attempts are used up.
    async fn failed(&self, job: &Job, error: &str) -> Result<(), sqlx::Error> {
        let now = self.clock.now();
        let is_dead = job.attempts >= ATTEMPTS;
        match is_dead {
            true => {
                metrics::counter!("wharfinger_queue_laid_aside_total", "kind" => job.kind.clone()).increment(1);
                tracing::error!(job.id = job.job_id, error, "Queued work never succeeded and is laid aside");
            }
            false => tracing::warn!(job.id = job.job_id, error, "Queued work failed and will be tried again"),
        }
        let run_at = now + Duration::from_secs(1 << job.attempts.clamp(0, 10));
        let back = PutBack { run_at, is_unspent: false, error: Some(error), dead_at: is_dead.then_some(now) };
        self.put_back(job, &back).await
    }

    /// Ends a claim. Equal work that came in meanwhile takes the job's place; work that comes in between looking and
    /// writing meets the index of what waits, and is looked for once more.
    async fn put_back(&self, job: &Job, back: &PutBack<'_>) -> Result<(), sqlx::Error> {
        let mut is_again = false;
        loop {
            match self.put_back_once(job, back).await {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() && !is_again => is_again = true,
                outcome => return outcome,
            }
        }
    }

    async fn put_back_once(&self, job: &Job, back: &PutBack<'_>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "with newer as (
                 select 1 from job other join job own on own.job_id = $1
                 where other.kind = own.kind and other.key = own.key and other.claimed_at is null
                   and other.dead_at is null and other.job_id <> $1),
             dropped as (delete from job where job_id = $1 and exists (select from newer))
             update job
             set claimed_at = null, run_at = $2, attempts = attempts - $3, last_error = coalesce($4, last_error),
                 dead_at = $5
             where job_id = $1 and not exists (select from newer)",
        )
        .bind(job.job_id)
        .bind(back.run_at)
        .bind(i32::from(back.is_unspent))
        .bind(back.error)
        .bind(back.dead_at)
        .execute(&self.db)
        .await?;
        Ok(())
    }
}

/// What a panic said.
fn told(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", said.unwrap_or("nothing was said"))
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

/// Lets all jobs that were laid aside run again, as if they were new; gives how many those were.
///
/// # Errors
/// The database's.
pub async fn run_again(db: &PgPool, now: OffsetDateTime) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with dead as (
             delete from job where dead_at is not null returning kind, key, payload, created_at),
         again as (
             insert into job (kind, key, payload, run_at, created_at)
             select distinct on (kind, key) kind, key, payload, $1, created_at
             from dead
             order by kind, key, created_at desc
             on conflict (kind, key) where claimed_at is null and dead_at is null do nothing
             returning 1),
         woken as (select pg_notify($2, '') from again limit 1)
         select count(*) from dead where (select count(*) from woken) >= 0",
    )
    .bind(now)
    .bind(super::CHANNEL)
    .fetch_one(db)
    .await
}
