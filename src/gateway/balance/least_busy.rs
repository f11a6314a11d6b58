//! The one with the fewest requests under way for its weight.

use super::{Candidate, Strategy, mixed};

pub(super) struct LeastBusy;

impl Strategy for LeastBusy {
    fn order(&self, candidates: &mut [Candidate], draw: u64) {
        // Equally busy ones in the order of the draw: the first in the list would get all when nothing is under way.
        candidates.sort_by_key(|candidate| {
            let weight = u64::from(candidate.weight);
            let load = ((u64::from(candidate.busy) + 1) * 1_000_000).checked_div(weight).unwrap_or(u64::MAX);
            (load, mixed(draw ^ candidate.identity))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::ordered;
    use super::*;

    #[test]
    fn the_load_is_weighed() {
        for (members, expected) in [
            (vec![(1, 3, 0), (1, 1, 0), (1, 2, 0)], vec![1, 2, 0]),
            (vec![(1, 3, 0), (10, 9, 0)], vec![1, 0]),
            (vec![(0, 0, 0), (1, 99, 0)], vec![1, 0]),
        ] {
            assert_eq!(ordered(&LeastBusy, &members, 7), expected, "{members:?}");
        }
        let firsts: Vec<_> = (0..50).map(|draw| ordered(&LeastBusy, &[(1, 0, 0); 2], draw)[0]).collect();
        assert!(firsts.contains(&0) && firsts.contains(&1));
    }
}
