//! The better of two that were drawn, by peak EWMA of the latency times what is under way.

use super::{Candidate, Strategy, weighted::Weighted};

/// Of two and not the best of all: every replica would send everything to the same one.
pub(super) struct LowestLatency;

impl Strategy for LowestLatency {
    fn order(&self, candidates: &mut [Candidate], draw: u64) {
        Weighted.order(candidates, draw);
        if let [first, second, ..] = candidates
            && second.weight > 0
            && cost(second) < cost(first)
        {
            candidates.swap(0, 1);
        }
    }
}

/// What a request would wait for. One of which nothing is known is worth a try.
fn cost(candidate: &Candidate) -> u64 {
    candidate.latency.saturating_mul(u64::from(candidate.busy) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::ordered;
    use super::*;

    #[test]
    fn the_slower_of_two_is_second() {
        for draw in 0..50 {
            assert_eq!(ordered(&LowestLatency, &[(1, 0, 900), (1, 0, 100)], draw), [1, 0]);
            assert_eq!(ordered(&LowestLatency, &[(1, 0, 150), (1, 1, 100)], draw), [0, 1], "under way counts");
        }
    }
}
