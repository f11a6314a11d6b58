//! Two sorts of evidence become one order: how near in meaning, and which words were met.
//!
//! Each side is scaled to `0..=1` over everything the asker may see, and the two are added, meaning a little heavier.
//! On the reference queries this beats adding reciprocal ranks clearly: a rank forgets how much better the first is than
//! the second. Scaling over all rather than over the best hundred keeps a score where it is when a filter is set.

use super::{lexical::Scores, vector::Near};

/// What meaning weighs; words weigh the rest.
const MEANING: f32 = 0.6;
/// An asset that holds not all the words must reach this part of the best score to count as found.
const LEAST_OF_BEST: f32 = 0.3;
/// An asset that holds none of the words must be this near to count as found: below it, anything is near anything.
const LEAST_NEAR: f32 = 0.2;
/// What is added when the query is all of the asset's name or title: it goes first.
pub const NAMED: f32 = 1.0;

/// The evidence about one query, by slot.
pub struct Evidence<'a> {
    pub words: &'a Scores,
    /// Empty without an embedding model.
    pub near: &'a [Option<Near>],
    /// How many words the query has.
    pub asked: usize,
}

/// A slot that was found, with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    pub slot: u32,
    pub score: f32,
}

/// What was found among `seen`, in the order of `seen`. `is_named` says whether the query is an asset's very name.
///
/// Found is: what holds all the words; what reaches a fair part of the best score, and either holds a word or is near.
#[must_use]
pub fn found(evidence: &Evidence<'_>, seen: &[u32], is_named: impl Fn(u32) -> bool) -> Vec<Found> {
    let best_words = seen.iter().map(|&slot| evidence.words.score[slot as usize]).fold(0.0, f32::max);
    let near = |slot: u32| evidence.near.get(slot as usize).copied().flatten().map(|near| near.score);
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for score in seen.iter().filter_map(|&slot| near(slot)) {
        least = least.min(score);
        most = most.max(score);
    }
    let has_meaning = most > f32::NEG_INFINITY;
    let meaning = if has_meaning { MEANING } else { 0.0 };

    let scored: Vec<Found> = seen
        .iter()
        .map(|&slot| {
            let words = part(evidence.words.score[slot as usize], 0.0, best_words);
            let near = near(slot).map_or(0.0, |score| part(score, least, most));
            Found { slot, score: meaning * near + (1.0 - meaning) * words }
        })
        .collect();
    let best = scored.iter().map(|found| found.score).fold(0.0, f32::max);
    scored
        .into_iter()
        .filter_map(|Found { slot, score }| {
            let words = usize::from(evidence.words.words[slot as usize]);
            let holds_all = evidence.asked > 0 && words >= evidence.asked;
            let is_near = near(slot).is_some_and(|score| score >= LEAST_NEAR);
            let is_found = holds_all || (score >= LEAST_OF_BEST * best && (words > 0 || is_near));
            let named = if holds_all && is_named(slot) { NAMED } else { 0.0 };
            is_found.then_some(Found { slot, score: score + named })
        })
        .collect()
}

/// Where `x` lies between the two; 1 when they are one and there is something.
fn part(x: f32, least: f32, most: f32) -> f32 {
    if most > least {
        (x - least) / (most - least)
    } else if x > 0.0 {
        1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scores: &[(f32, u16)]) -> Scores {
        let mut made = Scores::none(scores.len());
        for (slot, (score, words)) in scores.iter().enumerate() {
            made.score[slot] = *score;
            made.words[slot] = *words;
        }
        made
    }

    fn near(scores: &[f32]) -> Vec<Option<Near>> {
        scores.iter().map(|&score| Some(Near { score, operation: None })).collect()
    }

    fn order(evidence: &Evidence<'_>, seen: &[u32]) -> Vec<u32> {
        let mut found = found(evidence, seen, |_| false);
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.into_iter().map(|found| found.slot).collect()
    }

    #[test]
    fn what_both_sides_like_goes_before_what_one_side_likes() {
        let words = words(&[(5.0, 1), (10.0, 1), (9.0, 1), (0.0, 0)]);
        let near = near(&[0.9, 0.1, 0.8, 0.95]);

        assert_eq!(order(&Evidence { words: &words, near: &near, asked: 2 }, &[0, 1, 2, 3]), [2, 0, 3, 1]);
    }

    #[test]
    fn what_is_not_seen_moves_no_score() {
        let words = words(&[(5.0, 1), (10.0, 1), (100.0, 1)]);
        let near = near(&[0.5, 0.3, 0.99]);
        let evidence = Evidence { words: &words, near: &near, asked: 1 };

        let alone = found(&evidence, &[0, 1], |_| false);

        assert_eq!(alone.iter().map(|found| found.score).fold(0.0, f32::max), 0.4 * 0.5 + 0.6);
    }

    #[test]
    fn without_vectors_words_alone_decide() {
        let words = words(&[(1.0, 1), (4.0, 1), (0.0, 0)]);

        assert_eq!(order(&Evidence { words: &words, near: &[], asked: 1 }, &[0, 1, 2]), [1, 0]);
    }

    #[test]
    fn a_strange_query_finds_nothing_rather_than_anything() {
        let words = words(&[(0.0, 0), (0.0, 0)]);
        let near = near(&[0.12, 0.08]);

        assert_eq!(order(&Evidence { words: &words, near: &near, asked: 1 }, &[0, 1]), Vec::<u32>::new());
    }

    #[test]
    fn the_very_name_goes_first() {
        let words = words(&[(9.0, 1), (3.0, 1)]);
        let near = near(&[0.9, 0.2]);

        let found = found(&Evidence { words: &words, near: &near, asked: 1 }, &[0, 1], |slot| slot == 1);

        assert!(found[1].score > found[0].score);
    }
}
