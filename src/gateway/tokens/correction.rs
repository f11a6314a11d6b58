//! How far prompts counted here are from what a vendor reports of them: learned for each backend and model.
//!
//! Vendors change vocabularies, add prompts of their own and weigh images and tools by formulae they do not publish. What
//! is set aside follows what they report; what is charged is never corrected by this: it is what was reported, or what was
//! counted.

use crate::base::BackendId;
use foldhash::quality::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// No report moves an expectation further than this from the count: a vendor that reports nonsense must neither switch a
/// limit off nor close it.
const LEAST: f64 = 0.5;
const MOST: f64 = 2.0;
/// Reports after which what was learned counts.
const ENOUGH: u32 = 8;
/// Reports of which half the weight is forgotten, so that a change is followed.
const FADING: u32 = 64;
/// Backends and models that are remembered; when there are more, all begin anew. They are as many as the settings name.
const REMEMBERED: usize = 10_000;
const SHARDS: usize = 16;

/// Factors from counted to reported prompt tokens, by backend and model.
pub struct Corrections {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

type Shard = HashMap<u64, Learned, RandomState>;

#[derive(Clone, Copy, Default)]
struct Learned {
    counted: f64,
    reported: f64,
    reports: u32,
}

impl Default for Corrections {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }
}

impl Corrections {
    /// Takes note of what a backend reported of a prompt of `counted` tokens.
    pub fn learn(&self, backend: BackendId, model: &str, counted: u64, reported: u64) {
        if counted == 0 {
            return;
        }
        let at = self.hasher.hash_one((backend, model));
        let mut shard = self.shard(at);
        if shard.len() >= REMEMBERED / SHARDS && !shard.contains_key(&at) {
            shard.clear();
        }
        shard.entry(at).or_default().add(counted as f64, reported as f64);
    }

    /// The tokens that the dearest of these backends will report of a prompt of `counted` tokens, as far as is known.
    #[must_use]
    pub fn expect(&self, backends: impl Iterator<Item = BackendId>, model: &str, counted: u64) -> u64 {
        let of = |backend: BackendId| {
            let at = self.hasher.hash_one((backend, model));
            self.shard(at).get(&at).map_or(counted, |learned| learned.expect(counted))
        };
        backends.map(of).max().unwrap_or(counted)
    }

    fn shard(&self, at: u64) -> MutexGuard<'_, Shard> {
        // Nothing that holds it can panic half way.
        self.shards[at as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Learned {
    fn add(&mut self, counted: f64, reported: f64) {
        if self.reports == FADING {
            *self = Self { counted: self.counted / 2.0, reported: self.reported / 2.0, reports: FADING / 2 };
        }
        self.counted += counted;
        self.reported += reported.clamp(counted * LEAST, counted * MOST);
        self.reports += 1;
    }

    fn expect(&self, counted: u64) -> u64 {
        if self.reports < ENOUGH {
            return counted;
        }
        let counted = counted as f64;
        (counted * self.reported / self.counted).clamp(counted * LEAST, counted * MOST).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected(corrections: &Corrections, backend: BackendId, counted: u64) -> u64 {
        corrections.expect([backend].into_iter(), "gpt-5", counted)
    }

    #[test]
    fn nothing_is_corrected_before_enough_is_known_and_nothing_that_was_right() {
        let (corrections, backend) = (Corrections::default(), BackendId::new());
        for _ in 1..ENOUGH {
            corrections.learn(backend, "gpt-5", 100, 130);
        }
        assert_eq!(expected(&corrections, backend, 1_000), 1_000);
        corrections.learn(backend, "gpt-5", 100, 130);
        assert_eq!(expected(&corrections, backend, 1_000), 1_300);

        let exact = BackendId::new();
        (1..500).for_each(|tokens| corrections.learn(exact, "gpt-5", tokens, tokens));
        assert_eq!(expected(&corrections, exact, 12_345), 12_345);
    }

    #[test]
    fn what_was_learned_counts_for_its_backend_and_model_and_the_dearest_is_expected() {
        let corrections = Corrections::default();
        let (dear, cheap) = (BackendId::new(), BackendId::new());
        for _ in 0..ENOUGH {
            corrections.learn(dear, "gpt-5", 100, 150);
            corrections.learn(cheap, "gpt-5", 100, 80);
        }

        assert_eq!(corrections.expect([dear].into_iter(), "other", 100), 100);
        assert_eq!(corrections.expect([cheap].into_iter(), "gpt-5", 100), 80);
        assert_eq!(corrections.expect([cheap, dear].into_iter(), "gpt-5", 100), 150);
        assert_eq!(corrections.expect([cheap, BackendId::new()].into_iter(), "gpt-5", 100), 100);
        assert_eq!(corrections.expect(std::iter::empty(), "gpt-5", 100), 100);
    }

    #[test]
    fn settings_that_come_and_go_do_not_fill_the_memory() {
        let corrections = Corrections::default();
        (0..REMEMBERED * 3).for_each(|_| corrections.learn(BackendId::new(), "m", 1, 1));

        let kept: usize = corrections.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= REMEMBERED, "{kept}");
    }

    proptest! {
        /// Whatever a vendor reports, an expectation stays within its bounds.
        #[test]
        fn no_report_moves_it_out_of_bounds(
            reports in prop::collection::vec((0_u64..5_000_000, any::<u64>()), 0..300),
            counted in 0_u64..50_000_000,
        ) {
            let (corrections, backend) = (Corrections::default(), BackendId::new());
            for (counted, reported) in reports {
                corrections.learn(backend, "gpt-5", counted, reported);
            }
            let expected = expected(&corrections, backend, counted);
            prop_assert!(expected >= counted / 2 && expected <= counted * 2 + 1, "{expected} of {counted}");
        }

        /// A vendor that always reports the same part more is followed, also after it was another.
        #[test]
        fn a_steady_vendor_is_followed(
            before in 50_u64..200, percent in 50_u64..200, prompts in prop::collection::vec(100_u64..10_000, 600),
        ) {
            let (corrections, backend) = (Corrections::default(), BackendId::new());
            (0..50).for_each(|_| corrections.learn(backend, "gpt-5", 1_000, 10 * before));
            for counted in &prompts {
                corrections.learn(backend, "gpt-5", *counted, counted * percent / 100);
            }
            let expected = expected(&corrections, backend, 10_000);
            prop_assert!(expected.abs_diff(100 * percent) <= 150, "{expected} at {percent} %");
        }
    }
}
