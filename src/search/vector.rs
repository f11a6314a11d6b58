//! The vectors of all passages, in memory, and the search for the nearest.
//!
//! Every vector is looked at: at this size that is quick (0.1 ms for 5,000) and nothing is missed, whatever the filters.
//! Vectors are kept twice, as bytes for looking at all of them and as 16-bit numbers for scoring the best ones exactly;
//! together three quarters of the room of 32-bit numbers.

use crate::embed::DIMENSIONS;
use std::ops::Range;

/// How many of the best are scored again exactly.
const RESCORED: usize = 64;
/// Components of unit vectors of this many dimensions hardly ever exceed it; larger ones are cut to it.
const LARGEST: f32 = 0.25;
const TO_BYTE: f32 = 127.0 / LARGEST;
const TO_WORD: f32 = 32_767.0;
/// Dead vectors are cleared away when there are more of them than living ones and than this.
const MOST_DEAD: usize = 4_096;

/// A unit vector of [`DIMENSIONS`] numbers in 16 bits each: how it is stored and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Box<[i16]>);

impl Packed {
    /// Exact to 0.00002.
    #[must_use]
    pub fn of(vector: &[f32]) -> Self {
        Self(vector.iter().map(|&x| to_word(x)).collect())
    }

    /// Little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// None when these are not [`DIMENSIONS`] numbers.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<2>();
        let is_whole = words.len() == DIMENSIONS && rest.is_empty();
        is_whole.then(|| Self(words.iter().map(|&word| i16::from_le_bytes(word)).collect()))
    }
}

/// All vectors, by slot: the first of a slot is about the asset, the others are about its operations.
#[derive(Debug, Default)]
pub struct Vectors {
    bytes: Vec<i8>,
    words: Vec<i16>,
    /// The rows of each slot.
    rows: Vec<Range<u32>>,
    dead: usize,
}

/// How near an asset is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Near {
    /// -1 to 1: the mean of the asset's own and its nearest operation's cosine, or its own where it has no operations.
    pub score: f32,
    /// The nearest operation, counted from 0, and its cosine.
    pub operation: Option<(u32, f32)>,
}

impl Vectors {
    /// How many vectors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / DIMENSIONS - self.dead
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the slot has vectors.
    #[must_use]
    pub fn has(&self, slot: u32) -> bool {
        self.rows.get(slot as usize).is_some_and(|rows| !rows.is_empty())
    }

    /// Sets the vectors of a slot, first the asset's own.
    pub fn put(&mut self, slot: u32, vectors: &[Packed]) {
        self.remove(slot);
        let start = self.next_row();
        for Packed(words) in vectors.iter().filter(|vector| vector.0.len() == DIMENSIONS) {
            self.bytes.extend(words.iter().map(|&word| to_byte(f32::from(word) / TO_WORD)));
            self.words.extend_from_slice(words);
        }
        if self.rows.len() <= slot as usize {
            self.rows.resize(slot as usize + 1, 0..0);
        }
        self.rows[slot as usize] = start..self.next_row();
    }

    /// Takes a slot's vectors out.
    pub fn remove(&mut self, slot: u32) {
        if let Some(rows) = self.rows.get_mut(slot as usize) {
            self.dead += rows.len();
            *rows = 0..0;
        }
        if self.dead > MOST_DEAD && self.dead * 2 > self.bytes.len() / DIMENSIONS {
            self.clear_away();
        }
    }

    fn next_row(&self) -> u32 {
        u32::try_from(self.bytes.len() / DIMENSIONS).expect("fewer than 2^32 vectors")
    }

    fn clear_away(&mut self) {
        let mut kept = Self { rows: Vec::with_capacity(self.rows.len()), ..Self::default() };
        for rows in &self.rows {
            let start = kept.next_row();
            let numbers = rows.start as usize * DIMENSIONS..rows.end as usize * DIMENSIONS;
            kept.bytes.extend_from_slice(&self.bytes[numbers.clone()]);
            kept.words.extend_from_slice(&self.words[numbers]);
            kept.rows.push(start..kept.next_row());
        }
        *self = kept;
    }

    /// How near each slot is to `query`, a unit vector; `None` where a slot has no vectors or `wanted` leaves it out.
    /// The best are exact, the others to about 0.002.
    #[must_use]
    pub fn near(&self, query: &[f32], slots: usize, wanted: impl Fn(u32) -> bool) -> Vec<Option<Near>> {
        let mut all = vec![None; slots];
        if query.len() != DIMENSIONS {
            return all;
        }
        let cosine = self.quick_cosine(query);
        let mut best: Vec<(f32, u32)> = Vec::new();
        for (slot, rows) in (0..).zip(&self.rows).take(slots) {
            if rows.is_empty() || !wanted(slot) {
                continue;
            }
            let own = cosine(rows.start);
            let operation = (0..).zip(rows.start + 1..rows.end).map(|(at, row)| (at, cosine(row)));
            let near = combine(own, operation.max_by(|a, b| a.1.total_cmp(&b.1)));
            all[slot as usize] = Some(near);
            best.push((near.score, slot));
        }
        keep_best(&mut best, RESCORED);
        for (_, slot) in best {
            all[slot as usize] = all[slot as usize].map(|near| self.exact(query, slot, near));
        }
        all
    }

