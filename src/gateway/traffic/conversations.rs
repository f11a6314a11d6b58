//! `Conversations`: which backend keeps a response, and whose it is. A request that goes on from one (`previous_response_id`)
//! or asks for it again leads to that backend, and only for the caller whom the response was given to: to the vendor all
//! callers are one.
//!
//! All replicas know by the database. It is written beside the traffic, and asked only for a response that this process did
//! not pass on itself.

use crate::auth::Actor;
use crate::base::{BackendId, Clock, Database, Problem};
use crate::wire::usage::Usage;
use http::StatusCode;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long vendors keep responses, and we where they are.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many are known without the database.
const KNOWN: u64 = 100_000;
/// How many wait for the database at most; the oldest are dropped, which costs their affinity and no more.
const WAITING: usize = 50_000;
/// How long the database may take to say where a response is, before the request goes on without knowing.
const PATIENCE: Duration = Duration::from_millis(500);
/// What comes so soon after another is written with it.
const GATHER: Duration = Duration::from_millis(20);
/// A pause after the database did not take what waits.
const REST: Duration = Duration::from_secs(2);
/// How often old ones are forgotten.
const TIDY: Duration = Duration::from_secs(3_600);

/// What helps whoever is refused.
const OWN: &str = "Go on from a response that you were given, or send the dialogue itself.";

type Hash = [u8; 32];

pub(super) struct Conversations {
    db: Database,
    clock: Clock,
    /// Whether a caller may go on from what nobody knows here.
    passes_unknown: bool,
    known: Cache<Hash, Kept>,
    waiting: Mutex<Vec<(Hash, Kept, Option<Usage>)>>,
    news: Notify,
}

/// Where a response is, and whose.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) backend: BackendId,
    /// The alias it was asked for by; empty of one that was noted before this was.
    pub(super) model: Arc<str>,
    holder: Arc<str>,
    at: OffsetDateTime,
}

impl Conversations {
    pub(super) fn new(db: Database, clock: Clock, passes_unknown: bool) -> Self {
        let known = Cache::builder().max_capacity(KNOWN).time_to_live(KEPT).build();
        Self { db, clock, passes_unknown, known, waiting: Mutex::default(), news: Notify::new() }
    }

