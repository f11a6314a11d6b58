//! How many retries a pool affords: a share of its requests, so that a storm of failures is not doubled by us.

use crate::gateway::settings::RetryBudget;
use std::time::Instant;

const SECONDS: usize = 10;

/// Requests and retries of the last ten seconds.
#[derive(Debug)]
pub struct Retries {
    began: Instant,
    second: u64,
    slots: [(u64, u64); SECONDS],
}

impl Retries {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { began: now, second: 0, slots: [(0, 0); SECONDS] }
    }

    pub fn count_request(&mut self, now: Instant) {
        self.move_to(now);
        self.slots[self.second as usize % SECONDS].0 += 1;
    }

    /// Whether one more retry is affordable; takes it when it is.
    pub fn take(&mut self, budget: &RetryBudget, now: Instant) -> bool {
        self.move_to(now);
        let (requests, retries) = self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.0, sum.1 + slot.1));
        let current = &mut self.slots[self.second as usize % SECONDS];
        let within_share = (retries + 1) * 100 <= requests * u64::from(budget.percentage);
        let affordable = within_share || current.1 < u64::from(budget.floor_per_second);
        current.1 += u64::from(affordable);
        affordable
    }

    fn move_to(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        for passed in 1..=second.saturating_sub(self.second).min(SECONDS as u64) {
            self.slots[(self.second + passed) as usize % SECONDS] = (0, 0);
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn retries_stay_a_share_of_the_requests() {
        let begin = Instant::now();
        let budget = RetryBudget { attempts: 3, percentage: 20, floor_per_second: 0 };
        let mut retries = Retries::new(begin);
        (0..100).for_each(|_| retries.count_request(begin));

        let taken = (0..100).filter(|_| retries.take(&budget, begin)).count();

        assert_eq!(taken, 20);
        assert!(!retries.take(&budget, begin + Duration::from_secs(11)), "no requests, no share");
    }

    #[test]
    fn a_few_a_second_are_always_affordable() {
        let begin = Instant::now();
        let budget = RetryBudget { attempts: 3, percentage: 0, floor_per_second: 2 };
        let mut retries = Retries::new(begin);

        let taken: Vec<_> =
            (0..6).map(|turn| retries.take(&budget, begin + Duration::from_millis(300 * turn))).collect();

        assert_eq!(taken, [true, true, false, false, true, true]);
    }
}
