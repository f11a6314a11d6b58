//! The counters of this process, and the reservations made of them.

use super::redis::{Shared, Tell, Told, WhenAway};
use super::refusal::{Refusal, Standing, Why};
use super::window::{Quota, Window};
use super::{Ask, CounterKey, Expected, Limit, Measure, Now, QuotaSpent, Span, Spent, period_start, tick_ms};
use crate::base::Clock;
use http::HeaderMap;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const SHARDS: usize = 64;
/// How often the shared store is told what was spent.
const TELLING: Duration = Duration::from_secs(1);
/// After this time without a request a replica gives back what it holds.
const IDLE: Duration = Duration::from_secs(2);
/// How long a counter that had nothing to give is not asked again.
const EMPTY_FOR: Duration = Duration::from_millis(200);
/// Counters in one step of the shared store.
const AT_ONCE: usize = 100;
/// Requests that a lease is to last for.
const LASTS: u64 = 16;
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
    /// What was used of running quotas before this process began, until a request asks for the counter.
    earlier: Mutex<HashMap<CounterKey, (OffsetDateTime, u64)>>,
}

type Shard = HashMap<CounterKey, Counter, BuildHasherDefault<AlreadyHashed>>;

struct Counter {
    limit: Arc<Limit>,
    value: Box<str>,
    used: Used,
    reserved: u64,
    /// What this replica was given of a shared counter.
    lease: Option<Box<Lease>>,
    /// Those who wait for a reservation to end, in order.
    waiting: Option<Box<VecDeque<oneshot::Sender<()>>>>,
}

/// A part of a shared counter. What the replica holds of it is `free` and what is reserved.
#[derive(Clone, Copy, Default)]
struct Lease {
    /// Neither reserved nor spent.
    free: u64,
    /// Spent since the store was told.
    untold: u64,
    /// Spent by all replicas, and held by the others, when the store last answered.
    used: u64,
    others: u64,
    /// Until then the store has nothing to give.
    empty_until: Duration,
    /// When some of what was spent stops to count, by what the store said.
    frees_at: Duration,
    /// When something was last taken of it.
    taken_at: Duration,
    /// Spent by the other replicas when the store last answered, and when that was.
    elsewhere: u64,
    told_at: Option<Now>,
}

impl Lease {
    /// What the others spent that still counts, as far as is known here without the store.
    fn elsewhere(&self, span: Span, now: Now) -> u64 {
        match (self.told_at, span) {
            (Some(at), Span::Sliding(ms)) => {
                // When each part was spent is not known; it leaves the window by and by.
                let window = Duration::from_millis(ms.into());
                let left = window.saturating_sub(now.monotonic.saturating_sub(at.monotonic));
                (self.elsewhere as f64 * (left.as_secs_f64() / window.as_secs_f64())).ceil() as u64
            }
            (Some(at), Span::Fixed(period)) if period_start(period, at.wall) == period_start(period, now.wall) => {
                self.elsewhere
            }
            _ => 0,
        }
    }
}

enum Used {
    Window(Window),
    Quota(Quota),
    Nothing,
}

/// What a request has reserved. Ends in [`Reservation::settle`] or [`Reservation::release`]; when it is dropped, all that
/// was reserved counts as used: it is better to charge too much than to let a limit be got around.
#[must_use = "what is dropped is charged in full"]
pub struct Reservation {
    limits: Limits,
    holds: Vec<Hold>,
    /// Limits in shadow that would have refused.
    pub shadowed: Vec<Refusal>,
    /// The tightest limit of tokens and that of requests, after this reservation.
    pub standings: Vec<Standing>,
    expected: Expected,
}

#[derive(Debug)]
struct Hold {
    key: CounterKey,
    limit: Arc<Limit>,
    value: Box<str>,
    amount: u64,
}