    /// The assets whose own vectors are nearest to that of `slot`, nearest first, at most `most` and [`RESCORED`]; none
    /// when it has no vectors itself. The score is the cosine of the two; the operation is the other asset's, nearest to
    /// `slot`. Exact, and `wanted` leaves out what it will.
    #[must_use]
    pub fn nearest_to(&self, slot: u32, most: usize, wanted: impl Fn(u32) -> bool) -> Option<Vec<(u32, Near)>> {
        let own = self.rows.get(slot as usize).filter(|rows| !rows.is_empty())?.start;
        let query: Vec<f32> = self.row(own).iter().map(|&word| f32::from(word) / TO_WORD).collect();
        let quick = self.quick_cosine(&query);
        let others = (0..).zip(&self.rows).filter(|(other, rows)| *other != slot && !rows.is_empty() && wanted(*other));
        let mut best: Vec<(f32, u32)> = others.map(|(other, rows)| (quick(rows.start), other)).collect();
        keep_best(&mut best, RESCORED);
        let mut best: Vec<(f32, u32)> =
            best.into_iter().map(|(_, other)| (self.cosine(&query, self.rows[other as usize].start), other)).collect();
        best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(most);
        let near = best.into_iter().map(|(score, other)| {
            let rows = &self.rows[other as usize];
            let operations = (0..).zip(rows.start + 1..rows.end).map(|(at, row)| (at, self.cosine(&query, row)));
            (other, Near { score, operation: operations.max_by(|a, b| a.1.total_cmp(&b.1)) })
        });
        Some(near.collect())
    }

    /// The cosine of `query` and a row, to about 0.002.
    fn quick_cosine(&self, query: &[f32]) -> impl Fn(u32) -> f32 {
        let bytes: Vec<i8> = query.iter().map(|&x| to_byte(x)).collect();
        let dot = dot_bytes();
        move |row| {
            let start = row as usize * DIMENSIONS;
            dot(&self.bytes[start..start + DIMENSIONS], &bytes) as f32 / (TO_BYTE * TO_BYTE)
        }
    }

    fn row(&self, row: u32) -> &[i16] {
        let start = row as usize * DIMENSIONS;
        &self.words[start..start + DIMENSIONS]
    }

    fn cosine(&self, query: &[f32], row: u32) -> f32 {
        self.row(row).iter().zip(query).map(|(&x, &y)| f32::from(x) * y).sum::<f32>() / TO_WORD
    }

    fn exact(&self, query: &[f32], slot: u32, near: Near) -> Near {
        let first = self.rows[slot as usize].start;
        let operation = near.operation.map(|(at, _)| (at, self.cosine(query, first + 1 + at)));
        combine(self.cosine(query, first), operation)
    }
}

/// Leaves the `most` best, in no order.
fn keep_best(scored: &mut Vec<(f32, u32)>, most: usize) {
    if scored.len() > most {
        scored.select_nth_unstable_by(most, |a, b| b.0.total_cmp(&a.0));
        scored.truncate(most);
    }
}

fn combine(own: f32, operation: Option<(u32, f32)>) -> Near {
    Near { score: operation.map_or(own, |(_, best)| 0.5 * own + 0.5 * best), operation }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range before")]
fn to_byte(x: f32) -> i8 {
    (x * TO_BYTE).round().clamp(-127.0, 127.0) as i8
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range before")]
fn to_word(x: f32) -> i16 {
    (x * TO_WORD).round().clamp(-TO_WORD, TO_WORD) as i16
}

type Dot = fn(&[i8], &[i8]) -> i32;

/// The quickest way this processor has.
fn dot_bytes() -> Dot {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return |a, b| {
            // SAFETY: the processor has AVX2, as was just asked; the function has no other requirement.
            unsafe { dot_avx2(a, b) }
        };
    }
    dot_plain
}

/// The same code as [`dot_plain`], which the compiler turns into AVX2 instructions here: five times as quick.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[i8], b: &[i8]) -> i32 {
    dot_plain(a, b)
}

