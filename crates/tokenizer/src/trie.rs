//! Finds the longest token that a text begins with.

use super::vocabulary::NO_TOKEN;

/// A double array (Aoe, 1989): from a place, a byte leads to the place whose number is that of the branch XOR the byte.
pub(super) struct Trie {
    /// The tokens of one byte.
    single: [u32; 256],
    /// What the first two bytes lead to.
    start: Vec<Start>,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Start {
    branch: u32,
    /// The two bytes, or the first of them.
    token: u32,
}

#[derive(Clone, Copy)]
struct Place {
    branch: u32,
    /// The token that ends here, and beneath it in nine bits the byte that leads here.
    token_and_byte: u32,
}

/// No token is longer than what leads to this.
const NO_BRANCH: u32 = u32::MAX;
/// Of a place to which no byte leads.
const FREE: Place = Place { branch: NO_BRANCH, token_and_byte: u32::MAX };
/// A token of a place at which none ends.
const NO_END: u32 = (1 << 23) - 1;

/// Texts of tokens and their ranks, in the order of the alphabet.
type Sorted<'a, 't> = &'a [(&'t [u8], u32)];

impl Trie {
    /// Of tokens in the order of their ranks; all 256 single bytes are among them.
    pub(super) fn new(written: &[Vec<u8>]) -> Self {
        let mut sorted: Vec<(&[u8], u32)> = written.iter().map(Vec::as_slice).zip(0..).collect();
        sorted.sort_unstable();
        let mut single = [NO_TOKEN; 256];
        let mut start = vec![Start { branch: NO_BRANCH, token: NO_TOKEN }; 1 << 16];
        let mut built = Builder { places: vec![FREE; 1 << 10], is_branch: vec![false; 1 << 10], first_free: 0 };

        let mut to_do = Vec::new();
        for same in sorted.chunk_by(|(one, _), (other, _)| one[0] == other[0]) {
            // The byte itself is the first in the order.
            single[usize::from(same[0].0[0])] = same[0].1;
            let first = usize::from(same[0].0[0]) << 8;
            start[first..first + 256].fill(Start { branch: NO_BRANCH, token: same[0].1 });
            for same in same[1..].chunk_by(|(one, _), (other, _)| one[1] == other[1]) {
                let start = &mut start[first | usize::from(same[0].0[1])];
                let (token, longer) = end_and_longer(same, 2);
                start.token = token.unwrap_or(start.token);
                if !longer.is_empty() {
                    start.branch = built.branch(longer, 2, &mut to_do);
                }
            }
        }
        while let Some((place, longer, depth)) = to_do.pop() {
            built.places[place].branch = built.branch(longer, depth, &mut to_do);
        }
        Self { single, start, places: built.places }
    }

    /// The longest token that a text begins with, which is not empty.
    #[inline(always)]
    pub(super) fn longest(&self, text: &[u8]) -> u32 {
        let (first, rest) = text.split_first().expect("the text is not empty");
        let Some((second, rest)) = rest.split_first() else {
            return self.single[usize::from(*first)];
        };
        let Start { mut branch, mut token } = self.start[usize::from(*first) << 8 | usize::from(*second)];
        for byte in rest {
            if branch == NO_BRANCH {
                break;
            }
            let place = self.places[(branch ^ u32::from(*byte)) as usize];
            if place.token_and_byte & 511 != u32::from(*byte) {
                break;
            }
            if place.token_and_byte >> 9 != NO_END {
                token = place.token_and_byte >> 9;
            }
            branch = place.branch;
        }
        token
    }
}

/// Of texts with the same first `depth` bytes: the token that is no longer, and those that are.
fn end_and_longer<'a, 't>(same: Sorted<'a, 't>, depth: usize) -> (Option<u32>, Sorted<'a, 't>) {
    if same[0].0.len() == depth { (Some(same[0].1), &same[1..]) } else { (None, same) }
}

/// A place, and what goes on from there after so many bytes.
type ToDo<'a, 't> = (usize, Sorted<'a, 't>, usize);

struct Builder {
    places: Vec<Place>,
    /// Two branches never have one number, so that a place need not say which it is on.
    is_branch: Vec<bool>,
    first_free: usize,
}

impl Builder {
    /// Puts what follows the first `depth` bytes on places of a new branch.
    fn branch<'a, 't>(&mut self, same: Sorted<'a, 't>, depth: usize, to_do: &mut Vec<ToDo<'a, 't>>) -> u32 {
        let bytes: Vec<usize> = same
            .chunk_by(|(one, _), (other, _)| one[depth] == other[depth])
            .map(|same| usize::from(same[0].0[depth]))
            .collect();
        let branch = self.room_for(&bytes);
        self.is_branch[branch] = true;
        for same in same.chunk_by(|(one, _), (other, _)| one[depth] == other[depth]) {
            let byte = same[0].0[depth];
            let place = branch ^ usize::from(byte);
            let (token, longer) = end_and_longer(same, depth + 1);
            self.places[place].token_and_byte = token.unwrap_or(NO_END) << 9 | u32::from(byte);
            if !longer.is_empty() {
                to_do.push((place, longer, depth + 1));
            }
        }
        u32::try_from(branch).expect("there are fewer than some millions")
    }

    /// A number from which all these bytes lead to free places.
    fn room_for(&mut self, bytes: &[usize]) -> usize {
        while self.first_free < self.places.len() && !self.is_free(self.first_free) {
            self.first_free += 1;
        }
        // Between places long taken there is hardly ever room: only the last ones are looked at.
        const RECENT: usize = 2 * 256;
        let mut at = self.first_free.max(self.places.len().saturating_sub(RECENT));
        loop {
            if at >= self.places.len() {
                self.places.resize(self.places.len() + 256, FREE);
                self.is_branch.resize(self.places.len(), false);
            }
            let branch = at ^ bytes[0];
            if self.is_free(at) && !self.is_branch[branch] && bytes.iter().all(|byte| self.is_free(branch ^ byte)) {
                return branch;
            }
            at += 1;
        }
    }

    fn is_free(&self, place: usize) -> bool {
        self.places[place].token_and_byte == FREE.token_and_byte
    }
}
