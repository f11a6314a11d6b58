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
        let (seconds, microsecond) = match &self.0 {
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                (OffsetDateTime::from_unix_timestamp(since.as_secs().cast_signed()), since.subsec_micros())
            }
            Some(fixed) => {
                let fixed = *fixed.lock().expect("no holder of this lock can panic");
                (Ok(fixed), fixed.microsecond())
            }
        };
        let seconds = seconds.expect("a clock that runs is before the year 9999");
        seconds.replace_microsecond(microsecond).expect("a microsecond that was read is in range")
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
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed(datetime!(2026-01-01 00:00 UTC));

        assert_eq!(clock.now(), clock.now());
        clock.clone().advance(Duration::from_secs(60));

        assert_eq!(clock.now(), datetime!(2026-01-01 00:01 UTC));
    }
}
