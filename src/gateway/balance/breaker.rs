//! `Breaker`: keeps requests from a backend that fails, and lets one try when the time has come.
//!
//! | state | a request | an answer that counts as failure | any other answer |
//! | --- | --- | --- | --- |
//! | closed | passes | counted; at the threshold, or when it names a wait: open | counted |
//! | open until T, before T | does not pass | may move T further away, never nearer | nothing |
//! | open until T, after T | passes as the probe: half-open | | |
//! | half-open, probe away | does not pass | of the probe: open again; of an earlier request: its wait is kept | of the probe: closed |
//!
//! A probe that is given up without an answer (its client left) makes way for the next one. A wait the backend names
//! (`Retry-After`) opens at once, whatever the threshold, since the backend has said that it will refuse. One that an
//! earlier request brings while the probe is away holds from the probe's return, whatever the probe says: opening before
//! would let a second probe go beside the first.
//! Time is monotonic and a parameter: the wall clock may jump.

use crate::gateway::settings::BreakerSettings;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Parts in which an interval is counted; the oldest is dropped as a whole.
const SLOTS: usize = 10;

/// Trips that are remembered.
const TRIPS: usize = 16;

/// Why a breaker opened, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    pub at: Instant,
    /// When the first probe may go, or might.
    pub until: Instant,
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
    /// The oldest first.
    trips: VecDeque<Trip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    /// With the end of a wait that an earlier request brought meanwhile.
    Probing {
        wait_until: Option<Instant>,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    failed: u32,
    all: u32,
}

impl Breaker {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { phase: Phase::Closed, slots: Default::default(), current: 0, slot_began: now, trips: VecDeque::new() }
    }

    /// Whether a request would pass now; takes no probe's place.
    #[must_use]
    pub fn would_pass(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::Open { until } => now >= until,
            Phase::Probing { .. } => false,
        }
    }

    /// Lets a request pass, or not; who passes reports by [`Breaker::record`], whatever happens.
    pub fn pass(&mut self, now: Instant) -> Option<Pass> {
        match self.phase {
            Phase::Closed => Some(Pass::Usual),
            Phase::Open { until } if now >= until => {
                self.phase = Phase::Probing { wait_until: None };
                Some(Pass::Probe)
            }
            Phase::Open { .. } | Phase::Probing { .. } => None,
        }
    }

    /// When the next request may pass: how long from now; nothing when it may now.
    #[must_use]
    pub fn opens_in(&self, now: Instant) -> Option<Duration> {
        match self.phase {
            Phase::Closed => None,
            Phase::Open { until } => Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero()),
            // Nobody knows when the probe returns; a second is short and no storm.
            Phase::Probing { wait_until } => {
                let wait = wait_until.map(|until| until.saturating_duration_since(now));
                wait.max(Some(Duration::from_secs(1)))
            }
        }
    }

    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } if now < until => State::Open { until },
            Phase::Open { .. } | Phase::Probing { .. } => State::HalfOpen,
        }
    }

    /// The latest trips, the oldest first. One that was extended is one, with its last reason.
    #[must_use]
    pub fn trips(&self) -> &VecDeque<Trip> {
        &self.trips
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
            (Phase::Probing { wait_until }, Pass::Probe) => {
                let kept = wait_until.filter(|until| *until > now);
                match (verdict, kept) {
                    (Verdict::Bad { .. }, _) => {
                        let until = now + wait.unwrap_or(trip).max(MIN_TRIP);
                        self.open(now, kept.map_or(until, |kept| kept.max(until)), why);
                    }
                    (_, Some(until)) => self.phase = Phase::Open { until },
                    (Verdict::Good, None) => self.close(now),
                    // Open since a moment ago: the next request is the next probe.
                    (Verdict::Unknown, None) => self.phase = Phase::Open { until: now },
                }
            }
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
            (Phase::Probing { wait_until }, Pass::Usual) => {
                if let Some(until) = wait.map(|wait| now + wait)
                    && wait_until.is_none_or(|known| until > known)
                {
                    self.phase = Phase::Probing { wait_until: Some(until) };
                    self.extend_last(until, why);
                }
            }
        }
    }

    fn open(&mut self, now: Instant, until: Instant, why: impl FnOnce() -> String) {
        let (until, at) = match (self.phase, self.trips.back()) {
            (Phase::Open { until: before }, Some(extended)) => {
                let (until, at) = (before.max(until), extended.at);
                self.trips.pop_back();
                (until, at)
            }
            _ => (until, now),
        };
        self.phase = Phase::Open { until };
        if self.trips.len() == TRIPS {
            self.trips.pop_front();
        }
        self.trips.push_back(Trip { at, until, reason: why() });
    }

    /// The trip that is being ended by a probe goes on.
    fn extend_last(&mut self, until: Instant, why: impl FnOnce() -> String) {
        if let Some(last) = self.trips.back_mut() {
            last.until = last.until.max(until);
            last.reason = why();
        }
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
mod tests;
