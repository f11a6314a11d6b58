//! What a backend can take in a minute, counted by seconds.

use crate::gateway::settings::Capacity;
use std::time::Instant;

const SECONDS: usize = 60;

/// Tokens and requests of the last minute.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    /// The second that was counted last.
    second: u64,
    slots: [Slot; SECONDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    tokens: u64,
    requests: u64,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, second: 0, slots: [Slot::default(); SECONDS] }
    }

    /// Whether a request of so many tokens finds room.
    pub(super) fn has_room(&mut self, capacity: &Capacity, tokens: u64, now: Instant) -> bool {
        self.move_to(now);
        let fits = |most: Option<u64>, used: u64, more: u64| most.is_none_or(|most| used + more <= most);
        // One that is larger than the whole minute is let through when the minute is empty.
        let (used, requests) = self.sums();
        fits(capacity.requests_per_minute, requests, 1) && (fits(capacity.tokens_per_minute, used, tokens) || used == 0)
    }

    /// Tokens and requests of the minute that ends now.
    pub(super) fn used(&mut self, now: Instant) -> (u64, u64) {
        self.move_to(now);
        self.sums()
    }

    fn sums(&self) -> (u64, u64) {
        let slots = self.slots.iter();
        slots.fold((0, 0), |(tokens, requests), slot| (tokens + slot.tokens, requests + slot.requests))
    }

    pub(super) fn add(&mut self, tokens: u64, requests: u64, now: Instant) {
        self.move_to(now);
        let slot = &mut self.slots[self.second as usize % SECONDS];
        slot.tokens += tokens;
        slot.requests += requests;
    }

    fn move_to(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        for passed in 1..=second.saturating_sub(self.second).min(SECONDS as u64) {
            self.slots[(self.second + passed) as usize % SECONDS] = Slot::default();
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_full_minute_has_room_again_when_it_has_passed() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let capacity =
            Capacity { tokens_per_minute: Some(100), requests_per_minute: Some(3), concurrent_requests: None };
        let mut window = Window::new(begin);

        assert!(window.has_room(&capacity, 500, at(0)), "alone it may be larger");
        window.add(80, 1, at(0));
        assert_eq!(window.used(at(1)), (80, 1));
        assert!(window.has_room(&capacity, 20, at(1)) && !window.has_room(&capacity, 21, at(1)));
        window.add(0, 2, at(30));
        assert!(!window.has_room(&capacity, 1, at(31)), "requests");

        assert!(!window.has_room(&capacity, 21, at(59)));
        assert!(window.has_room(&capacity, 21, at(91)));
    }
}
