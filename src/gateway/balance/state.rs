//! What is known of backends and pools while the process runs. It outlives the snapshots: a change of the settings
//! neither closes a breaker nor forgets what is under way.

use super::breaker::{Breaker, Pass, State, Trip, Verdict};
use super::capacity::Window;
use super::retries::Retries;
use crate::base::{BackendId, PoolId};
use crate::gateway::settings::BackendSettings;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Half of what was seen is forgotten in about so long.
const DECAY: f64 = 10.0;

/// The states of all backends and pools; each is made when first asked for.
#[derive(Debug, Default)]
pub struct States {
    backends: Mutex<HashMap<BackendId, Arc<BackendState>>>,
    pools: Mutex<HashMap<PoolId, Arc<PoolState>>>,
}

/// One backend.
#[derive(Debug)]
pub struct BackendState {
    breaker: Mutex<Breaker>,
    busy: AtomicU32,
    latency: Mutex<Latency>,
    window: Mutex<Window>,
    /// Answers that are read on without a reader.
    pub draining: AtomicU32,
    pub answered: AtomicU64,
    pub failed: AtomicU64,
}

/// One pool.
#[derive(Debug)]
pub struct PoolState {
    pub turn: AtomicU64,
    retries: Mutex<Retries>,
}

#[derive(Debug)]
struct Latency {
    micros: f64,
    at: Instant,
}

impl States {
    /// The state of this backend.
    pub fn backend(&self, id: BackendId) -> Arc<BackendState> {
        lock(&self.backends).entry(id).or_insert_with(|| Arc::new(BackendState::new(Instant::now()))).clone()
    }

    pub fn pool(&self, id: PoolId) -> Arc<PoolState> {
        let fresh =
            || Arc::new(PoolState { turn: AtomicU64::new(0), retries: Mutex::new(Retries::new(Instant::now())) });
        lock(&self.pools).entry(id).or_insert_with(fresh).clone()
    }

    /// Forgets what is no longer there.
    pub fn keep(&self, backends: impl Fn(BackendId) -> bool, pools: impl Fn(PoolId) -> bool) {
        lock(&self.backends).retain(|id, _| backends(*id));
        lock(&self.pools).retain(|id, _| pools(*id));
    }
}

impl PoolState {
    pub fn count_request(&self, now: Instant) {
        lock(&self.retries).count_request(now);
    }

    pub fn take_retry(&self, budget: &crate::gateway::settings::RetryBudget, now: Instant) -> bool {
        lock(&self.retries).take(budget, now)
    }
}

/// A place taken at a backend, until it is dropped: its outcome is judged ([`Taken::judge`]), or its client left.
#[derive(Debug)]
pub struct Taken {
    state: Arc<BackendState>,
    pass: Option<Pass>,
    /// So that the breaker's settings are at hand when it is dropped.
    backend: Arc<crate::gateway::Backend>,
    tokens: u64,
}

impl BackendState {
    fn new(now: Instant) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(now)),
            busy: AtomicU32::new(0),
            latency: Mutex::new(Latency { micros: 0.0, at: now }),
            window: Mutex::new(Window::new(now)),
            draining: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Whether a request of so many tokens could go there now.
    pub fn is_usable(&self, settings: &BackendSettings, tokens: u64, now: Instant) -> bool {
        !settings.drained && self.has_room(settings, tokens, now) && lock(&self.breaker).would_pass(now)
    }

    fn has_room(&self, settings: &BackendSettings, tokens: u64, now: Instant) -> bool {
        let capacity = &settings.capacity;
        let free = capacity.concurrent_requests.is_none_or(|most| self.busy.load(Ordering::Relaxed) < most);
        let limited = capacity.tokens_per_minute.is_some() || capacity.requests_per_minute.is_some();
        free && (!limited || lock(&self.window).has_room(capacity, tokens, now))
    }

    /// How long until it might be usable.
    pub fn opens_in(&self, now: Instant) -> Option<Duration> {
        lock(&self.breaker).opens_in(now)
    }

    /// The breaker's state, and its latest trips, the oldest first.
    pub fn breaker(&self, now: Instant) -> (State, Vec<Trip>) {
        let breaker = lock(&self.breaker);
        (breaker.state(now), breaker.trips().iter().cloned().collect())
    }

    /// Tokens and requests of the last minute.
    pub fn used(&self, now: Instant) -> (u64, u64) {
        lock(&self.window).used(now)
    }

    #[must_use]
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// In microseconds; 0 where nothing is known. Fades while nothing is seen, so that a slow one gets another chance.
    pub fn latency(&self, now: Instant) -> u64 {
        let latency = lock(&self.latency);
        let age = now.saturating_duration_since(latency.at).as_secs_f64();
        (latency.micros * (-age / DECAY).exp()) as u64
    }

    /// Takes a place for a request, if the breaker lets it pass.
    pub fn take(self: &Arc<Self>, backend: &Arc<crate::gateway::Backend>, tokens: u64, now: Instant) -> Option<Taken> {
        if !self.has_room(&backend.settings, tokens, now) {
            return None;
        }
        let pass = lock(&self.breaker).pass(now)?;
        self.busy.fetch_add(1, Ordering::Relaxed);
        lock(&self.window).add(tokens, 1, now);
        Some(Taken { state: self.clone(), pass: Some(pass), backend: backend.clone(), tokens })
    }
}

impl Taken {
    /// Reports how the attempt ended; the place stays taken until this is dropped.
    pub fn judge(&mut self, verdict: Verdict, first_byte: Option<Duration>, why: impl FnOnce() -> String) {
        let now = Instant::now();
        let Some(pass) = self.pass.take() else { return };
        lock(&self.state.breaker).record(&self.backend.settings.breaker, pass, verdict, now, why);
        match verdict {
            Verdict::Good => self.state.answered.fetch_add(1, Ordering::Relaxed),
            Verdict::Bad { .. } => self.state.failed.fetch_add(1, Ordering::Relaxed),
            Verdict::Unknown => 0,
        };
        if let Some(took) = first_byte {
            lock(&self.state.latency).see(took, now);
        }
    }

    /// Reports that an answer which began well broke off.
    pub fn spoil(&self, why: impl FnOnce() -> String) {
        let settings = &self.backend.settings.breaker;
        lock(&self.state.breaker).record(settings, Pass::Usual, Verdict::Bad { wait: None }, Instant::now(), why);
        self.state.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Corrects what was set aside to what was used.
    pub fn used(&self, tokens: u64) {
        if let Some(more) = tokens.checked_sub(self.tokens)
            && more > 0
        {
            lock(&self.state.window).add(more, 0, Instant::now());
        }
    }

    #[must_use]
    pub fn state(&self) -> &Arc<BackendState> {
        &self.state
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.judge(Verdict::Unknown, None, String::new);
        self.state.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Latency {
    /// A peak counts at once, what is faster only by and by.
    fn see(&mut self, took: Duration, now: Instant) {
        let seen = took.as_secs_f64() * 1e6;
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        let old = (-age / DECAY).exp();
        self.micros = if seen > self.micros { seen } else { self.micros * old + seen * (1.0 - old) };
        self.at = now;
    }
}

/// Nothing that holds these locks can panic half way, so what a panic elsewhere left is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
