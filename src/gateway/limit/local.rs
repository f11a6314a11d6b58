//! The counters of this process, and the reservations made of them.

mod counter;
mod lease;
mod remembered;
mod reservation;
mod shards;

pub use remembered::CounterView;
pub use reservation::Reservation;

use super::redis::{Shared, Tell, WhenAway};
use super::refusal::{Refusal, Standing, Why};
use super::{Ask, CounterKey, Expected, Limit, Now, Span};
use crate::base::Clock;
use counter::{Counter, Room, call_first};
use lease::{Taken, tell};
use reservation::Hold;
use shards::{SHARDS, Shard};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::oneshot;

/// Requests that may wait for one counter.
const WAITING: usize = 1_024;

/// The counters of all limits; cheap to clone.
///
/// A counter takes some 200 bytes while it has something to remember, and nothing after.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// The counters that replicas share, where they do.
    shared: Option<Shared>,
    /// One step at a time: the store takes what a replica says it holds for all it holds.
    asking: tokio::sync::Mutex<()>,
    shards: Box<[Mutex<Shard>]>,
    /// What was used of quotas before this process began, by period, until a request asks for the counter.
    earlier: Mutex<HashMap<CounterKey, Vec<(OffsetDateTime, u64)>>>,
}

/// What became of an attempt to reserve.
enum Attempt {
    Reserved(Reservation),
    Refused(Box<Refusal>),
    /// In the queue of the counter that stands against it.
    Waits(CounterKey, oneshot::Receiver<()>, Box<Refusal>),
    /// Until the shared store has been asked for room in these counters.
    Asks(Vec<Tell>),
}

/// What decides.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// The counters of this process.
    Own,
    /// What was leased of shared ones.
    Leased,
    /// The shared ones are away: a part of each limit, by the number of replicas.
    Share(u64),
    /// They are away, and the settings say to refuse what no lease covers.
    Closed,
}

/// What a counter says of a request.
enum Verdict {
    Fits,
    Against(Why),
    /// The shared store has to be asked for room first.
    Unknown,
}

