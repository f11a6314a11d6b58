//! `Remembered`: something a provider publishes, fetched when needed, by one request at a time, and kept while the
//! provider is away.

use super::Fault;
use crate::base::Clock;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;

/// How long what was fetched is used without a look whether it changed. A key that was taken back is believed no longer.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long what was fetched is used while the provider does not answer.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after a try the next one is made, so that tokens with invented key ids cost the provider nothing.
const PAUSE: Duration = Duration::from_secs(30);
/// The same where there is nothing yet, and somebody waits to sign in.
const IMPATIENT: Duration = Duration::from_secs(3);

pub(super) struct Remembered<T> {
    clock: Clock,
    state: Mutex<State<T>>,
    turn: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<Arc<T>>,
    fetched: Option<OffsetDateTime>,
    tried: Option<OffsetDateTime>,
    /// When it was last fetched because of a key that nobody knew.
    renewed: Option<OffsetDateTime>,
    fault: Fault,
}

/// Answers at one moment.
struct Seen<T> {
    value: Option<Arc<T>>,
    is_fresh: bool,
    may_try: bool,
    fault: Fault,
}

impl<T> Remembered<T> {
    pub(super) fn new(clock: Clock) -> Self {
        let state = State { value: None, fetched: None, tried: None, renewed: None, fault: Fault::Unreachable };
        Self { clock, state: Mutex::new(state), turn: tokio::sync::Mutex::new(()) }
    }

    /// Whether the last look at the provider failed.
    pub(super) fn is_failing(&self) -> bool {
        let state = self.state.lock().expect("no holder of this lock can panic");
        state.tried.is_some() && state.tried != state.fetched
    }

    /// What is there, fetched anew when it is no longer fresh. One request fetches; others take what is there meanwhile,
    /// and wait where nothing is.
    pub(super) async fn get<F>(&self, fetch: impl Fn() -> F) -> Result<Arc<T>, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let seen = self.seen();
        if let Some(value) = &seen.value
            && seen.is_fresh
        {
            return Ok(value.clone());
        }
        let _turn = match (&seen.value, self.turn.try_lock()) {
            (_, Ok(turn)) => turn,
            (Some(value), Err(_)) => return Ok(value.clone()),
            (None, Err(_)) => self.turn.lock().await,
        };
        // Whoever had the turn before may have fetched it.
        let seen = self.seen();
        match seen.value {
            Some(value) if seen.is_fresh || !seen.may_try => Ok(value),
            None if !seen.may_try => Err(seen.fault),
            old => self.fetch(fetch, old).await,
        }
    }

    /// What is there after one more look, unless there was one a moment ago: for a token whose key is not known.
    pub(super) async fn renewed<F>(&self, fetch: impl Fn() -> F) -> Result<Arc<T>, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let _turn = self.turn.lock().await;
        let seen = self.seen();
        if self.takes_renewal() {
            return self.fetch(fetch, seen.value).await;
        }
        seen.value.ok_or(seen.fault)
    }

    /// Whether a renewal is due, which it is then not for a while.
    fn takes_renewal(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock().expect("no holder of this lock can panic");
        let is_due = state.renewed.is_none_or(|at| now >= at + PAUSE);
        if is_due {
            state.renewed = Some(now);
        }
        is_due
    }

    async fn fetch<F>(&self, fetch: impl Fn() -> F, old: Option<Arc<T>>) -> Result<Arc<T>, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let outcome = fetch().await;
        let now = self.clock.now();
        let mut state = self.state.lock().expect("no holder of this lock can panic");
        state.tried = Some(now);
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                state.value = Some(value.clone());
                state.fetched = Some(now);
                Ok(value)
            }
            Err(fault) => {
                state.fault = fault.clone();
                old.ok_or(fault)
            }
        }
    }

    fn seen(&self) -> Seen<T> {
        let now = self.clock.now();
        let state = self.state.lock().expect("no holder of this lock can panic");
        let younger = |at: Option<OffsetDateTime>, span: Duration| at.is_some_and(|at| now < at + span);
        let value = state.value.clone().filter(|_| younger(state.fetched, KEPT));
        let pause = if value.is_some() { PAUSE } else { IMPATIENT };
        Seen {
            is_fresh: younger(state.fetched, FRESH),
            may_try: !younger(state.tried, pause),
            fault: state.fault.clone(),
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use time::macros::datetime;

    struct Source {
        clock: Clock,
        remembered: Remembered<u32>,
        asked: AtomicU32,
        is_up: Mutex<bool>,
    }

    impl Source {
        fn new() -> Self {
            let clock = Clock::fixed(datetime!(2026-03-01 12:00 UTC));
            let remembered = Remembered::new(clock.clone());
            Self { clock, remembered, asked: AtomicU32::new(0), is_up: Mutex::new(true) }
        }

        async fn fetch(&self) -> Result<u32, Fault> {
            let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            if *self.is_up.lock().unwrap() { Ok(number) } else { Err(Fault::Unreachable) }
        }

        async fn get(&self) -> Option<u32> {
            self.remembered.get(|| self.fetch()).await.ok().map(|value| *value)
        }

        async fn renewed(&self) -> Option<u32> {
            self.remembered.renewed(|| self.fetch()).await.ok().map(|value| *value)
        }
    }

    #[tokio::test]
    async fn it_is_fetched_anew_when_it_is_no_longer_fresh() {
        let source = Source::new();
        assert_eq!((source.get().await, source.get().await), (Some(1), Some(1)));

        source.clock.advance(FRESH);

        assert_eq!(source.get().await, Some(2));
    }

    #[tokio::test]
    async fn a_storm_of_unknown_keys_asks_once_in_a_while() {
        let source = Source::new();
        source.get().await;

        for _ in 0..10_000 {
            assert_eq!(source.renewed().await, Some(2));
        }
        source.clock.advance(PAUSE);

        assert_eq!(source.renewed().await, Some(3));
    }

    #[tokio::test]
    async fn what_was_fetched_serves_while_the_provider_is_away_but_not_for_ever() {
        let source = Source::new();
        source.get().await;
        *source.is_up.lock().unwrap() = false;
        assert!(!source.remembered.is_failing(), "nobody has looked");

        source.clock.advance(Duration::from_secs(23 * 3600));
        assert_eq!((source.get().await, source.get().await), (Some(1), Some(1)));
        assert_eq!(source.asked.load(Ordering::Relaxed), 2, "one try, then a pause");
        assert!(source.remembered.is_failing());

        source.clock.advance(Duration::from_secs(3600));
        assert_eq!(source.get().await, None);
        *source.is_up.lock().unwrap() = true;
        source.clock.advance(IMPATIENT);
        assert_eq!(source.get().await, Some(4));
        assert!(!source.remembered.is_failing());
    }
}
