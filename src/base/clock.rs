//! The time, as a parameter: the system's in a running service, a fixed one that tests move.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

/// Where the current time comes from; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Mutex<OffsetDateTime>>>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self(Some(Arc::new(Mutex::new(at))))
    }

    /// Now, in UTC, cut to microseconds: what Postgres stores comes back equal.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        let (second, microsecond) = match &self.0 {
            // Not `now_utc`, which adds nanoseconds to 1970 that are cut off again: each request asks several times.
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let second = OffsetDateTime::from_unix_timestamp(since.as_secs().cast_signed());
                (second.expect("a clock that runs is before the year 9999"), since.subsec_micros())
            }
            Some(fixed) => {
                let fixed = *fixed.lock().expect("no holder of this lock can panic");
                (fixed, fixed.microsecond())
            }
        };
        second.replace_microsecond(microsecond).expect("a microsecond that was read is in range")
    }

    /// The time since some moment that stays the same for the life of the process. Never goes backwards, whatever
    /// somebody does to the system's clock.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        static BEGUN: OnceLock<Instant> = OnceLock::new();
        match &self.0 {
            None => BEGUN.get_or_init(Instant::now).elapsed(),
            Some(_) => (self.now() - OffsetDateTime::UNIX_EPOCH).try_into().unwrap_or_default(),
        }
    }

    /// Moves a fixed clock forward; the system's clock cannot be moved.
    ///
    /// # Panics
    /// On the system's clock: a test asked the wrong clock.
    pub fn advance(&self, by: Duration) {
        let fixed = self.0.as_ref().expect("only a fixed clock can be advanced");
        *fixed.lock().expect("no holder of this lock can panic") += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_systems_time_is_told_in_whole_microseconds() {
        let (before, now, after) = (OffsetDateTime::now_utc(), Clock::system().now(), OffsetDateTime::now_utc());

        assert!(before - Duration::from_micros(1) < now && now <= after, "{before} {now} {after}");
        assert_eq!(now.nanosecond() % 1_000, 0);
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed(datetime!(2026-01-01 00:00 UTC));

        assert_eq!(clock.now(), clock.now());
        clock.clone().advance(Duration::from_secs(60));

        assert_eq!(clock.now(), datetime!(2026-01-01 00:01 UTC));
    }
}