impl Mode {
    /// Whether there is room for this amount, of which a part is certain, in a counter.
    fn verdict(
        self,
        counter: &mut Counter,
        room: Room,
        (certain, amount): (u64, u64),
        may_ask: bool,
        now: Now,
    ) -> Verdict {
        let Limit { most, span, .. } = *counter.limit;
        let by = |why: Option<Why>| why.map_or(Verdict::Fits, Verdict::Against);
        match self {
            Self::Own => by(room.why_not(certain, amount, most)),
            Self::Share(replicas) => {
                let elsewhere = counter.lease.as_deref().map_or(0, |lease| lease.elsewhere(span, now));
                let all = Room { used: room.used.saturating_add(elsewhere), ..room };
                let mine = room.why_not(certain, amount, most / replicas);
                by(mine.or_else(|| all.why_not(certain, amount, most)))
            }
            Self::Leased | Self::Closed if certain > most => Verdict::Against(Why::TooLarge),
            Self::Leased | Self::Closed => {
                let lease = counter.lease.get_or_insert_default();
                lease.lapse(now);
                if lease.free >= amount {
                    Verdict::Fits
                } else if self == Self::Closed {
                    Verdict::Against(Why::Unreachable)
                } else if may_ask && lease.empty_until <= now.monotonic {
                    Verdict::Unknown
                } else if lease.used.saturating_add(amount) > most {
                    Verdict::Against(Why::Spent)
                } else {
                    Verdict::Against(Why::InFlight)
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    /// Comes behind those who wait.
    New,
    /// Was called from the head of this queue.
    Called(CounterKey),
    /// Neither waits nor heeds those who do.
    Never,
}

impl Limits {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::over(clock, None)
    }

    /// Counters that are shared with other replicas.
    #[must_use]
    pub fn shared(clock: Clock, shared: Shared) -> Self {
        Self::over(clock, Some(shared))
    }

    fn over(clock: Clock, shared: Option<Shared>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let asking = tokio::sync::Mutex::default();
        Self(Arc::new(Inner { clock, shared, asking, shards, earlier: Mutex::default() }))
    }

    /// Whether the store that replicas share answers now; none where each counts for itself.
    pub async fn store_answers(&self) -> Option<bool> {
        match &self.0.shared {
            Some(shared) => Some(shared.answers(self.0.clock.monotonic()).await),
            None => None,
        }
    }

    /// How often the shared store was asked.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.0.shared.as_ref().map_or(0, Shared::trips)
    }

    /// Reserves in all these counters, or in none. Waits up to `patience` when only reservations under way stand against it.
    ///
    /// # Errors
    /// [`Refusal`] of the first limit that has no room.
    pub async fn reserve(
        &self,
        expected: Expected,
        mut asks: Vec<Ask>,
        patience: Duration,
    ) -> Result<Reservation, Box<Refusal>> {
        let mut turn = if patience.is_zero() { Turn::Never } else { Turn::New };
        let (mut deadline, mut asked) = (None, 0);
        loop {
            match self.attempt(expected, &mut asks, turn, asked < 3) {
                Attempt::Asks(tells) => {
                    asked += 1;
                    self.ask(tells).await;
                }
                Attempt::Reserved(reservation) => {
                    if let Turn::Called(key) = turn {
                        self.call_next(key);
                    }
                    return Ok(reservation);
                }
                Attempt::Refused(refusal) => {
                    if let Turn::Called(key) = turn {
                        self.call_next(key);
                    }
                    return Err(refusal);
                }
                Attempt::Waits(key, called, refusal) => {
                    let place = Place { limits: self, key, called: Some(called) };
                    // Set when it waits for the first time: hardly a request does.
                    let deadline = *deadline.get_or_insert_with(|| tokio::time::Instant::now() + patience);
                    if tokio::time::timeout_at(deadline, place.called()).await.is_err() {
                        return Err(refusal);
                    }
                    turn = Turn::Called(key);
                }
            }
        }
    }

    /// As [`Limits::reserve`], without waiting.
    ///
    /// # Errors
    /// As [`Limits::reserve`].
    pub fn reserve_now(&self, expected: Expected, asks: &[Ask]) -> Result<Reservation, Box<Refusal>> {
        match self.attempt(expected, &mut asks.to_vec(), Turn::Never, false) {
            Attempt::Reserved(reservation) => Ok(reservation),
            Attempt::Refused(refusal) | Attempt::Waits(_, _, refusal) => Err(refusal),
            Attempt::Asks(_) => unreachable!("it may not ask"),
        }
    }

    /// Takes the asks when it reserves.
    fn attempt(&self, expected: Expected, asks: &mut Vec<Ask>, turn: Turn, may_ask: bool) -> Attempt {
        let now = self.now();
        let mode = self.mode(now);
        let mut tells = Vec::new();
        let keys: Vec<CounterKey> = asks.iter().map(Ask::key).collect();
        let mut locked = self.lock_all(&keys);

        let (mut amounts, mut shadowed, mut against) = (Vec::with_capacity(asks.len()), Vec::new(), None);
        for (ask, key) in asks.iter().zip(&keys) {
            let counter = locked.counter(*key, || self.counter(ask, *key, now));
            if !Arc::ptr_eq(&counter.limit, &ask.limit) {
                counter.limit = ask.limit.clone();
            }
            let (certain, wanted) = expected.of(ask.limit.measure);
            let room = Room::of(counter, now);
            // An expectation is not worth a refusal by itself; what is certain is.
            let amount = certain.max(wanted.min(ask.limit.most));
            amounts.push(amount);
            let queue = counter.waiting.as_ref().map_or(0, |waiting| waiting.len());
            let why = match mode.verdict(counter, room, (certain, amount), may_ask, now) {
                Verdict::Against(why) => why,
                // Who comes late does not overtake those who wait, where waiting is all there is to do.
                _ if queue > 0 && turn == Turn::New && !ask.limit.shadow => Why::InFlight,
                Verdict::Fits => continue,
                Verdict::Unknown => {
                    tells.push(tell(*key, counter, amount));
                    continue;
                }
            };
            let refusal = room.refusal(ask, why, amount, counter, now);
            if ask.limit.shadow {
                shadowed.push(refusal);
                continue;
            }
            let queued = why == Why::InFlight && turn != Turn::Never && queue < WAITING;
            against = match against {
                // A limit that no waiting helps goes first.
                None => Some((*key, refusal, queued)),
                Some((_, _, true)) if !queued => Some((*key, refusal, queued)),
                first => first,
            };
        }
        if against.is_none() && !tells.is_empty() {
            return Attempt::Asks(tells);
        }
        if let Some((key, refusal, queued)) = against {
            let refusal = Box::new(refusal);
            if !queued {
                return Attempt::Refused(refusal);
            }
            let (sender, called) = oneshot::channel();
            let counter = locked.counter(key, || unreachable!("it was looked at above"));
            let waiting = counter.waiting.get_or_insert_default();
            // Who was called and still finds no room keeps the place at the head.
            match turn == Turn::Called(key) {
                true => waiting.push_front(sender),
                false => waiting.push_back(sender),
            }
            return Attempt::Waits(key, called, refusal);
        }

        let (mut holds, mut standings) = (Vec::with_capacity(asks.len()), Vec::<Standing>::new());
        for ((ask, key), amount) in asks.drain(..).zip(&keys).zip(amounts) {
            let counter = locked.counter(*key, || unreachable!("it was looked at above"));
            counter.reserved = counter.reserved.saturating_add(amount);
            let mut taken = Taken::default();
            if let (Mode::Leased | Mode::Closed, Some(lease)) = (mode, &mut counter.lease) {
                lease.take(amount, &mut taken, now);
            }
            if matches!(ask.limit.span, Span::Sliding(_)) {
                Room::of(counter, now).standing(counter, now).join(&mut standings);
            }
            holds.push(Hold { key: *key, limit: ask.limit, value: ask.value, amount, taken });
        }
        Attempt::Reserved(Reservation { limits: self.clone(), holds, shadowed, standings, expected })
    }

    fn mode(&self, now: Now) -> Mode {
        match &self.0.shared {
            None => Mode::Own,
            Some(shared) if !shared.is_away(now.monotonic) => Mode::Leased,
            Some(shared) => match shared.when_away() {
                WhenAway::Share => Mode::Share(shared.replicas()),
                WhenAway::Refuse => Mode::Closed,
            },
        }
    }

    fn call_next(&self, key: CounterKey) {
        if let Some(counter) = self.shard(key).get_mut(&key) {
            call_first(counter);
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.0.clock.now(), monotonic: self.0.clock.monotonic() }
    }
}

/// A place in a queue. Who leaves it passes the call on, called or not: what was too little for one may do for the next.
struct Place<'a> {
    limits: &'a Limits,
    key: CounterKey,
    called: Option<oneshot::Receiver<()>>,
}

impl Place<'_> {
    async fn called(mut self) {
        let called = self.called.as_mut().expect("it is there until the place is left");
        // The counter, which holds the other end, goes only when nobody waits.
        let _ = called.await;
        self.called = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(mut called) = self.called.take() {
            called.close();
            self.limits.call_next(self.key);
        }
    }
}

#[cfg(test)]
mod tests;
