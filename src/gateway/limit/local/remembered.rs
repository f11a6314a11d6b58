//! What counters remember, as pages show it, and what is forgotten.

use super::super::{CounterKey, Limit};
use super::Limits;
use super::counter::{Room, Used, reset};
use super::shards::Shard;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;

/// A counter as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterView {
    pub limit: Arc<Limit>,
    /// The value of the counter key.
    pub value: Arc<str>,
    pub used: u64,
    pub reserved: u64,
    /// How long until nothing counts any more.
    pub reset: Duration,
}

impl Limits {
    /// What counts as used in a counter, with what other replicas spent as far as is known here; 0 where there is none.
    #[must_use]
    pub fn used(&self, key: CounterKey) -> u64 {
        let now = self.now();
        self.shard(key).get_mut(&key).map_or(0, |counter| {
            let span = counter.limit.span;
            let elsewhere = counter.lease.as_deref().map_or(0, |lease| lease.elsewhere(span, now));
            Room::of(counter, now).used.saturating_add(elsewhere)
        })
    }

    /// What was used of a quota in a period before this process began. The periods of a counter are told in their order, so
    /// that a debt of an earlier one is taken into the next.
    pub fn restore(&self, key: CounterKey, start: OffsetDateTime, used: u64) {
        let mut shard = self.shard(key);
        match shard.get_mut(&key).map(|counter| &mut counter.used) {
            Some(Used::Quota(quota)) if quota.start == start => quota.used = quota.used.saturating_add(used),
            Some(_) => {}
            None => {
                let mut earlier = self.0.earlier.lock().expect("no holder of this lock can panic");
                earlier.entry(key).or_default().push((start, used));
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
}
