//! `Breaker`: keeps requests from a backend that fails, and lets one try when the time has come.
//!
//! | state | a request | an answer that counts as failure | any other answer |
//! | --- | --- | --- | --- |
//! | closed | passes | counted; at the threshold, or when it names a wait: open | counted |
//! | open until T, before T | does not pass | may move T further away, never nearer | nothing |
//! | open until T, after T | passes as the probe: half-open | | |
//! | half-open, probe away | does not pass | of the probe: open again; of an earlier request: may open for its wait | of the probe: closed |
//!
//! A probe that is given up without an answer (its client left) makes way for the next one. A wait the backend names
//! (`Retry-After`) opens at once, whatever the threshold, since the backend has said that it will refuse.
//! Time is monotonic and a parameter: the wall clock may jump.

use crate::gateway::settings::BreakerSettings;
use std::time::{Duration, Instant};

/// Parts in which an interval is counted; the oldest is dropped as a whole.
const SLOTS: usize = 10;

/// Why a breaker opened last, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    pub at: Instant,
    pub reason: String,
}

/// What a breaker shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One probe is away, or may go.
    HalfOpen,
}

/// How a request that passed is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Usual,
    Probe,
}

/// How an attempt ended, as far as the breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// Counts, and says how long to stay away where the backend did.
    Bad {
        wait: Option<Duration>,
    },
    /// No answer and no fault of the backend's: the client left.
    Unknown,
}

/// The breaker of one backend.
#[derive(Debug)]
pub struct Breaker {
    phase: Phase,
    slots: [Slot; SLOTS],
    /// The slot being counted in, and when it began.
    current: usize,
    slot_began: Instant,
    last_trip: Option<Trip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    failed: u32,
    all: u32,
}

impl Breaker {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { phase: Phase::Closed, slots: Default::default(), current: 0, slot_began: now, last_trip: None }
    }

    /// Whether a request would pass now; takes no probe's place.
    #[must_use]
    pub fn would_pass(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::Open { until } => now >= until,
            Phase::Probing => false,
        }
    }

    /// Lets a request pass, or not; who passes reports by [`Breaker::record`], whatever happens.
    pub fn pass(&mut self, now: Instant) -> Option<Pass> {
        match self.phase {
            Phase::Closed => Some(Pass::Usual),
            Phase::Open { until } if now >= until => {
                self.phase = Phase::Probing;
                Some(Pass::Probe)
            }
            Phase::Open { .. } | Phase::Probing => None,
        }
    }

    /// When the next request may pass: how long from now; nothing when it may now.
    #[must_use]
    pub fn opens_in(&self, now: Instant) -> Option<Duration> {
        match self.phase {
            Phase::Closed => None,
            Phase::Open { until } => Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero()),
            // Nobody knows when the probe returns; a second is short and no storm.
            Phase::Probing => Some(Duration::from_secs(1)),
        }
    }

    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } if now < until => State::Open { until },
            Phase::Open { .. } | Phase::Probing => State::HalfOpen,
        }
    }

    #[must_use]
    pub fn last_trip(&self) -> Option<&Trip> {
        self.last_trip.as_ref()
    }

    /// Takes in how a request that passed has ended; `why` is kept when it opens the breaker.
    pub fn record(
        &mut self,
        settings: &BreakerSettings,
        pass: Pass,
        verdict: Verdict,
        now: Instant,
        why: impl FnOnce() -> String,
    ) {
        let wait = match verdict {
            Verdict::Bad { wait } if settings.accept_retry_after => wait.map(|wait| wait.min(settings.longest_trip.0)),
            _ => None,
        };
        let trip = settings.trip.0.max(MIN_TRIP);
        let is_bad = matches!(verdict, Verdict::Bad { .. });
        match (self.phase, pass) {
            (Phase::Probing, Pass::Probe) => match verdict {
                Verdict::Good => self.close(now),
                Verdict::Bad { .. } => self.open(now, now + wait.unwrap_or(trip).max(MIN_TRIP), why),
                // Open since a moment ago: the next request is the next probe.
                Verdict::Unknown => self.phase = Phase::Open { until: now },
            },
            (Phase::Closed, _) => {
                self.count(settings.interval.0, is_bad, verdict == Verdict::Unknown, now);
                if let Some(wait) = wait {
                    self.open(now, now + wait, why);
                } else if is_bad && self.is_over(settings) {
                    self.open(now, now + trip, why);
                }
            }
            (Phase::Open { until }, _) => {
                if let Some(wait) = wait
                    && now + wait > until
                {
                    self.open(now, now + wait, why);
                }
            }
            // One that left before the trip and returns during the probe.
            (Phase::Probing, Pass::Usual) => {}
        }
    }

    fn open(&mut self, now: Instant, until: Instant, why: impl FnOnce() -> String) {
        let until = match self.phase {
            Phase::Open { until: before } => before.max(until),
            _ => until,
        };
        self.phase = Phase::Open { until };
        self.last_trip = Some(Trip { at: now, reason: why() });
    }

    fn close(&mut self, now: Instant) {
        self.phase = Phase::Closed;
        self.slots = Default::default();
        self.slot_began = now;
    }

    fn count(&mut self, interval: Duration, is_bad: bool, is_unknown: bool, now: Instant) {
        let width = (interval / SLOTS as u32).max(Duration::from_millis(1));
        let passed = now.saturating_duration_since(self.slot_began).as_nanos() / width.as_nanos();
        for _ in 0..passed.min(SLOTS as u128) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = Slot::default();
        }
        if passed > 0 {
            let steps = u32::try_from(passed).unwrap_or(u32::MAX);
            self.slot_began = width.checked_mul(steps).map_or(now, |span| self.slot_began + span);
        }
        if is_unknown {
            return;
        }
        let slot = &mut self.slots[self.current];
        slot.all = slot.all.saturating_add(1);
        slot.failed = slot.failed.saturating_add(u32::from(is_bad));
    }

    fn is_over(&self, settings: &BreakerSettings) -> bool {
        let failed: u32 = self.slots.iter().map(|slot| slot.failed).sum();
        let all: u32 = self.slots.iter().map(|slot| slot.all).sum();
        settings.count.is_some_and(|count| failed >= count)
            || settings.percentage.is_some_and(|percentage| {
                all >= settings.minimum_requests && u64::from(failed) * 100 >= u64::from(all) * u64::from(percentage)
            })
    }
}

