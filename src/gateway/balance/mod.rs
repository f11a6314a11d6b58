//! How a backend is chosen: the groups of a pool by priority, within each an order by strategy, without those that are
//! broken, full or drained.
//!
//! A strategy is a pure function of candidates and a number that was drawn: with the same of both the order is the same.

pub mod breaker;
mod capacity;
mod least_busy;
mod lowest_latency;
mod retries;
mod round_robin;
mod state;
mod weighted;

pub use retries::Retries;
pub use state::{BackendState, PoolState, States, Taken};

use super::settings;

/// A member of a pool as a strategy sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its place in the pool.
    pub member: usize,
    /// The same for the same backend, always.
    pub identity: u64,
    pub weight: u32,
    /// Requests under way.
    pub busy: u32,
    /// Peak EWMA of the time to the first byte, in microseconds; 0 where nothing is known.
    pub latency: u64,
}

/// Puts the members of a priority group in the order in which they are tried.
pub trait Strategy: Send + Sync {
    /// `draw` is a random number, or for round-robin the number of the turn.
    fn order(&self, candidates: &mut [Candidate], draw: u64);
}

/// The strategy that a pool names.
#[must_use]
pub fn strategy(named: settings::Strategy) -> &'static dyn Strategy {
    match named {
        settings::Strategy::RoundRobin => &round_robin::RoundRobin,
        settings::Strategy::Weighted => &weighted::Weighted,
        settings::Strategy::LeastBusy => &least_busy::LeastBusy,
        settings::Strategy::LowestLatency => &lowest_latency::LowestLatency,
    }
}

/// The order for a conversation that stays where it is: the same draw finds the same member, and one more or less
/// member moves only its share (rendezvous hashing).
#[must_use]
pub fn sticky() -> &'static dyn Strategy {
    &weighted::Weighted
}

/// Mixes a number so that each of its bits tells on all (splitmix64).
#[must_use]
pub fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number that stands for a text, the same in every process.
#[must_use]
pub fn hashed(text: &[u8]) -> u64 {
    text.chunks(8).fold(text.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mixed(hash ^ u64::from_le_bytes(word))
    })
}

#[cfg(test)]
pub(super) fn candidates(of: &[(u32, u32, u64)]) -> Vec<Candidate> {
    let member = |(member, (weight, busy, latency)): (usize, &(u32, u32, u64))| Candidate {
        member,
        identity: mixed(member as u64),
        weight: *weight,
        busy: *busy,
        latency: *latency,
    };
    of.iter().enumerate().map(member).collect()
}

#[cfg(test)]
pub(super) fn ordered(strategy: &dyn Strategy, of: &[(u32, u32, u64)], draw: u64) -> Vec<usize> {
    let mut candidates = candidates(of);
    strategy.order(&mut candidates, draw);
    candidates.iter().map(|candidate| candidate.member).collect()
}
