//! What a request has reserved, and what becomes of it.

use super::super::refusal::{Refusal, Standing};
use super::super::{CounterKey, Expected, Limit, Measure, Now, QuotaSpent, Span, Spent};
use super::Limits;
use super::counter::{Used, call_first};
use super::lease::Taken;
use std::sync::Arc;

/// What a request has reserved. Ends in [`Reservation::settle`] or [`Reservation::release`]; when it is dropped, all that
/// was reserved counts as used: it is better to charge too much than to let a limit be got around.
#[must_use = "what is dropped is charged in full"]
pub struct Reservation {
    pub(super) limits: Limits,
    pub(super) holds: Vec<Hold>,
    /// Limits in shadow that would have refused.
    pub shadowed: Vec<Refusal>,
    /// The tightest limit of tokens and that of requests, after this reservation.
    pub standings: Vec<Standing>,
    pub(super) expected: Expected,
}

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) key: CounterKey,
    pub(super) limit: Arc<Limit>,
    pub(super) value: Arc<str>,
    pub(super) amount: u64,
    pub(super) taken: Taken,
}

impl Limits {
    /// Ends a hold: gives back what was reserved and counts what was used.
    fn end(&self, hold: &Hold, actual: u64, now: Now) -> Option<QuotaSpent> {
        let mut shard = self.shard(hold.key);
        // A counter with a reservation is never swept.
        let counter = shard.get_mut(&hold.key)?;
        counter.reserved = counter.reserved.saturating_sub(hold.amount);
        if let Some(lease) = &mut counter.lease {
            let at_once = hold.limit.span == Span::AtOnce;
            lease.settle(hold.taken, if at_once { 0 } else { actual }, now);
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
        let (holds, now) = (std::mem::take(&mut self.holds), self.limits.now());
        holds.iter().filter_map(|hold| self.limits.end(hold, spent.of(hold.limit.measure), now)).collect()
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
        let now = self.limits.now();
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
                // What the lease has not free is told as held, and so the store gives it to nobody else.
                if let Some(lease) = &mut counter.lease {
                    lease.take(amount, &mut hold.taken, now);
                }
            }
        }
    }

    /// Each counter it holds: limit, value of the key, the counter itself, amount.
    pub fn holds(&self) -> impl Iterator<Item = (&Limit, &str, CounterKey, u64)> {
        self.holds.iter().map(|hold| (&*hold.limit, &*hold.value, hold.key, hold.amount))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.holds.is_empty() {
            return;
        }
        let now = self.limits.now();
        for hold in std::mem::take(&mut self.holds) {
            let requests = hold.limit.span == Span::AtOnce;
            self.limits.end(&hold, if requests { 0 } else { hold.amount }, now);
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("holds", &self.holds).finish_non_exhaustive()
    }
}
