//! Leases: the parts of shared counters that this replica was given, and how the shared store is told and asked.

use super::super::redis::{LEASE, Tell, Told};
use super::super::{CounterKey, Now, Span, period_start};
use super::Limits;
use super::counter::{Counter, Room, call_first};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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

/// A part of a shared counter. What the replica holds of it is `free` and what is reserved.
#[derive(Clone, Copy, Default)]
pub(super) struct Lease {
    /// Neither reserved nor spent.
    pub(super) free: u64,
    /// Spent since the store was told.
    pub(super) untold: u64,
    /// Spent by all replicas, and held by the others, when the store last answered.
    pub(super) used: u64,
    pub(super) others: u64,
    /// Until then the store has nothing to give.
    pub(super) empty_until: Duration,
    /// When some of what was spent stops to count, by what the store said.
    pub(super) frees_at: Duration,
    /// When something was last taken of it.
    pub(super) taken_at: Duration,
    /// Spent by the other replicas when the store last answered, and when that was.
    pub(super) elsewhere: u64,
    pub(super) told_at: Option<Now>,
    /// When the store was asked that last answered: from then on it keeps the lease for [`LEASE`].
    pub(super) renewed_at: Duration,
    /// How often it ran out.
    term: u64,
}

/// What a hold took of a lease: less than it reserved, where the lease had less or the counters of this process decided.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    amount: u64,
    term: u64,
}

impl Lease {
    /// Takes what is free until `taken` comes to `amount`, as far as it goes.
    pub(super) fn take(&mut self, amount: u64, taken: &mut Taken, now: Now) {
        self.lapse(now);
        let had = self.still(*taken);
        let more = amount.saturating_sub(had).min(self.free);
        self.free -= more;
        self.taken_at = now.monotonic;
        *taken = Taken { amount: had.saturating_add(more), term: self.term };
    }

    /// Counts what was used, and gives back what was taken beyond it. What was used beyond what was taken comes out of what
    /// is free here; the store sees the rest as a debt.
    pub(super) fn settle(&mut self, taken: Taken, used: u64, now: Now) {
        self.lapse(now);
        self.untold = self.untold.saturating_add(used);
        self.free = self.free.saturating_add(self.still(taken)).saturating_sub(used);
    }

    /// Forgets what is free when the lease was not renewed in time: the store counts it as spent, and when that has left
    /// the span it gives it to others.
    pub(super) fn lapse(&mut self, now: Now) {
        if now.monotonic.saturating_sub(self.renewed_at) >= LEASE {
            self.free = 0;
            self.term += 1;
        }
    }

    /// What was taken of a lease that ran out since is not there to be given back.
    fn still(&self, taken: Taken) -> u64 {
        if taken.term == self.term { taken.amount } else { 0 }
    }

    /// What the others spent that still counts, as far as is known here without the store.
    pub(super) fn elsewhere(&self, span: Span, now: Now) -> u64 {
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

impl Limits {
    /// Asks the shared store and takes what it gives. What is told is taken off before, so that nothing is told twice at
    /// once, and put back when there is no answer.
    pub(super) async fn ask(&self, tells: Vec<Tell>) {
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
            lease.lapse(now);
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
        let asked_at = now.monotonic;
        let told = shared.ask(&going, asked_at).await;
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
                    lease.renewed_at = asked_at;
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
}

/// What a counter tells the shared store, and asks of it when somebody needs room for this amount. What is spent, held and
/// known is filled in when it goes out.
pub(super) fn tell(key: CounterKey, counter: &Counter, amount: u64) -> Tell {
    let want = match amount {
        0 => 0,
        _ => amount.saturating_mul(LASTS).max(counter.limit.most / 20),
    };
    Tell { key, limit: counter.limit.clone(), amount, spent: 0, held: 0, need: 0, want, floor: 0 }
}
