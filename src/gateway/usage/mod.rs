//! The ledger: who used what. A record of each request goes into a spool below the data directory when the request ends,
//! and from there, in batches, into Postgres, together with the sums by minute, hour and day.
//!
//! [`Ledger::record`] never waits for the database. A crash of Postgres loses nothing: the spool waits. A crash of ours
//! loses nothing: the lines are with the operating system, and the next start reads them. A line that is read twice counts
//! once: how far the spool is read is written with what was read.

mod budget;
mod budget_webhook;
mod charged;
mod conventions;
mod copy;
mod delivery;
mod gathered;
mod latency;
mod line;
mod measured;
mod price;
mod prompt_log;
mod prompts;
mod record;
mod report;
mod spool;
mod store;
mod sums;

pub use budget::{BudgetNotices, Budgets, PassedBudget};
pub use conventions::{STORED_RESPONSE, operation_name, provider_name};
pub use latency::Latencies;
pub use price::cost;
pub use prompt_log::PromptRecord;
pub use prompts::{KeptPrompt, PromptFilter};
pub use record::{CacheUse, Outcome, QuotaLine, Source, Tokens, UsageRecord};
pub use report::{By, ChargebackLine, Figures, Line, Point, Question, Report, ReportError};
pub use store::Retention;

use crate::auth::Actor;
use crate::base::{Clock, Database};
use crate::gateway::limit::Limits;
use charged::Charged;
use delivery::{BATCH, Delivery};
use gathered::Gathered;
use measured::Measured;
use spool::Spool;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// How often the spool is read when nothing wakes it.
const PAUSE: Duration = Duration::from_millis(250);
/// How long after a failure.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is told how much waits.
const LOOKING: Duration = Duration::from_secs(1);
/// How often old records are removed.
const CLEANING: Duration = Duration::from_secs(3_600);

/// Keeps the record of what is used; cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    db: Database,
    clock: Clock,
    spool: Spool<Gathered>,
    measured: Measured,
    settings: LedgerSettings,
    wake: Notify,
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
        let wake = Notify::new();
        let (prompts, waiting) = mpsc::channel(PROMPTS_WAITING);
        let prompts_waiting = Mutex::new(Some(waiting));
        Self(Arc::new(Inner { db, clock, spool, measured, settings, wake, prompts, prompts_waiting }))
    }

    /// Takes a record; it will be in the database within a moment after that answers.
    pub fn record(&self, mut record: UsageRecord) {
        let ledger = &self.0;
        record.leave_out_nul();
        ledger.measured.measure(&record);
        if ledger.settings.access_log {
            log(&record);
        }
        if !record.is_storable() {
            return ledger.set_aside(&record.line(), "a number is too large");
        }
        match ledger.spool.append(&record.line(), &record) {
            // With what the other lanes have by then, it is worth a batch.
            Some(number) if number.is_multiple_of(BATCH as u64 / 2) => ledger.wake.notify_one(),
            Some(_) => {}
            None => metrics::counter!("wharfinger_usage_spool_errors_total").increment(1),
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
        budget::passed(&self.0.db, &Charged::seen_by(actor), since).await
    }

    /// Brings what earlier processes left into the database, and their counts of running quotas into `limits`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recover(&self, limits: &Limits) -> sqlx::Result<()> {
        let mut delivery = Delivery::of(self.0.clone());
        while delivery.move_on().await? > 0 {}
        for (key, start, used) in store::counters(&self.0.db.read, self.0.clock.now()).await? {
            limits.restore(key, start, used);
        }
        Ok(())
    }

    /// Moves records from the spool into the database until `stop`, and then what is left.
    pub async fn run(self, stop: CancellationToken) {
        let forcing = tokio::spawn(self.clone().force(stop.clone()));
        let prompts = tokio::spawn(self.clone().store_prompts(stop.clone()));
        let (mut delivery, mut housekeeping) = (Delivery::of(self.0.clone()), Housekeeping::default());
        let is_all_there = loop {
            let stopping = stop.is_cancelled();
            if housekeeping.look.falls_due(LOOKING) {
                metrics::gauge!("wharfinger_usage_spool_bytes").set(delivery.waiting() as f64);
                if let Err(error) = delivery.tidy().await {
                    tracing::warn!(error = %error, "Files of the spool of usage records are left though they are read");
                }
            }
            if housekeeping.clean.falls_due(CLEANING) {
                self.clean().await;
            }
            let (pause, is_well) = match delivery.move_on().await {
                Ok(0) if stopping => break true,
                Ok(BATCH..) => continue,
                Ok(1..) if stopping => continue,
                // Small batches cost nearly as much as large ones: others gather meanwhile.
                Ok(_) => (PAUSE, true),
                Err(error) => {
                    tracing::warn!(error = %error, size_bytes = delivery.waiting(), "Usage records wait in the spool");
                    if stopping {
                        break false;
                    }
                    (PATIENCE, false)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.0.wake.notified(), if is_well => {}
                () = stop.cancelled() => {}
            }
        };
        if is_all_there && let Err(error) = delivery.finish().await {
            tracing::warn!(error = %error, "Files of the spool of usage records are left though they are read");
        }
        forcing.abort();
        let _ = prompts.await;
        let lost = self.0.spool.retry();
        if lost > 0 {
            tracing::error!(size_bytes = lost, "Usage records were lost: the disk did not take them until the end");
        }
        self.sync().await;
    }

    async fn force(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::time::sleep(self.0.settings.sync).await;
            self.sync().await;
        }
    }

    /// Forces the spool to the disk, on a thread that may wait for it.
    async fn sync(&self) {
        let ledger = self.0.clone();
        let synced = tokio::task::spawn_blocking(move || ledger.spool.sync()).await;
        if let Err(error) = synced.map_err(io::Error::other).and_then(|synced| synced) {
            tracing::warn!(error = %error, "The spool of usage records cannot be forced to the disk");
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

impl Inner {
    /// Lays the line of a record aside that the database will never take.
    fn set_aside(&self, line: &[u8], reason: &str) {
        tracing::error!(reason, "A usage record was laid aside");
        metrics::counter!("wharfinger_usage_records_set_aside_total").increment(1);
        self.spool.set_aside(line);
    }
}

/// What is done beside the moving, each in its own time.
#[derive(Default)]
struct Housekeeping {
    look: Due,
    clean: Due,
}

#[derive(Default)]
struct Due(Option<tokio::time::Instant>);

impl Due {
    /// Whether it was never done, or so long ago; then it counts as done now.
    fn falls_due(&mut self, every: Duration) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= every);
        if is_due {
            self.0 = Some(tokio::time::Instant::now());
        }
        is_due
    }
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
