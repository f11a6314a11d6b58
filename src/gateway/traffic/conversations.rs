//! `Conversations`: which backend stores a response, and whose it is. A request that goes on from one (`previous_response_id`)
//! or asks for it again leads to that backend, and only for the caller whom the response was given to: to the vendor all
//! callers are one.
//!
//! All replicas know by the database. It is written beside the traffic, and asked only for a response that this process did
//! not pass on itself.

use crate::auth::Actor;
use crate::base::{BackendId, Clock, Database, Problem};
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
/// How many wait for the database at most; the oldest are dropped: for other replicas, and after a restart, nobody was given
/// them.
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
    waiting: Mutex<Vec<(Hash, Kept)>>,
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

    /// Notes that this backend gave the caller a response, asked for by this alias.
    pub(super) fn note(&self, response: &str, (backend, model): (BackendId, &str), caller: &Actor) {
        let kept = Kept { backend, model: model.into(), holder: caller.identity_id().into(), at: self.clock.now() };
        let hash = hash(response);
        // Whoever had it first keeps it.
        if !self.known.entry(hash).or_insert_with(|| kept.clone()).is_fresh() {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() == WAITING {
            waiting.remove(0);
        }
        waiting.push((hash, kept));
        self.news.notify_one();
    }

    /// Lets the caller go on from a response that is its own, or, where the settings say so, that nobody knows here.
    ///
    /// # Errors
    /// 403 where it was given to somebody else; 403 or 503 where it has to be known whom, and is not.
    pub(super) async fn check(&self, response: &str, caller: &Actor) -> Result<(), Problem> {
        match self.find(response, caller).await {
            Ok(None) if !self.passes_unknown => {
                let words = "Nobody was given the response here that `previous_response_id` names, or long ago.";
                let problem = Problem::new(StatusCode::FORBIDDEN, "response-unknown", "Unknown response", words);
                Err(problem.with_help(OWN))
            }
            Err(problem) if problem.status.is_server_error() && self.passes_unknown => Ok(()),
            found => found.map(drop),
        }
    }

    /// A response that was given to this caller; nothing where nobody knows it here.
    ///
    /// # Errors
    /// 403 where it was given to somebody else; 503 where that cannot be found out.
    pub(super) async fn find(&self, response: &str, caller: &Actor) -> Result<Option<Kept>, Problem> {
        let not_found_out = || Problem::unavailable("Whose this response is cannot be found out now.");
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
        let done = sqlx::query(
            "insert into gateway_response (response_hash, backend_id, holder, model, at)
             select * from unnest($1::bytea[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
             on conflict (response_hash) do nothing",
        )
        .bind(notes.iter().map(|(hash, _)| hash.as_slice()).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept)| kept.backend.0).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept)| &*kept.holder).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept)| &*kept.model).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, kept)| kept.at).collect::<Vec<_>>())
        .execute(&self.db.write)
        .await;
        let Err(error) = done else { return true };
        tracing::warn!(error = %error, "Where responses are kept could not be written down and will be tried again");
        let mut waiting = self.waiting();
        let newer = std::mem::take(&mut *waiting);
        waiting.extend(notes.into_iter().chain(newer));
        let surplus = waiting.len().saturating_sub(WAITING);
        waiting.drain(..surplus);
        false
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

    fn waiting(&self) -> MutexGuard<'_, Vec<(Hash, Kept)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(response: &str) -> Hash {
    Sha256::digest(response.as_bytes()).into()
}
