//! One after another.

use super::{Candidate, Strategy};

pub(super) struct RoundRobin;

impl Strategy for RoundRobin {
    fn order(&self, candidates: &mut [Candidate], draw: u64) {
        if !candidates.is_empty() {
            let first = draw % candidates.len() as u64;
            candidates.rotate_left(usize::try_from(first).expect("less than a length"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ordered;
    use super::*;

    #[test]
    fn each_turn_begins_with_the_next() {
        let three = [(1, 0, 0); 3];

        for (draw, expected) in [(0, [0, 1, 2]), (1, [1, 2, 0]), (2, [2, 0, 1]), (3, [0, 1, 2])] {
            assert_eq!(ordered(&RoundRobin, &three, draw), expected);
        }
        assert!(ordered(&RoundRobin, &[], 7).is_empty());
    }
}
