//! How long a reply is to be expected: learned for each caller and model, capped by what the request allows.
//!
//! A limit that sets aside `max_tokens` for every request leaves most of a quota unused while replies are on their way; one
//! that sets aside nothing lets them all in. What is set aside here is what 19 of 20 replies of this caller and model stayed
//! below lately.

use foldhash::quality::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Mutex;

/// What is expected of a caller of whom nothing is known.
#[cfg(test)]
const UNKNOWN: u64 = 1_024;
/// Replies after which what was learned counts.
const ENOUGH: u32 = 16;
/// Callers and models that are remembered; the one that was not asked for longest goes. Some 150 bytes each.
const REMEMBERED: usize = 50_000;
const SHARDS: usize = 16;

/// Reply lengths by caller and model.
pub struct Allowances {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

type Shard = HashMap<u64, Learned, RandomState>;

/// How often replies had a length, by quarters of a doubling; old ones fade as new ones come.
#[derive(Clone)]
struct Learned {
    counts: [u8; BUCKETS],
    touched: u32,
}

const BUCKETS: usize = 72;

impl Default for Allowances {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }
}

impl Allowances {
    /// The tokens to expect of one reply to `caller` by `model`, at most `ceiling`. Callers are told apart by ids, since two
    /// may have one name.
    #[must_use]
    pub fn expect(&self, caller: impl Hash, model: &str, ceiling: Option<u64>, unknown: u64) -> u64 {
        let at = self.hasher.hash_one((caller, model));
        let learned = {
            let mut shard = self.shard(at);
            shard.get_mut(&at).and_then(|learned| {
                learned.touched = learned.touched.saturating_add(1);
                learned.nineteen_of_twenty()
            })
        };
        let ceiling = ceiling.unwrap_or(u64::MAX);
        match learned {
            Some(length) => length.min(ceiling),
            // What the caller says itself is the better guess, unless it only says that it does not care.
            None if ceiling <= unknown.saturating_mul(4) => ceiling,
            None => unknown,
        }
    }

    /// Takes note of a reply's length.
    pub fn learn(&self, caller: impl Hash, model: &str, tokens: u64) {
        let at = self.hasher.hash_one((caller, model));
        let mut shard = self.shard(at);
        if shard.len() >= REMEMBERED / SHARDS && !shard.contains_key(&at) {
            // The quietest of a few: exact order is not worth a list.
            let quiet = shard.iter().take(16).min_by_key(|(_, learned)| learned.touched).map(|(at, _)| *at);
            quiet.map(|quiet| shard.remove(&quiet));
        }
        shard.entry(at).or_insert_with(Learned::new).add(tokens);
    }

    fn shard(&self, at: u64) -> std::sync::MutexGuard<'_, Shard> {
        self.shards[at as usize % SHARDS].lock().expect("no holder of this lock can panic")
    }
}

impl Learned {
    fn new() -> Self {
        Self { counts: [0; BUCKETS], touched: 0 }
    }

    fn add(&mut self, tokens: u64) {
        let count = &mut self.counts[bucket(tokens)];
        *count += 1;
        if *count == u8::MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
        self.touched = self.touched.saturating_add(1);
    }

    fn nineteen_of_twenty(&self) -> Option<u64> {
        let total: u32 = self.counts.iter().map(|count| u32::from(*count)).sum();
        if total < ENOUGH {
            return None;
        }
        let wanted = (total * 19).div_ceil(20);
        let mut below = 0;
        let at = self.counts.iter().position(|count| {
            below += u32::from(*count);
            below >= wanted
        });
        at.map(upper_edge)
    }
}

/// Buckets are exact up to 16 tokens, then four to a doubling.
fn bucket(tokens: u64) -> usize {
    if tokens < 16 {
        return tokens as usize;
    }
    let doubling = tokens.ilog2();
    let quarter = (tokens >> (doubling - 2)) & 3;
    (16 + (doubling as usize - 4) * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The largest number of tokens in a bucket.
fn upper_edge(bucket: usize) -> u64 {
    if bucket < 16 {
        return bucket as u64;
    }
    let (doubling, quarter) = ((bucket - 16) / 4 + 4, (bucket as u64 - 16) % 4);
    ((4 + quarter + 1) << (doubling - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_lies_below_its_edge() {
        for tokens in (0..5_000).chain([10_000, 65_535, 131_072]) {
            let edge = upper_edge(bucket(tokens));
            assert!(edge >= tokens && edge <= tokens + tokens / 4, "{tokens} in {edge}");
        }
    }

    #[test]
    fn nothing_known_goes_by_what_the_request_says() {
        let allowances = Allowances::default();
        for (ceiling, expected) in [(Some(200), 200), (Some(0), 0), (None, UNKNOWN), (Some(100_000), UNKNOWN)] {
            assert_eq!(allowances.expect("bot", "gpt-5", ceiling, UNKNOWN), expected, "{ceiling:?}");
        }
    }

    #[test]
    fn what_was_learned_counts_for_this_caller_and_model_alone() {
        let allowances = Allowances::default();
        for n in 0..200 {
            allowances.learn("bot", "gpt-5", 90 + n % 20);
        }

        let expected = allowances.expect("bot", "gpt-5", None, UNKNOWN);
        assert!((108..=127).contains(&expected), "{expected}");
        assert_eq!(allowances.expect("bot", "gpt-5", Some(50), UNKNOWN), 50);
        assert_eq!(allowances.expect("other", "gpt-5", None, UNKNOWN), UNKNOWN);
        assert_eq!(allowances.expect("bot", "o3", None, UNKNOWN), UNKNOWN);
    }

    #[test]
    fn a_change_is_followed() {
        let allowances = Allowances::default();
        (0..250).for_each(|_| allowances.learn("bot", "gpt-5", 2_000));
        (0..5_000).for_each(|_| allowances.learn("bot", "gpt-5", 100));

        assert!(allowances.expect("bot", "gpt-5", None, UNKNOWN) < 200);
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let allowances = Allowances::default();
        (0..REMEMBERED * 2).for_each(|n| allowances.learn(n, "m", 1));

        let kept: usize = allowances.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= REMEMBERED, "{kept}");
    }
}
