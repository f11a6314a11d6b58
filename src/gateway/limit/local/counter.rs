//! One counter: what was used of it, what is reserved, and who waits for it.

use super::super::refusal::{Refusal, Standing, Why};
use super::super::window::{Quota, Window};
use super::super::{Ask, CounterKey, Limit, Now, Span, tick_ms};
use super::Limits;
use super::lease::Lease;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

pub(super) struct Counter {
    pub(super) limit: Arc<Limit>,
    pub(super) value: Arc<str>,
    pub(super) used: Used,
    pub(super) reserved: u64,
    /// What this replica was given of a shared counter.
    pub(super) lease: Option<Box<Lease>>,
    /// Those who wait for a reservation to end, in order.
    #[expect(clippy::box_collection, reason = "at most counters nobody waits: 8 bytes in each, and not 32")]
    pub(super) waiting: Option<Box<VecDeque<oneshot::Sender<()>>>>,
}

pub(super) enum Used {
    Window(Window),
    Quota(Quota),
    Nothing,
}

/// How much of a counter is taken.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) used: u64,
    pub(super) reserved: u64,
}

impl Limits {
    /// A counter that nobody asked for before.
    pub(super) fn counter(&self, ask: &Ask, key: CounterKey, now: Now) -> Counter {
        let used = match ask.limit.span {
            Span::Sliding(_) => Used::Window(Window::default()),
            Span::AtOnce => Used::Nothing,
            Span::Fixed(period) => {
                let mut quota = Quota::new(period, now.wall);
                let earlier = self.0.earlier.lock().expect("no holder of this lock can panic").remove(&key);
                if let Some(&[(first, _), ..]) = earlier.as_deref() {
                    quota = Quota { period, start: first, used: 0 };
                }
                for (start, used) in earlier.into_iter().flatten() {
                    quota.spend(start, used, ask.limit.most);
                }
                Used::Quota(quota)
            }
        };
        let lease = self.0.shared.as_ref().map(|_| Box::default());
        Counter { limit: ask.limit.clone(), value: ask.value.clone(), used, reserved: 0, lease, waiting: None }
    }
}

impl Room {
    pub(super) fn of(counter: &mut Counter, now: Now) -> Self {
        let used = match (&mut counter.used, counter.limit.span) {
            (Used::Window(window), Span::Sliding(ms)) => window.used(now.tick(ms)),
            (Used::Quota(quota), _) => quota.used(now.wall, counter.limit.most),
            _ => 0,
        };
        Self { used, reserved: counter.reserved }
    }

    pub(super) fn why_not(self, certain: u64, amount: u64, most: u64) -> Option<Why> {
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

    pub(super) fn refusal(self, ask: &Ask, why: Why, asked: u64, counter: &Counter, now: Now) -> Refusal {
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

    pub(super) fn standing(self, counter: &Counter, now: Now) -> Standing {
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

/// How long until nothing counts any more.
pub(super) fn reset(counter: &Counter, now: Now) -> Duration {
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
pub(super) fn call_first(counter: &mut Counter) {
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
