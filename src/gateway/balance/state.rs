//! What is known of backends and pools while the process runs. It outlives the snapshots: a change of the settings
//! neither closes a breaker nor forgets what is under way.

use super::breaker::{Breaker, Pass, State, Trip, Verdict};
use super::capacity::{Window, is_bounded};
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
    /// So many are counted for it, in this second of the window.
    tokens: u64,
    second: u64,
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
        free && (!is_bounded(capacity) || lock(&self.window).has_room(capacity, tokens, now))
    }

    /// How long until its capacity has room for a request of so many tokens; nothing when it has now.
    pub fn frees_in(&self, settings: &BackendSettings, tokens: u64, now: Instant) -> Option<Duration> {
        let capacity = &settings.capacity;
        let is_crowded = capacity.concurrent_requests.is_some_and(|most| self.busy.load(Ordering::Relaxed) >= most);
        // Nobody knows when a request ends; a second is short and no storm.
        let ends = is_crowded.then_some(Duration::from_secs(1));
        ends.max(lock(&self.window).frees_in(capacity, tokens, now))
    }

    /// How long until its breaker may let a request pass; nothing when it does now.
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

    /// Takes a place for a request, where there is room and the breaker lets it pass. Looking and taking is one step:
    /// two requests that each fit alone must not both pass.
    pub fn take(self: &Arc<Self>, backend: &Arc<crate::gateway::Backend>, tokens: u64, now: Instant) -> Option<Taken> {
        let capacity = &backend.settings.capacity;
        let within = |busy| capacity.concurrent_requests.is_none_or(|most| busy < most).then(|| busy + 1);
        self.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()?;
        let Some(second) = lock(&self.window).take(capacity, tokens, now) else {
            self.busy.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        let pass = lock(&self.breaker).pass(now);
        if pass.is_none() {
            lock(&self.window).give_back(second, tokens, now);
            self.busy.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Taken { state: self.clone(), pass, backend: backend.clone(), tokens, second })
    }
}

impl Taken {
    /// Reports how the attempt ended; the place stays taken until this is dropped.
    pub fn judge(&mut self, verdict: Verdict, first_byte: Option<Duration>, why: impl FnOnce() -> String) {
        let Some(pass) = self.pass.take() else { return };
        let now = Instant::now();
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

    /// Corrects what was set aside to what was used: nothing by an attempt that failed.
    pub fn used(&mut self, tokens: u64) {
        let counted = std::mem::replace(&mut self.tokens, tokens);
        if counted != tokens {
            lock(&self.state.window).correct(self.second, counted, tokens, Instant::now());
        }
    }

    /// Where the place is.
    #[must_use]
    pub fn backend(&self) -> &crate::gateway::Backend {
        &self.backend
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Backend;
    use crate::gateway::settings::{Capacity, Owner, Provider};

    fn backend(capacity: Capacity) -> (Arc<BackendState>, Arc<Backend>) {
        let settings =
            BackendSettings { capacity, ..BackendSettings::new(Provider::Openai, "https://vendor.example/v1") };
        let url = settings.url.parse().unwrap();
        let id = BackendId(uuid::Uuid::new_v4());
        let (owner, name) = (Owner::Instance, "one".to_owned());
        let backend = Backend { id, owner, name, revision: 1, settings, url, credential: None };
        (States::default().backend(id), Arc::new(backend))
    }

    #[test]
    fn a_backend_is_full_for_what_is_used_and_not_for_what_was_set_aside() {
        let (state, backend) = backend(Capacity { tokens_per_minute: Some(100_000), ..Capacity::default() });

        for request in 0..100 {
            let taken = state.take(&backend, 32_000, Instant::now());
            let mut taken = taken.unwrap_or_else(|| panic!("no room for request {request}"));
            taken.judge(Verdict::Good, None, String::new);
            taken.used(100);
        }

        assert_eq!(state.used(Instant::now()), (10_000, 100));
    }

    #[test]
    fn it_is_told_when_a_full_backend_has_room_again() {
        let (state, backend) =
            backend(Capacity { tokens_per_minute: Some(100), concurrent_requests: Some(2), ..Capacity::default() });
        let now = Instant::now();
        assert_eq!(state.frees_in(&backend.settings, 60, now), None);

        let first = state.take(&backend, 60, now);
        let wait = state.frees_in(&backend.settings, 60, now).unwrap();
        assert!((59..=60).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(state.frees_in(&backend.settings, 40, now), None);

        let second = state.take(&backend, 1, now);
        assert_eq!(state.frees_in(&backend.settings, 1, now), Some(Duration::from_secs(1)));
        drop((first, second));
        assert_eq!(state.frees_in(&backend.settings, 1, now), None);
    }

    #[test]
    fn no_more_pass_at_once_than_may_however_many_try() {
        const MOST: u32 = 3;
        let capacity =
            Capacity { concurrent_requests: Some(MOST), requests_per_minute: Some(5_000), ..Capacity::default() };
        let (state, backend) = backend(capacity);
        let passed = AtomicU64::new(0);

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let Some(taken) = state.take(&backend, 1, Instant::now()) else { continue };
                        assert!(state.busy() <= MOST, "{} at once", state.busy());
                        passed.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        drop(taken);
                    }
                });
            }
        });

        assert!(passed.load(Ordering::Relaxed) <= 5_000);
        assert_eq!(state.busy(), 0);
    }
}
