//! The ledger: who used what. A record of each request goes into a spool below the data directory when the request ends,
//! and from there, in batches, into Postgres, together with the sums by minute, hour and day.
//!
//! [`Ledger::record`] never waits for the database. A crash of Postgres loses nothing: the spool waits. A crash of ours
//! loses nothing: the lines are with the operating system, and the next start reads them. A line that is read twice counts
//! once, by its id.

mod budget;
mod measured;
mod price;
mod prompt_log;
mod record;
mod report;
mod spool;
mod store;

pub use budget::{BudgetNotices, Budgets, PassedBudget};
pub use price::cost;
pub use prompt_log::PromptRecord;
pub use record::{CacheUse, Outcome, QuotaLine, Source, Tokens, UsageRecord};
pub use report::{By, ChargebackLine, Figures, Latencies, Line, Point, Question, Report, ReportError};
pub use store::Retention;

use crate::auth::Actor;
use crate::base::{Clock, Database};
use crate::gateway::limit::Limits;
use measured::Measured;
use spool::{Mark, Portion, Spool};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Records that are written in one statement. A larger one costs less in all, and holds a processor for longer: where the
/// database shares it, requests wait for so long.
const BATCH: usize = 100;
/// How often the spool is looked at when nothing wakes it.
const PAUSE: Duration = Duration::from_millis(250);
/// How long after a failure.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often old records are removed.
const CLEANING: Duration = Duration::from_secs(3_600);

/// Keeps the record of what is used; cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    db: Database,
    clock: Clock,
    spool: Spool,
    measured: Measured,
    settings: LedgerSettings,
    wake: Notify,
    appended: AtomicU64,
    prompts: mpsc::Sender<PromptRecord>,
    prompts_waiting: Mutex<Option<mpsc::Receiver<PromptRecord>>>,
}

/// Prompts that may wait for the database.
const PROMPTS_WAITING: usize = 1_000;

/// How the ledger keeps things.
#[derive(Clone, Copy, Debug)]
pub struct LedgerSettings {
    /// How often the spool is forced to the disk: what a power cut may cost.
    pub sync: Duration,
    pub retention: Retention,
    /// The most different values of a label of the metrics; further ones are counted as `other`.
    pub label_values: usize,
    /// Whether each request is logged.
    pub access_log: bool,
}

impl Ledger {
    /// The ledger with its spool in `folder`.
    #[must_use]
    pub fn open(db: Database, clock: Clock, folder: &Path, settings: LedgerSettings) -> Self {
        let spool = Spool::open(folder);
        let measured = Measured::new(settings.label_values);
        let (wake, appended) = (Notify::new(), AtomicU64::new(0));
        let (prompts, waiting) = mpsc::channel(PROMPTS_WAITING);
        let prompts_waiting = Mutex::new(Some(waiting));
        Self(Arc::new(Inner { db, clock, spool, measured, settings, wake, appended, prompts, prompts_waiting }))
    }

    /// Takes a record; it will be in the database within a moment after that answers.
    pub fn record(&self, record: &UsageRecord) {
        let ledger = &self.0;
        ledger.measured.measure(record);
        if ledger.settings.access_log {
            log(record);
        }
        if !ledger.spool.append(&record.line()) {
            metrics::counter!("wharfinger_usage_spool_errors_total").increment(1);
        }
        let appended = ledger.appended.fetch_add(1, Ordering::Relaxed) + 1;
        if appended.is_multiple_of(BATCH as u64) {
            ledger.wake.notify_one();
        }
    }

    /// Takes a prompt and its answer to be kept; drops it when too many wait.
    pub fn keep_prompt(&self, record: PromptRecord) {
        if self.0.prompts.try_send(record).is_err() {
            metrics::counter!("wharfinger_prompt_log_dropped_total").increment(1);
        }
    }

