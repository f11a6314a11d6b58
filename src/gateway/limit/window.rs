//! The arithmetic of limits: a window that slides, and periods of the calendar. Pure; time is a parameter.

use crate::gateway::settings::Period;
use std::collections::VecDeque;
use time::{Date, Duration, OffsetDateTime, Time};

/// A window is counted in sixty parts, ticks: seconds, for a minute. An amount counts until the end of its tick has left
/// the window, so that no window ever holds more than the limit, at the price of one part in sixty.
const COUNTS_FOR: u64 = TICKS + 1;
/// The ticks of a window.
pub(super) const TICKS: u64 = 60;
/// Steps that are looked ahead for the moment at which a window is free again; beyond them the answer is a lower bound.
const STEPS_AHEAD: usize = 2_000;

/// What was spent in the window that ends now.
///
/// What goes over the limit is kept as a debt, which takes up the room of what leaves the window before anybody else
/// may: over a long time no more than the limit is spent in each window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Window {
    /// (tick, amount), oldest first; the sum is at most the limit that held when they were added.
    spent: VecDeque<(u64, u64)>,
    total: u64,
    debt: u64,
}

impl Window {
    /// What counts at `now`, in ticks of a monotonic clock: what was spent and the debt.
    pub(in crate::gateway) fn used(&mut self, now: u64) -> u64 {
        self.advance(now);
        self.total.saturating_add(self.debt)
    }

    /// Adds what was spent. Never refuses: what was used is used.
    pub(in crate::gateway) fn spend(&mut self, now: u64, amount: u64, limit: u64) {
        if amount == 0 {
            return;
        }
        self.advance(now);
        let fits = amount.min(limit.saturating_sub(self.total));
        self.debt = self.debt.saturating_add(amount - fits);
        self.put(now, fits);
    }

    /// The first tick at which at most `most` counts, when nothing is added meanwhile.
    pub(in crate::gateway) fn falls_to(&self, now: u64, most: u64) -> u64 {
        if self.debt == 0 {
            return self.leaves_until(now, most);
        }
        let (mut later, mut at) = (self.clone(), now);
        for _ in 0..STEPS_AHEAD {
            if later.used(at) <= most {
                break;
            }
            match later.spent.front() {
                Some((tick, _)) => at = tick + COUNTS_FOR,
                None => break,
            }
        }
        at
    }

    /// As [`Window::falls_to`], where no debt takes the room of what leaves; asked with each request.
    fn leaves_until(&self, now: u64, most: u64) -> u64 {
        // Nothing counts when the last has left: told with each answer, so it is not looked for.
        if most == 0 {
            return self.spent.back().map_or(now, |(tick, _)| now.max(tick + COUNTS_FOR));
        }
        let (mut left, mut at) = (self.total, now);
        for (tick, amount) in &self.spent {
            let leaves = tick + COUNTS_FOR;
            if leaves > now {
                if left <= most {
                    break;
                }
                at = leaves;
            }
            left -= amount;
        }
        at
    }

    fn advance(&mut self, now: u64) {
        while let Some(&(tick, amount)) = self.spent.front() {
            let leaves = tick + COUNTS_FOR;
            if leaves > now {
                break;
            }
            self.spent.pop_front();
            self.total -= amount;
            // The room that became free at that moment goes to the debt.
            let paid = self.debt.min(amount);
            self.debt -= paid;
            self.put(leaves, paid);
        }
        if self.spent.is_empty() && self.spent.capacity() > 8 {
            self.spent = VecDeque::new();
        }
    }

    fn put(&mut self, tick: u64, amount: u64) {
        if amount == 0 {
            return;
        }
        self.total += amount;
        match self.spent.back_mut() {
            // A monotonic tick never lies before the last one; were it so, the later one is the safe side.
            Some((last, sum)) if *last >= tick => *sum += amount,
            _ => self.spent.push_back((tick, amount)),
        }
    }
}

/// When the period that holds `at` began, in UTC.
#[must_use]
pub fn period_start(period: Period, at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(time::UtcOffset::UTC);
    let midnight = at.replace_time(Time::MIDNIGHT);
    match period {
        Period::Hour => midnight + Duration::hours(i64::from(at.hour())),
        Period::Day => midnight,
        Period::Week => midnight - Duration::days(i64::from(at.weekday().number_days_from_monday())),
        Period::Month => midnight.replace_day(1).expect("each month has a first day"),
    }
}

/// When the period that began at `start` ends, which is when the next begins.
#[must_use]
pub fn period_end(period: Period, start: OffsetDateTime) -> OffsetDateTime {
    match period {
        Period::Hour => start + Duration::hours(1),
        Period::Day => start + Duration::days(1),
        Period::Week => start + Duration::weeks(1),
        Period::Month => {
            let (year, month) = match start.month() {
                time::Month::December => (start.year() + 1, time::Month::January),
                month => (start.year(), month.next()),
            };
            let first = Date::from_calendar_date(year, month, 1).expect("each month has a first day");
            first.midnight().assume_utc()
        }
    }
}

/// What was spent in the running period. What went over the limit is taken into the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Quota {
    pub period: Period,
    pub start: OffsetDateTime,
    pub used: u64,
}

impl Quota {
    pub(in crate::gateway) fn new(period: Period, now: OffsetDateTime) -> Self {
        Self { period, start: period_start(period, now), used: 0 }
    }

    /// What counts in the period that holds `now`. A clock that goes backwards changes nothing.
    pub(in crate::gateway) fn used(&mut self, now: OffsetDateTime, limit: u64) -> u64 {
        // A debt that lasts longer than this is more than anybody waits for.
        for _ in 0..10_000 {
            let end = self.end();
            if now < end || self.used == 0 {
                break;
            }
            self.used = self.used.saturating_sub(limit);
            self.start = end;
        }
        if now >= self.end() {
            self.start = period_start(self.period, now);
        }
        self.used
    }