#[inline(always)]
fn dot_plain(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| i32::from(i16::from(x)) * i32::from(i16::from(y))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors that look random and are the same each time.
    fn some(count: usize) -> Vec<Vec<f32>> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        };
        let vectors = (0..count).map(|_| (0..DIMENSIONS).map(|_| next()).collect::<Vec<f32>>());
        vectors
            .map(|vector| {
                let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                vector.into_iter().map(|x| x / length).collect()
            })
            .collect()
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn the_nearest_are_those_of_a_plain_computation() {
        let made = some(500);
        let mut vectors = Vectors::default();
        for (slot, vector) in (0..).zip(&made) {
            vectors.put(slot, &[Packed::of(vector)]);
        }

        for query in some(520)[500..].iter() {
            let near = vectors.near(query, 500, |_| true);
            let nearest = |score: &dyn Fn(usize) -> f32| (0..500).max_by(|&a, &b| score(a).total_cmp(&score(b)));
            let expected = nearest(&|slot| cosine(&made[slot], query)).unwrap();
            assert_eq!(nearest(&|slot| near[slot].unwrap().score), Some(expected));
            assert!((near[expected].unwrap().score - cosine(&made[expected], query)).abs() < 1e-3);
        }
    }

    #[test]
    fn an_asset_scores_half_by_itself_and_half_by_its_nearest_operation() {
        let made = some(4);
        let mut vectors = Vectors::default();
        vectors.put(0, &made.iter().map(|vector| Packed::of(vector)).collect::<Vec<_>>());

        let near = vectors.near(&made[2], 1, |_| true)[0].unwrap();

        assert_eq!(near.operation.unwrap().0, 1);
        assert!((near.score - 0.5 * (1.0 + cosine(&made[0], &made[2]))).abs() < 1e-3);
    }

    #[test]
    fn the_nearest_to_an_asset_are_told_by_their_own_vectors_and_name_their_nearest_operation() {
        let made = some(6);
        let between = |a: usize, b: usize| {
            let sum: Vec<f32> = made[a].iter().zip(&made[b]).map(|(x, y)| x + y).collect();
            let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
            Packed::of(&sum.iter().map(|x| x / length).collect::<Vec<_>>())
        };
        let mut vectors = Vectors::default();
        vectors.put(0, &[Packed::of(&made[0])]);
        vectors.put(2, &[between(0, 1), Packed::of(&made[3]), Packed::of(&made[0])]);
        vectors.put(3, &[Packed::of(&made[4]), Packed::of(&made[0])]);
        vectors.put(4, &[Packed::of(&made[0])]);

        let near = vectors.nearest_to(0, 2, |slot| slot != 4).unwrap();

        assert_eq!(near.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [2, 3]);
        let halfway = ((1.0 + cosine(&made[0], &made[1])) / 2.0).sqrt();
        assert!((near[0].1.score - halfway).abs() < 1e-3, "{near:?}");
        assert_eq!(near[0].1.operation.map(|(at, _)| at), Some(1));
        assert_eq!(vectors.nearest_to(1, 2, |_| true), None, "it has none itself");
        assert_eq!(vectors.nearest_to(9, 2, |_| true), None);
    }

    #[test]
    fn what_is_replaced_removed_or_not_wanted_is_not_found() {
        let made = some(3);
        let mut vectors = Vectors::default();
        (0..3).for_each(|slot| vectors.put(slot, &[Packed::of(&made[slot as usize])]));

        vectors.put(0, &[Packed::of(&made[1])]);
        vectors.remove(1);
        let near = vectors.near(&made[1], 3, |slot| slot != 2);

        assert!(near[0].unwrap().score > 0.99);
        assert_eq!((near[1], near[2]), (None, None));
        assert_eq!(vectors.len(), 2);
    }

    #[test]
    fn clearing_away_the_dead_changes_no_answer() {
        let made = some(3);
        let mut vectors = Vectors::default();
        (0..3).for_each(|slot| vectors.put(slot, &[Packed::of(&made[slot as usize])]));
        let before = vectors.near(&made[0], 3, |_| true);

        (0..=MOST_DEAD).for_each(|_| vectors.put(1, &[Packed::of(&made[1])]));

        assert!(vectors.bytes.len() < 2 * MOST_DEAD * DIMENSIONS);
        assert_eq!(vectors.near(&made[0], 3, |_| true), before);
    }

    #[test]
    fn a_packed_vector_survives_storage_and_a_damaged_one_is_noticed() {
        let packed = Packed::of(&some(1)[0]);
        let bytes = packed.to_bytes();

        assert_eq!(Packed::from_bytes(&bytes), Some(packed));
        assert_eq!(Packed::from_bytes(&bytes[1..]), None);
    }

    #[test]
    fn both_ways_of_multiplying_agree() {
        let a: Vec<i8> = (0..DIMENSIONS).map(|n| (n % 255) as u8 as i8).map(|x| x.max(-127)).collect();
        let b: Vec<i8> = a.iter().rev().copied().collect();

        assert_eq!(dot_bytes()(&a, &b), dot_plain(&a, &b));
    }
}