    /// Budgets that were passed in the last month, as far as the actor may know; newest first.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn passed_budgets(&self, actor: &Actor) -> sqlx::Result<Vec<PassedBudget>> {
        let since = self.0.clock.now() - Duration::from_secs(31 * 86_400);
        budget::passed(&self.0.db, &report::Charged::seen_by(actor), since).await
    }

    /// Brings what earlier processes left into the database, and their counts of running quotas into `limits`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recover(&self, limits: &Limits) -> sqlx::Result<()> {
        let mut mark = Mark::default();
        while let Some(next) = self.move_on(mark).await? {
            mark = next;
        }
        for (key, start, used) in store::counters(&self.0.db.read, self.0.clock.now()).await? {
            limits.restore(key, start, used);
        }
        Ok(())
    }

    /// Moves records from the spool into the database until `stop`, and then what is left.
    pub async fn run(self, stop: CancellationToken) {
        let forcing = tokio::spawn(self.clone().force(stop.clone()));
        let prompts = tokio::spawn(self.clone().store_prompts(stop.clone()));
        let (mut mark, mut cleaned) = (Mark::default(), None::<tokio::time::Instant>);
        loop {
            let stopping = stop.is_cancelled();
            let pause = match self.move_on(mark).await {
                Ok(Some(next)) => {
                    mark = next;
                    continue;
                }
                Ok(None) if stopping => break,
                Ok(None) => PAUSE,
                Err(error) => {
                    tracing::warn!(error = %error, size_bytes = self.0.spool.waiting(mark), "Usage records wait in the spool");
                    if stopping {
                        break;
                    }
                    PATIENCE
                }
            };
            metrics::gauge!("wharfinger_usage_spool_bytes").set(self.0.spool.waiting(mark) as f64);
            if cleaned.is_none_or(|at| at.elapsed() > CLEANING) {
                cleaned = Some(tokio::time::Instant::now());
                self.clean().await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.0.wake.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        forcing.abort();
        let _ = prompts.await;
        let ledger = self.0.clone();
        let _ = tokio::task::spawn_blocking(move || ledger.spool.sync()).await;
    }

    /// One portion from the spool into the database; none when all of it is there.
    async fn move_on(&self, mark: Mark) -> sqlx::Result<Option<Mark>> {
        let ledger = self.0.clone();
        let read = tokio::task::spawn_blocking(move || {
            let portion = ledger.spool.read(mark, BATCH);
            if matches!(portion, Ok(None)) {
                // Nothing waits: the next file begins, and this one goes.
                ledger.spool.rotate();
            }
            portion
        });
        let Some(portion) = read.await.map_err(io::Error::other).and_then(|read| read).map_err(sqlx::Error::Io)? else {
            return Ok(None);
        };
        self.insert(&portion).await?;
        Ok(Some(self.0.spool.done(&portion)))
    }

    async fn insert(&self, portion: &Portion) -> sqlx::Result<()> {
        // What is no record is the rest of one that a crash cut off.
        let (good, torn): (Vec<_>, Vec<_>) = portion.lines().partition(|line| is_whole(line));
        torn.iter().for_each(|line| self.0.spool.set_aside(line));
        match store::insert(&self.0.db.write, &good).await {
            Ok(_) => Ok(()),
            Err(error) if is_refusal(&error) => {
                // One record that the database will never take must not keep the others.
                for line in good {
                    match store::insert(&self.0.db.write, &[line]).await {
                        Ok(_) => {}
                        Err(error) if is_refusal(&error) => {
                            tracing::error!(error = %error, "A usage record was laid aside: the database refuses it");
                            self.0.spool.set_aside(line);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn force(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::time::sleep(self.0.settings.sync).await;
            let ledger = self.0.clone();
            let synced = tokio::task::spawn_blocking(move || ledger.spool.sync()).await;
            if let Ok(Err(error)) = synced {
                tracing::warn!(error = %error, "The spool of usage records cannot be forced to the disk");
            }
        }
    }

    async fn store_prompts(self, stop: CancellationToken) {
        let waiting = self.0.prompts_waiting.lock().expect("no holder of this lock can panic").take();
        let Some(mut waiting) = waiting else { return };
        loop {
            let next = tokio::select! {
                biased;
                next = waiting.recv() => next,
                () = stop.cancelled() => None,
            };
            let Some(record) = next else { break };
            if let Err(error) = prompt_log::insert(&self.0.db.write, &record).await {
                tracing::warn!(error = %error, "A prompt could not be kept");
                metrics::counter!("wharfinger_prompt_log_dropped_total").increment(1);
            }
        }
    }

    async fn clean(&self) {
        if let Err(error) = prompt_log::remove_expired(&self.0.db.write, self.0.clock.now()).await {
            tracing::warn!(error = %error, "Expired prompts could not be removed");
        }
        match store::remove_old(&self.0.db, self.0.clock.now(), self.0.settings.retention).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "Removed old usage records"),
            Err(error) => tracing::warn!(error = %error, "Old usage records could not be removed"),
        }
    }

    pub(in crate::gateway) fn db(&self) -> &Database {
        &self.0.db
    }
}

/// Whether a line is an object to its end; what else is wrong with it the database finds.
fn is_whole(line: &[u8]) -> bool {
    line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// SQLSTATE classes 22 and 23: the data is at fault, and trying again helps nothing.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// The access log: a line a request, without what was said.
fn log(record: &UsageRecord) {
    tracing::info!(
        request.id = %record.request_id,
        key = %record.key_name,
        route.name = %record.route,
        model = %record.model,
        backend.name = %record.backend,
        status = record.status,
        outcome = record.outcome.as_str(),
        cache = record.cache.as_str(),
        input = record.tokens.input,
        output = record.tokens.output,
        source = record.source.as_str(),
        attempts = record.attempts,
        duration_ms = record.latency_ms,
        "Gateway request"
    );
}