    /// Notes that this backend gave the caller a response. `charged` is what was charged for one whose usage is told later.
    pub(super) fn note(
        &self,
        response: &str,
        (backend, model): (BackendId, &str),
        caller: &Actor,
        charged: Option<Usage>,
    ) {
        let kept = Kept { backend, model: model.into(), holder: caller.identity_id().into(), at: self.clock.now() };
        let hash = hash(response);
        // Whoever had it first keeps it.
        let is_new = self.known.entry(hash).or_insert_with(|| kept.clone()).is_fresh();
        if !is_new && charged.is_none() {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() == WAITING {
            waiting.remove(0);
        }
        waiting.push((hash, kept, charged));
        self.news.notify_one();
    }

    /// Lets the caller go on from a response that is its own, or, where the settings say so, that nobody knows here.
    ///
    /// # Errors
    /// 403 where it was given to somebody else, and 403 or 503 where that is not known and has to be.
    pub(super) async fn check(&self, response: &str, caller: &Actor) -> Result<(), Problem> {
        match self.find(response, caller).await {
            Ok(None) if !self.passes_unknown => {
                let words = "Nobody was given the response that `previous_response_id` names here, or long ago.";
                let problem = Problem::new(StatusCode::FORBIDDEN, "response-unknown", "Unknown response", words);
                Err(problem.with_help(OWN))
            }
            Err(problem) if problem.status.is_server_error() && self.passes_unknown => {
                tracing::warn!(detail = problem.detail, "A caller goes on from a response that may be another's");
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// A response that was given to this caller; nothing where nobody knows it here.
    ///
    /// # Errors
    /// 403 where it was given to somebody else; 503 where that cannot be found out.
    pub(super) async fn find(&self, response: &str, caller: &Actor) -> Result<Option<Kept>, Problem> {
        let hash = hash(response);
        let kept = match self.known.get(&hash) {
            Some(kept) => kept,
            None => match tokio::time::timeout(PATIENCE, self.stored(&hash)).await {
                Ok(Ok(Some(kept))) => {
                    self.known.insert(hash, kept.clone());
                    kept
                }
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => {
                    tracing::warn!(error = %error, "Whose a response is could not be found out");
                    return Err(not_found_out());
                }
                Err(_) => return Err(not_found_out()),
            },
        };
        if *kept.holder == *caller.identity_id() {
            return Ok(Some(kept));
        }
        let words = "This response was given to another caller.";
        let problem = Problem::new(StatusCode::FORBIDDEN, "response-of-another", "Not your response", words);
        Err(problem.with_help(OWN))
    }

    /// The backend that keeps a response, where [`Conversations::check`] found it.
    pub(super) fn backend(&self, response: &str) -> Option<BackendId> {
        self.known.get(&hash(response)).map(|kept| kept.backend)
    }

    /// What was charged for a response whose usage is known only now; nothing where all was, or another collects the rest.
    pub(super) async fn collect(&self, response: &str) -> Option<Usage> {
        // It may be from a moment ago.
        self.store().await;
        let owed: sqlx::Result<Option<(i64, i64)>> = sqlx::query_as(
            "update gateway_response response set charged_input = null, charged_output = null
             from (select response_hash, charged_input, charged_output from gateway_response
                   where response_hash = $1 and charged_input is not null for update) before
             where response.response_hash = before.response_hash
             returning before.charged_input, before.charged_output",
        )
        .bind(hash(response).as_slice())
        .fetch_optional(&self.db.write)
        .await;
        match owed {
            Ok(owed) => {
                let count = |tokens| u64::try_from(tokens).unwrap_or_default();
                owed.map(|(input, output)| Usage { input: count(input), output: count(output), ..Usage::default() })
            }
            Err(error) => {
                tracing::warn!(error = %error, "What is owed for a response is charged when it is next looked at");
                None
            }
        }
    }

    /// Brings what was noted into the database until `stop`; what is noted later is [`Conversations::store`]d by the caller.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut tidied = None;
        loop {
            let now = self.clock.monotonic();
            if tidied.is_none_or(|at| now >= at + TIDY) {
                tidied = Some(now);
                self.forget_old().await;
            }
            if self.store().await {
                tokio::select! {
                    () = self.news.notified() => tokio::time::sleep(GATHER).await,
                    () = tokio::time::sleep(TIDY) => {}
                    () = stop.cancelled() => break,
                }
            } else {
                tokio::select! {
                    () = tokio::time::sleep(REST) => {}
                    () = stop.cancelled() => break,
                }
            }
        }
    }

    /// Brings what was noted into the database; whether it is there.
    pub(super) async fn store(&self) -> bool {
        let notes = std::mem::take(&mut *self.waiting());
        if notes.is_empty() {
            return true;
        }
        let done = self.write(&notes).await;
        let Err(error) = done else { return true };
        tracing::warn!(error = %error, "Where responses are kept could not be written down and will be tried again");
        let mut waiting = self.waiting();
        let newer = std::mem::take(&mut *waiting);
        waiting.extend(notes.into_iter().chain(newer));
        let surplus = waiting.len().saturating_sub(WAITING);
        waiting.drain(..surplus);
        false
    }

    /// What is owed for a response may be noted after the response itself.
    async fn write(&self, notes: &[(Hash, Kept, Option<Usage>)]) -> sqlx::Result<()> {
        let charged = |of: fn(&Usage) -> u64| {
            let counts = notes.iter().map(|(_, _, charged)| charged.as_ref().map(of));
            counts.map(|count| count.and_then(|count| i64::try_from(count).ok())).collect::<Vec<_>>()
        };
        sqlx::query(
            "insert into gateway_response as known
                 (response_hash, backend_id, holder, model, at, charged_input, charged_output)
             select distinct on (response_hash) * from unnest
                 ($1::bytea[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[])
                 as note (response_hash, backend_id, holder, model, at, charged_input, charged_output)
             order by response_hash, charged_input nulls last
             on conflict (response_hash) do update
                 set charged_input = excluded.charged_input, charged_output = excluded.charged_output
                 where known.holder = excluded.holder and excluded.charged_input is not null",
        )
        .bind(notes.iter().map(|(hash, ..)| hash.as_slice()).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept, _)| kept.backend.0).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept, _)| &*kept.holder).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept, _)| &*kept.model).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept, _)| kept.at).collect::<Vec<_>>())
        .bind(charged(|usage| usage.input))
        .bind(charged(|usage| usage.output))
        .execute(&self.db.write)
        .await
        .map(drop)
    }

    async fn stored(&self, hash: &Hash) -> sqlx::Result<Option<Kept>> {
        let row: Option<(BackendId, String, String, OffsetDateTime)> =
            sqlx::query_as("select backend_id, model, holder, at from gateway_response where response_hash = $1")
                .bind(hash.as_slice())
                .fetch_optional(&self.db.read)
                .await?;
        Ok(row.map(|(backend, model, holder, at)| Kept { backend, model: model.into(), holder: holder.into(), at }))
    }

    async fn forget_old(&self) {
        let statement = "delete from gateway_response where ctid in
            (select ctid from gateway_response where at < $1 limit 5000)";
        loop {
            match sqlx::query(statement).bind(self.clock.now() - KEPT).execute(&self.db.write).await {
                Ok(done) if done.rows_affected() == 5_000 => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(error = %error, "Old responses could not be forgotten and will be later");
                    return;
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(Hash, Kept, Option<Usage>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found_out() -> Problem {
    Problem::unavailable("Whose this response is cannot be found out now.").with_help("Try again in a moment.")
}

fn hash(response: &str) -> Hash {
    Sha256::digest(response.as_bytes()).into()
}
