//! What a backend can take in a minute, counted by seconds.

use crate::gateway::settings::Capacity;
use std::time::{Duration, Instant};

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
        if !is_bounded(capacity) {
            return true;
        }
        self.move_to(now);
        fits(capacity, self.sums(), tokens)
    }

    /// Counts a request of so many tokens where it finds room; gives the second in which it is counted.
    pub(super) fn take(&mut self, capacity: &Capacity, tokens: u64, now: Instant) -> Option<u64> {
        if !self.has_room(capacity, tokens, now) {
            return None;
        }
        self.add(tokens, 1, now);
        Some(self.second)
    }

    /// How long until a request of so many tokens finds room; none when it does now.
    pub(super) fn frees_in(&mut self, capacity: &Capacity, tokens: u64, now: Instant) -> Option<Duration> {
        if self.has_room(capacity, tokens, now) {
            return None;
        }
        let (mut used, mut requests) = self.sums();
        let oldest = (self.second + 1).saturating_sub(SECONDS as u64);
        let gone = (oldest..=self.second).find(|second| {
            let slot = self.slots[*second as usize % SECONDS];
            (used, requests) = (used - slot.tokens, requests - slot.requests);
            fits(capacity, (used, requests), tokens)
        });
        let free = self.began + Duration::from_secs(gone.unwrap_or(self.second) + SECONDS as u64);
        Some(free.saturating_duration_since(now))
    }

    /// Makes the tokens of a request that was counted in this second others: fewer then, or more from now on.
    pub(super) fn correct(&mut self, second: u64, counted: u64, used: u64, now: Instant) {
        match used.checked_sub(counted) {
            Some(0) => {}
            Some(more) => self.add(more, 0, now),
            None => self.take_out(second, counted - used, 0, now),
        }
    }

    /// Forgets a request that was counted in this second and never sent.
    pub(super) fn give_back(&mut self, second: u64, tokens: u64, now: Instant) {
        self.take_out(second, tokens, 1, now);
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

    fn add(&mut self, tokens: u64, requests: u64, now: Instant) {
        self.move_to(now);
        let slot = &mut self.slots[self.second as usize % SECONDS];
        slot.tokens += tokens;
        slot.requests += requests;
    }

    fn take_out(&mut self, second: u64, tokens: u64, requests: u64, now: Instant) {
        self.move_to(now);
        // What is older than a minute is counted no more.
        if second + SECONDS as u64 > self.second {
            let slot = &mut self.slots[second as usize % SECONDS];
            slot.tokens = slot.tokens.saturating_sub(tokens);
            slot.requests = slot.requests.saturating_sub(requests);
        }
    }

    fn move_to(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        for passed in 1..=second.saturating_sub(self.second).min(SECONDS as u64) {
            self.slots[(self.second + passed) as usize % SECONDS] = Slot::default();
        }
        self.second = self.second.max(second);
    }
}

/// Whether there is a bound to what a minute takes.
pub(super) fn is_bounded(capacity: &Capacity) -> bool {
    capacity.tokens_per_minute.is_some() || capacity.requests_per_minute.is_some()
}

/// Whether a request of so many tokens fits beside what is counted.
fn fits(capacity: &Capacity, (used, requests): (u64, u64), tokens: u64) -> bool {
    let within = |most: Option<u64>, used: u64, more: u64| most.is_none_or(|most| used + more <= most);
    // One that is larger than the whole minute is let through when the minute is empty.
    within(capacity.requests_per_minute, requests, 1) && (used == 0 || within(capacity.tokens_per_minute, used, tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn hundred_tokens() -> Capacity {
        Capacity { tokens_per_minute: Some(100), ..Capacity::default() }
    }

    #[test]
    fn what_was_set_aside_and_not_used_has_room_again_at_once() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut window = Window::new(begin);

        let second = window.take(&hundred_tokens(), 90, at(3)).unwrap();
        assert_eq!(window.take(&hundred_tokens(), 90, at(4)), None);
        window.correct(second, 90, 10, at(5));

        assert_eq!(window.used(at(5)), (10, 1));
        assert!(window.take(&hundred_tokens(), 90, at(5)).is_some());
    }

    #[test]
    fn what_was_used_beyond_counts_from_now_and_an_old_minute_is_not_corrected() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut window = Window::new(begin);

        let second = window.take(&hundred_tokens(), 10, at(0)).unwrap();
        window.correct(second, 10, 40, at(50));
        assert_eq!(window.used(at(61)), (30, 0), "its own second is over");

        let later = window.take(&hundred_tokens(), 20, at(60)).unwrap();
        window.correct(second, 10, 0, at(61));
        assert_eq!(window.used(at(61)), (50, 1), "the second of the same place is another's");
        window.give_back(later, 20, at(61));
        assert_eq!(window.used(at(61)), (30, 0));
    }

    #[test]
    fn it_is_told_when_there_is_room_again() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);

        for (tokens, wait) in [(10, None), (11, Some(32)), (51, Some(50)), (500, Some(50))] {
            let mut window = Window::new(begin);
            window.take(&hundred_tokens(), 40, at(2)).unwrap();
            window.take(&hundred_tokens(), 50, at(20)).unwrap();

            let wait = wait.map(Duration::from_secs);
            assert_eq!(window.frees_in(&hundred_tokens(), tokens, at(30)), wait, "{tokens}");
            if let Some(wait) = wait {
                assert!(!window.has_room(&hundred_tokens(), tokens, at(30) + wait - Duration::from_millis(1)));
                assert!(window.has_room(&hundred_tokens(), tokens, at(30) + wait), "{tokens}");
            }
        }
    }
}