    /// When it begins anew.
    pub(in crate::gateway) fn end(&self) -> OffsetDateTime {
        period_end(self.period, self.start)
    }

    pub(in crate::gateway) fn spend(&mut self, now: OffsetDateTime, amount: u64, limit: u64) {
        self.used(now, limit);
        self.used = self.used.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn an_amount_counts_for_a_minute() {
        let mut window = Window::default();
        window.spend(100, 40, 100);
        window.spend(130, 50, 100);

        for (now, used) in [(130, 90), (160, 90), (161, 50), (190, 50), (191, 0)] {
            assert_eq!(window.used(now), used, "at {now}");
        }
    }

    #[test]
    fn a_debt_takes_the_room_of_what_leaves() {
        // Three minutes' worth in one: the window is full for three minutes.
        let mut window = Window::default();
        window.spend(0, 300, 100);

        for (now, used) in [(0, 300), (60, 300), (61, 200), (121, 200), (122, 100), (182, 100), (183, 0)] {
            assert_eq!(window.used(now), used, "at {now}");
        }
    }

    #[test]
    fn it_tells_when_there_is_room_again() {
        let mut window = Window::default();
        window.spend(10, 60, 100);
        window.spend(20, 40, 100);

        assert_eq!(window.falls_to(25, 100), 25);
        assert_eq!(window.falls_to(25, 99), 71);
        assert_eq!(window.falls_to(25, 40), 71);
        assert_eq!(window.falls_to(25, 39), 81);
    }

    #[test]
    fn periods_follow_the_calendar() {
        let at = datetime!(2026-12-31 23:30 UTC);
        for (period, start, end) in [
            (Period::Hour, datetime!(2026-12-31 23:00 UTC), datetime!(2027-01-01 00:00 UTC)),
            (Period::Day, datetime!(2026-12-31 00:00 UTC), datetime!(2027-01-01 00:00 UTC)),
            (Period::Week, datetime!(2026-12-28 00:00 UTC), datetime!(2027-01-04 00:00 UTC)),
            (Period::Month, datetime!(2026-12-01 00:00 UTC), datetime!(2027-01-01 00:00 UTC)),
        ] {
            assert_eq!(period_start(period, at), start, "{period:?}");
            assert_eq!(period_end(period, start), end, "{period:?}");
        }
    }

    #[test]
    fn a_quota_begins_anew_and_keeps_its_debt() {
        let mut quota = Quota::new(Period::Day, datetime!(2026-03-01 12:00 UTC));
        quota.spend(datetime!(2026-03-01 12:00 UTC), 250, 100);

        for (now, used) in [
            (datetime!(2026-03-01 23:59:59 UTC), 250),
            (datetime!(2026-03-02 00:00 UTC), 150),
            (datetime!(2026-03-03 00:00 UTC), 50),
            (datetime!(2026-03-04 00:00 UTC), 0),
        ] {
            assert_eq!(quota.used(now, 100), used, "at {now}");
        }
        assert_eq!(quota.start, datetime!(2026-03-04 00:00 UTC));
    }

    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let mut quota = Quota::new(Period::Hour, datetime!(2026-03-01 12:30 UTC));
        quota.spend(datetime!(2026-03-01 12:30 UTC), 70, 100);

        assert_eq!(quota.used(datetime!(2026-03-01 10:30 UTC), 100), 70);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is asked for and when: if only what fits is admitted, no minute holds more than the limit.
        #[test]
        fn no_minute_holds_more_than_the_limit(
            limit in 1u64..500,
            asks in prop::collection::vec((0u64..20, 1u64..200), 1..200),
        ) {
            let (mut window, mut now, mut admitted) = (Window::default(), 0, Vec::new());
            for (pause, amount) in asks {
                now += pause;
                if window.used(now) + amount <= limit {
                    window.spend(now, amount, limit);
                    admitted.push((now, amount));
                }
            }
            for &(end, _) in &admitted {
                let sum: u64 = admitted.iter().filter(|(at, _)| *at <= end && *at + 60 >= end).map(|(_, a)| a).sum();
                prop_assert!(sum <= limit, "{sum} of {limit} in the minute that ends at {end}");
            }
        }

        /// What was spent over the limit is waited for in full: nothing is forgiven, nothing is charged twice.
        #[test]
        fn a_debt_is_kept_to_the_last_token(
            limit in 20u64..100,
            spends in prop::collection::vec((0u64..30, 0u64..300), 1..40),
        ) {
            let (mut window, mut now, mut sum) = (Window::default(), 0, 0);
            for (pause, amount) in spends {
                now += pause;
                window.spend(now, amount, limit);
                sum += amount;
                prop_assert!(window.used(now) <= sum);
            }
            // From an empty window on, each minute takes at most the limit.
            let free = window.falls_to(now, 0);
            prop_assert_eq!(window.used(free), 0);
            prop_assert!((free / COUNTS_FOR + 1) * limit >= sum, "{sum} were spent and all was free at {free}");
        }

        /// The moment it names is the first at which there is room.
        #[test]
        fn the_named_moment_is_the_first(
            limit in 1u64..200,
            spends in prop::collection::vec((0u64..15, 1u64..80), 1..40),
            most in 0u64..200,
        ) {
            let (mut window, mut now) = (Window::default(), 0);
            for (pause, amount) in spends {
                now += pause;
                window.spend(now, amount, limit);
            }
            let at = window.falls_to(now, most);
            prop_assert!(window.clone().used(at) <= most);
            if at > now {
                prop_assert!(window.clone().used(at - 1) > most);
            }
        }
    }
}