/// A counter as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterView {
    pub limit: Arc<Limit>,
    /// The value of the counter key.
    pub value: Box<str>,
    pub used: u64,
    pub reserved: u64,
    /// How long until nothing counts any more.
    pub reset: Duration,
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
        asks: Vec<Ask>,
        patience: Duration,
    ) -> Result<Reservation, Box<Refusal>> {
        let mut turn = if patience.is_zero() { Turn::Never } else { Turn::New };
        let deadline = tokio::time::Instant::now() + patience;
        let mut asked = 0;
        loop {
            match self.attempt(expected, &asks, turn, asked < 3) {
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
        match self.attempt(expected, asks, Turn::Never, false) {
            Attempt::Reserved(reservation) => Ok(reservation),
            Attempt::Refused(refusal) | Attempt::Waits(_, _, refusal) => Err(refusal),
            Attempt::Asks(_) => unreachable!("it may not ask"),
        }
    }

    fn attempt(&self, expected: Expected, asks: &[Ask], turn: Turn, may_ask: bool) -> Attempt {
        let now = self.now();
        let mode = self.mode(now);
        let mut tells = Vec::new();
        let keys: Vec<CounterKey> = asks.iter().map(Ask::key).collect();
        let mut locked = self.lock_all(&keys);

        let (mut amounts, mut shadowed, mut against) = (Vec::with_capacity(asks.len()), Vec::new(), None);
        for (ask, key) in asks.iter().zip(&keys) {
            let counter = locked.counter(*key, || self.counter(ask, *key, now));
            counter.limit = ask.limit.clone();
            let (certain, wanted) = expected.of(ask.limit.measure);
            let room = Room::of(counter, now);
            // An expectation is not worth a refusal by itself; what is certain is.
            let amount = certain.max(wanted.min(ask.limit.most));
            amounts.push(amount);
            let queue = counter.waiting.as_ref().map_or(0, |waiting| waiting.len());
            let why = match mode {
                Mode::Own => room.why_not(certain, amount, ask.limit.most),
                Mode::Share(replicas) => {
                    let elsewhere = counter.lease.as_deref().map_or(0, |lease| lease.elsewhere(ask.limit.span, now));
                    let all = Room { used: room.used.saturating_add(elsewhere), ..room };
                    let mine = room.why_not(certain, amount, ask.limit.most / replicas);
                    mine.or_else(|| all.why_not(certain, amount, ask.limit.most))
                }
                Mode::Leased | Mode::Closed if certain > ask.limit.most => Some(Why::TooLarge),
                Mode::Leased | Mode::Closed => {
                    let lease = *counter.lease.get_or_insert_default().as_ref();
                    match () {
                        () if lease.free >= amount => None,
                        () if mode == Mode::Closed => Some(Why::Unreachable),
                        () if may_ask && lease.empty_until <= now.monotonic => {
                            tells.push(tell(*key, counter, amount));
                            None
                        }
                        () if lease.used.saturating_add(amount) > ask.limit.most => Some(Why::Spent),
                        () => Some(Why::InFlight),
                    }
                }
            };
            let why = match why {
                // Who comes late does not overtake those who wait, where waiting is all there is to do.
                None if queue > 0 && turn == Turn::New && !ask.limit.shadow => Some(Why::InFlight),
                why => why,
            };
            let Some(why) = why else { continue };
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
        for ((ask, key), amount) in asks.iter().zip(&keys).zip(amounts) {
            let counter = locked.counter(*key, || unreachable!("it was looked at above"));
            counter.reserved = counter.reserved.saturating_add(amount);
            if let (Mode::Leased | Mode::Closed, Some(lease)) = (mode, &mut counter.lease) {
                lease.free = lease.free.saturating_sub(amount);
                lease.taken_at = now.monotonic;
            }
            if matches!(ask.limit.span, Span::Sliding(_)) {
                let standing = Room::of(counter, now).standing(counter, now);
                let requests = standing.measure == Measure::Requests;
                match standings.iter_mut().find(|other| (other.measure == Measure::Requests) == requests) {
                    Some(other) if standing.is_tighter_than(other) => *other = standing,
                    Some(_) => {}
                    None => standings.push(standing),
                }
            }
            holds.push(Hold { key: *key, limit: ask.limit.clone(), value: ask.value.clone(), amount });
        }
        Attempt::Reserved(Reservation { limits: self.clone(), holds, shadowed, standings, expected })
    }

    /// What counts as used in a counter; 0 where there is none.
    #[must_use]
    pub fn used(&self, key: CounterKey) -> u64 {
        let now = self.now();
        self.shard(key).get_mut(&key).map_or(0, |counter| Room::of(counter, now).used)
    }

    /// What was used of a running quota before this process began.
    pub fn restore(&self, key: CounterKey, start: OffsetDateTime, used: u64) {
        let mut shard = self.shard(key);
        match shard.get_mut(&key).map(|counter| &mut counter.used) {
            Some(Used::Quota(quota)) if quota.start == start => quota.used = quota.used.saturating_add(used),
            Some(_) => {}
            None => {
                self.0.earlier.lock().expect("no holder of this lock can panic").insert(key, (start, used));
            }
        }
    }

    /// The counters that have something to remember, those with the least room first.
    #[must_use]
    pub fn counters(&self) -> Vec<CounterView> {
        let now = self.now();
        let mut views = Vec::new();
        for shard in &self.0.shards {
            let mut shard = shard.lock().expect("no holder of this lock can panic");
            for counter in shard.values_mut() {
                let room = Room::of(counter, now);
                if room.used + room.reserved > 0 {
                    views.push(CounterView {
                        limit: counter.limit.clone(),
                        value: counter.value.clone(),
                        used: room.used,
                        reserved: room.reserved,
                        reset: reset(counter, now),
                    });
                }
            }
        }
        let part = |view: &CounterView| (view.used + view.reserved) as f64 / view.limit.most.max(1) as f64;
        views.sort_by(|a, b| part(b).total_cmp(&part(a)).then_with(|| a.value.cmp(&b.value)));
        views
    }

    /// Forgets counters that have nothing to remember; to be called now and then. Gives how many are left.
    pub fn sweep(&self) -> usize {
        let now = self.now();
        let sweep = |shard: &Mutex<Shard>| {
            let mut shard = shard.lock().expect("no holder of this lock can panic");
            shard.retain(|_, counter| {
                let idle = counter.reserved == 0 && counter.waiting.as_ref().is_none_or(|waiting| waiting.is_empty());
                let leased = counter.lease.as_ref().is_some_and(|lease| lease.free > 0 || lease.untold > 0);
                leased || !(idle && Room::of(counter, now).used == 0)
            });
            if shard.capacity() > 4 * shard.len() + 16 {
                shard.shrink_to_fit();
            }
            shard.len()
        };
        self.0.shards.iter().map(sweep).sum()
    }

    fn counter(&self, ask: &Ask, key: CounterKey, now: Now) -> Counter {
        let used = match ask.limit.span {
            Span::Sliding(_) => Used::Window(Window::default()),
            Span::AtOnce => Used::Nothing,
            Span::Fixed(period) => {
                let mut quota = Quota::new(period, now.wall);
                let earlier = self.0.earlier.lock().expect("no holder of this lock can panic").remove(&key);
                if let Some((start, used)) = earlier {
                    quota = Quota { period, start, used };
                }
                Used::Quota(quota)
            }
        };
        let lease = self.0.shared.as_ref().map(|_| Box::default());
        Counter { limit: ask.limit.clone(), value: ask.value.clone(), used, reserved: 0, lease, waiting: None }
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

    /// Asks the shared store and takes what it gives. What is told is taken off before, so that nothing is told twice at
    /// once, and put back when there is no answer.
    async fn ask(&self, tells: Vec<Tell>) {
        let Some(shared) = &self.0.shared else { return };
        let _turn = self.0.asking.lock().await;
        if shared.is_away(self.now().monotonic) {
            return;
        }
        let now = self.now();
        let mut going = Vec::with_capacity(tells.len());
        for mut tell in tells {
            let mut shard = self.shard(tell.key);
            let Some(counter) = shard.get_mut(&tell.key) else { continue };
            let (reserved, own) = (counter.reserved, Room::of(counter, now).used);
            let Some(lease) = &mut counter.lease else { continue };
            // Somebody else may have asked for this counter meanwhile.
            if tell.amount > 0 && lease.free >= tell.amount {
                continue;
            }
            tell.need = tell.amount.saturating_sub(lease.free);
            tell.spent = std::mem::take(&mut lease.untold);
            tell.held = lease.free.saturating_add(reserved);
            tell.floor = own.saturating_sub(tell.spent).saturating_add(lease.elsewhere(tell.limit.span, now));
            going.push(tell);
        }
        if going.is_empty() {
            return;
        }
        let told = shared.ask(&going, now.wall, now.monotonic).await;
        let now = self.now();
        for (at, tell) in going.iter().enumerate() {
            let mut shard = self.shard(tell.key);
            let Some(counter) = shard.get_mut(&tell.key) else { continue };
            let own = Room::of(counter, now).used;
            let Some(lease) = &mut counter.lease else { continue };
            match &told {
                None => lease.untold = lease.untold.saturating_add(tell.spent),
                Some(told) => {
                    let Told { granted, used, others, frees_in } = told[at];
                    lease.free = lease.free.saturating_add(granted);
                    (lease.used, lease.others, lease.told_at) = (used, others, Some(now));
                    lease.elsewhere = used.saturating_sub(own.saturating_sub(lease.untold));
                    lease.frees_at = now.monotonic + frees_in;
                    if tell.need > 0 && granted < tell.need {
                        lease.empty_until = now.monotonic + EMPTY_FOR.min(frees_in.max(Duration::from_millis(20)));
                    }
                    if granted > 0 {
                        call_first(counter);
                    }
                }
            }
        }
    }

    /// Tells the shared store what was spent and renews what is held, until `stop`; then gives everything back. Does
    /// nothing where counters are not shared.
    pub async fn run(self, stop: CancellationToken) {
        if self.0.shared.is_none() {
            return;
        }
        loop {
            let stopping = stop.is_cancelled();
            let now = self.now();
            let mut tells = Vec::new();
            for shard in &self.0.shards {
                let mut shard = shard.lock().expect("no holder of this lock can panic");
                for (key, counter) in shard.iter_mut() {
                    let reserved = counter.reserved;
                    let Some(lease) = &mut counter.lease else { continue };
                    if lease.untold == 0 && lease.free == 0 && reserved == 0 {
                        continue;
                    }
                    // What was not wanted for a while is for others.
                    if stopping || now.monotonic.saturating_sub(lease.taken_at) > IDLE {
                        lease.free = 0;
                    }
                    tells.push(tell(*key, counter, 0));
                }
            }
            let away = self.0.shared.as_ref().is_some_and(|shared| shared.is_away(now.monotonic));
            if !away {
                for part in tells.chunks(AT_ONCE) {
                    self.ask(part.to_vec()).await;
                }
            }
            if stopping {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(TELLING) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Ends a hold: gives back what was reserved and counts what was used.
    fn end(&self, hold: &Hold, actual: u64) -> Option<QuotaSpent> {
        let now = self.now();
        let mut shard = self.shard(hold.key);
        // A counter with a reservation is never swept.
        let counter = shard.get_mut(&hold.key)?;
        counter.reserved = counter.reserved.saturating_sub(hold.amount);
        let at_once = hold.limit.span == Span::AtOnce;
        if let Some(lease) = &mut counter.lease {
            // What was spent beyond what was reserved comes out of what is free here; the store sees the rest as a debt.
            let actual = if at_once { 0 } else { actual };
            lease.untold = lease.untold.saturating_add(actual);
            lease.free = lease.free.saturating_add(hold.amount).saturating_sub(actual);
        }
        let spent = match (&mut counter.used, hold.limit.span) {
            (Used::Window(window), Span::Sliding(ms)) => {
                window.spend(now.tick(ms), actual, counter.limit.most);
                None
            }
            (Used::Quota(quota), _) => {
                quota.spend(now.wall, actual, counter.limit.most);
                Some(QuotaSpent { key: hold.key, start: quota.start, amount: actual })
            }
            _ => None,
        };
        call_first(counter);
        spent.filter(|spent| spent.amount > 0)
    }

    fn call_next(&self, key: CounterKey) {
        if let Some(counter) = self.shard(key).get_mut(&key) {
            call_first(counter);
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.0.clock.now(), monotonic: self.0.clock.monotonic() }
    }

    fn shard(&self, key: CounterKey) -> MutexGuard<'_, Shard> {
        self.0.shards[place(key)].lock().expect("no holder of this lock can panic")
    }

    /// All counters at once: what is checked and what is taken must be the same moment. Always in the same order, so
    /// that two requests never wait for each other.
    fn lock_all(&self, keys: &[CounterKey]) -> Locked<'_> {
        let mut places: Vec<usize> = keys.iter().map(|key| place(*key)).collect();
        places.sort_unstable();
        places.dedup();
        let lock = |place: usize| (place, self.0.shards[place].lock().expect("no holder of this lock can panic"));
        Locked(places.into_iter().map(lock).collect())
    }
}

impl Reservation {
    /// Of a request that no limit applies to.
    pub fn none(limits: &Limits) -> Self {
        let (holds, shadowed, standings) = (Vec::new(), Vec::new(), Vec::new());
        Self { limits: limits.clone(), holds, shadowed, standings, expected: Expected::default() }
    }

    /// Takes the holds of another one in.
    pub fn join(&mut self, mut other: Self) {
        self.holds.append(&mut other.holds);
        self.shadowed.append(&mut other.shadowed);
        self.standings.append(&mut other.standings);
    }

    /// Charges what was used and gives back the rest. What it gives belongs into the usage record.
    pub fn settle(mut self, spent: Spent) -> Vec<QuotaSpent> {
        let holds = std::mem::take(&mut self.holds);
        holds.iter().filter_map(|hold| self.limits.end(hold, spent.of(hold.limit.measure))).collect()
    }

    /// Gives all of it back: nothing reached a backend.
    pub fn release(self) {
        self.settle(Spent { nothing: true, ..Spent::default() });
    }

    /// Reserves more when a reply has grown beyond what was expected, so that others see it before it ends. Refuses nothing.
    pub fn grow(&mut self, output: u64) {
        if output <= self.expected.output {
            return;
        }
        // In strides: the fewer times the counters are asked the better.
        let output = output.saturating_add(output / 4);
        self.expected.output = output;
        for hold in &mut self.holds {
            let amount = match hold.limit.measure {
                Measure::Output => output,
                Measure::Tokens => self.expected.input.saturating_add(output),
                Measure::Input | Measure::Requests | Measure::Cost => continue,
            };
            if let Some(more) = amount.checked_sub(hold.amount)
                && let Some(counter) = self.limits.shard(hold.key).get_mut(&hold.key)
            {
                counter.reserved = counter.reserved.saturating_add(more);
                hold.amount = amount;
            }
        }
    }

    /// The headers that tell how things stand.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        self.standings.iter().for_each(|standing| standing.write_headers(headers));
    }

    /// Each counter it holds: limit, value of the key, amount.
    pub fn holds(&self) -> impl Iterator<Item = (&Limit, &str, u64)> {
        self.holds.iter().map(|hold| (&*hold.limit, &*hold.value, hold.amount))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for hold in std::mem::take(&mut self.holds) {
            let requests = hold.limit.span == Span::AtOnce;
            self.limits.end(&hold, if requests { 0 } else { hold.amount });
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("holds", &self.holds).finish_non_exhaustive()
    }
}

/// How much of a counter is taken.
#[derive(Clone, Copy)]
struct Room {
    used: u64,
    reserved: u64,
}

impl Room {
    fn of(counter: &mut Counter, now: Now) -> Self {
        let used = match (&mut counter.used, counter.limit.span) {
            (Used::Window(window), Span::Sliding(ms)) => window.used(now.tick(ms)),
            (Used::Quota(quota), _) => quota.used(now.wall, counter.limit.most),
            _ => 0,
        };
        Self { used, reserved: counter.reserved }
    }

    fn why_not(self, certain: u64, amount: u64, most: u64) -> Option<Why> {
        if certain > most {
            Some(Why::TooLarge)
        } else if self.used.saturating_add(amount) > most {
            Some(Why::Spent)
        } else if self.used.saturating_add(self.reserved).saturating_add(amount) > most {
            Some(Why::InFlight)
        } else {
            None
        }
    }

    fn refusal(self, ask: &Ask, why: Why, asked: u64, counter: &Counter, now: Now) -> Refusal {
        let reset = reset(counter, now);
        let retry_after = match (&counter.used, counter.limit.span) {
            (Used::Window(window), Span::Sliding(ms)) if why == Why::Spent => {
                until_tick(window.falls_to(now.tick(ms), counter.limit.most.saturating_sub(asked)), ms, now)
            }
            (Used::Quota(_), _) if why == Why::Spent => reset,
            _ => Duration::from_secs(1),
        };
        let (limit, value) = (ask.limit.clone(), ask.value.clone());
        let (used, reserved, retry_after) = match counter.lease.as_deref() {
            Some(lease) if lease.used > 0 || lease.others > 0 => {
                let retry_after = match why {
                    Why::Spent => retry_after.max(lease.frees_at.saturating_sub(now.monotonic)),
                    _ => retry_after,
                };
                (lease.used.max(self.used), self.reserved.saturating_add(lease.others), retry_after)
            }
            _ => (self.used, self.reserved, retry_after),
        };
        Refusal { limit, value, why, used, reserved, asked, retry_after, reset }
    }

    fn standing(self, counter: &Counter, now: Now) -> Standing {
        let Limit { measure, most, .. } = *counter.limit;
        let shared = counter.lease.as_deref().map_or((0, 0), |lease| (lease.used, lease.others));
        let remaining =
            most.saturating_sub(self.used.max(shared.0)).saturating_sub(self.reserved).saturating_sub(shared.1);
        let full = match counter.limit.span {
            Span::Sliding(ms) if self.reserved > 0 => Duration::from_millis(u64::from(ms)),
            _ => Duration::ZERO,
        };
        Standing { measure, most, remaining, reset: reset(counter, now).max(full) }
    }
}

/// What a counter tells the shared store, and asks of it when somebody needs room for this amount. What is spent, held and
/// known is filled in when it goes out.
fn tell(key: CounterKey, counter: &Counter, amount: u64) -> Tell {
    let want = match amount {
        0 => 0,
        _ => amount.saturating_mul(LASTS).max(counter.limit.most / 20),
    };
    Tell { key, limit: counter.limit.clone(), amount, spent: 0, held: 0, need: 0, want, floor: 0 }
}

/// How long until nothing counts any more.
fn reset(counter: &Counter, now: Now) -> Duration {
    match (&counter.used, counter.limit.span) {
        (Used::Window(window), Span::Sliding(ms)) => until_tick(window.falls_to(now.tick(ms), 0), ms, now),
        (Used::Quota(quota), _) => (quota.end() - now.wall).try_into().unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

fn until_tick(tick: u64, window_ms: u32, now: Now) -> Duration {
    Duration::from_millis(tick * tick_ms(window_ms)).saturating_sub(now.monotonic)
}

/// Calls the first who still waits.
fn call_first(counter: &mut Counter) {
    let Some(waiting) = &mut counter.waiting else { return };
    while let Some(first) = waiting.pop_front() {
        if first.send(()).is_ok() {
            break;
        }
    }
    if waiting.is_empty() {
        counter.waiting = None;
    }
}

/// A place in a queue. Who leaves after being called passes the call on.
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
            if called.try_recv().is_ok() {
                self.limits.call_next(self.key);
            }
        }
    }
}

struct Locked<'a>(Vec<(usize, MutexGuard<'a, Shard>)>);

impl Locked<'_> {
    fn counter(&mut self, key: CounterKey, new: impl FnOnce() -> Counter) -> &mut Counter {
        let place = place(key);
        let (_, shard) = self.0.iter_mut().find(|(at, _)| *at == place).expect("the shards of all keys are locked");
        shard.entry(key).or_insert_with(new)
    }
}

fn place(key: CounterKey) -> usize {
    (key.0 >> 120) as usize % SHARDS
}

/// Counter keys are hashes already.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[cfg(test)]
mod tests;
