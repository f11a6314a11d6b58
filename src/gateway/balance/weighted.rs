//! At random by weight; with a draw that stays, the same member.

use super::{Candidate, Strategy, mixed};
use std::cmp::Ordering;

/// Each candidate's number is drawn from an exponential distribution of its weight; the smallest goes first. Over random
/// draws each is first as often as its weight says; for one draw, taking away one of the others changes nothing.
pub(super) struct Weighted;

impl Strategy for Weighted {
    fn order(&self, candidates: &mut [Candidate], draw: u64) {
        candidates.sort_by(|a, b| number(a, draw).partial_cmp(&number(b, draw)).unwrap_or(Ordering::Equal));
    }
}

fn number(candidate: &Candidate, draw: u64) -> f64 {
    // 53 bits make every value a double can tell apart in 0..1; never 0, whose logarithm is none.
    let uniform = ((mixed(draw ^ candidate.identity) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    if candidate.weight == 0 { f64::INFINITY } else { -uniform.ln() / f64::from(candidate.weight) }
}

#[cfg(test)]
mod tests {
    use super::super::ordered;
    use super::*;

    #[test]
    fn each_is_first_as_often_as_its_weight_says() {
        let members = [(1, 0, 0), (3, 0, 0), (0, 0, 0)];
        let mut first = [0; 3];

        for draw in 0..4_000 {
            first[ordered(&Weighted, &members, mixed(draw))[0]] += 1;
        }

        assert!((900..1_100).contains(&first[0]) && first[2] == 0, "{first:?}");
    }

    #[test]
    fn a_draw_that_stays_finds_the_same_member_though_others_leave() {
        for draw in 0..200 {
            let order = ordered(&Weighted, &[(1, 0, 0); 5], draw);
            let fewer = ordered(&Weighted, &[(1, 0, 0); 4], draw);

            let left: Vec<_> = order.into_iter().filter(|member| *member < 4).collect();
            assert_eq!(left, fewer, "{draw}");
        }
    }
}