/// A trip of no length would be none.
const MIN_TRIP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings::Span;
    use proptest::prelude::*;

    fn settings() -> BreakerSettings {
        BreakerSettings {
            count: Some(3),
            interval: Span::seconds(10),
            trip: Span::seconds(5),
            longest_trip: Span::seconds(60),
            ..BreakerSettings::default()
        }
    }

    /// A breaker with a clock of its own.
    struct Story {
        breaker: Breaker,
        settings: BreakerSettings,
        begin: Instant,
        now: Instant,
    }

    impl Story {
        fn new(settings: BreakerSettings) -> Self {
            let begin = Instant::now();
            Self { breaker: Breaker::new(begin), settings, begin, now: begin }
        }
        fn after(&mut self, ms: u64) -> &mut Self {
            self.now += Duration::from_millis(ms);
            self
        }
        fn record(&mut self, pass: Pass, verdict: Verdict) -> &mut Self {
            self.breaker.record(&self.settings, pass, verdict, self.now, || "test".to_owned());
            self
        }
        fn bad(&mut self) -> &mut Self {
            self.record(Pass::Usual, Verdict::Bad { wait: None })
        }
        fn waits(&self) -> Option<u64> {
            self.breaker.opens_in(self.now).map(|wait| wait.as_millis() as u64)
        }
    }

    #[test]
    fn it_opens_at_the_threshold_within_the_interval_and_not_before() {
        let mut story = Story::new(settings());
        story.bad().after(4_000).bad();
        assert_eq!(story.waits(), None);
        story.after(20_000).bad();
        assert_eq!(story.waits(), None, "the earlier ones are too old");
        story.bad().bad();
        assert_eq!(story.waits(), Some(5_000));
        assert!(story.breaker.pass(story.now).is_none());
    }

    #[test]
    fn a_share_of_failures_opens_it_when_there_are_enough() {
        let mut story =
            Story::new(BreakerSettings { count: None, percentage: Some(50), minimum_requests: 5, ..settings() });
        story.bad().bad().bad().record(Pass::Usual, Verdict::Good);
        assert_eq!(story.waits(), None, "three of four, but four are few");
        story.bad();
        assert_eq!(story.waits(), Some(5_000));
    }

    #[test]
    fn a_wait_that_the_backend_names_opens_at_once_and_only_ever_extends() {
        let wait = |ms| Verdict::Bad { wait: Some(Duration::from_millis(ms)) };
        let mut story = Story::new(settings());
        story.record(Pass::Usual, wait(20_000));
        assert_eq!(story.waits(), Some(20_000));
        story.after(1_000).record(Pass::Usual, wait(2_000));
        assert_eq!(story.waits(), Some(19_000), "a shorter one changes nothing");
        story.record(Pass::Usual, wait(30_000));
        assert_eq!(story.waits(), Some(30_000));
        story.record(Pass::Usual, wait(9_000_000));
        assert_eq!(story.waits(), Some(60_000), "none is believed that is longer than the settings allow");

        let mut deaf = Story::new(BreakerSettings { accept_retry_after: false, ..settings() });
        deaf.record(Pass::Usual, wait(20_000));
        assert_eq!(deaf.waits(), None);
    }

    #[test]
    fn one_probe_decides() {
        let mut story = Story::new(settings());
        story.bad().bad().bad().after(5_000);
        assert_eq!(story.breaker.state(story.now), State::HalfOpen);

        assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe));
        assert_eq!(story.breaker.pass(story.now), None, "one at a time");
        story.record(Pass::Usual, Verdict::Good);
        assert_eq!(story.breaker.pass(story.now), None, "an earlier request decides nothing");
        story.record(Pass::Probe, Verdict::Bad { wait: None });
        assert_eq!(story.waits(), Some(5_000));

        story.after(5_000);
        assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe));
        story.record(Pass::Probe, Verdict::Unknown);
        assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe), "given up: the next one may");
        story.record(Pass::Probe, Verdict::Good);
        assert_eq!(story.breaker.state(story.now), State::Closed);
        story.bad().bad();
        assert_eq!(story.waits(), None, "what was before is forgotten");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wait(u64),
        Good,
        Bad(Option<u64>),
        Lost,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..4_000).prop_map(Step::Wait),
            Just(Step::Good),
            prop::option::of(0_u64..30_000).prop_map(Step::Bad),
            Just(Step::Lost),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: nothing passes within a wait that was named, the end of a trip never moves
        /// nearer, at most one probe is away, and once all waits are over and answers are good it closes.
        #[test]
        fn it_keeps_its_word(steps in prop::collection::vec(step(), 1..200)) {
            let mut story = Story::new(settings());
            let mut closed_until = story.begin;
            let mut probes = 0;
            let mut waiting: Vec<Pass> = Vec::new();
            for step in steps {
                if let Step::Wait(ms) = step {
                    story.after(ms);
                    continue;
                }
                let before = match story.breaker.state(story.now) { State::Open { until } => Some(until), _ => None };
                match story.breaker.pass(story.now) {
                    Some(pass) => {
                        prop_assert!(story.now >= closed_until, "passed within a named wait");
                        probes += u32::from(pass == Pass::Probe);
                        prop_assert!(probes <= 1, "two probes away");
                        waiting.push(pass);
                    }
                    None => prop_assert!(story.breaker.opens_in(story.now).is_some()),
                }
                let Some(pass) = waiting.pop() else { continue };
                let verdict = match step {
                    Step::Good => Verdict::Good,
                    Step::Bad(wait) => Verdict::Bad { wait: wait.map(Duration::from_millis) },
                    Step::Lost | Step::Wait(_) => Verdict::Unknown,
                };
                story.record(pass, verdict);
                probes -= u32::from(pass == Pass::Probe);
                if let Step::Bad(Some(ms)) = step {
                    closed_until = closed_until.max(story.now + Duration::from_millis(ms));
                }
                if let (Some(before), State::Open { until }) = (before, story.breaker.state(story.now)) {
                    prop_assert!(until >= before, "the end of a trip moved nearer");
                }
            }
            for pass in waiting {
                story.record(pass, Verdict::Unknown);
            }
            story.after(60_000);
            let pass = story.breaker.pass(story.now);
            prop_assert!(pass.is_some());
            story.record(pass.unwrap(), Verdict::Good);
            prop_assert_eq!(story.breaker.state(story.now), State::Closed);
        }
    }
}
