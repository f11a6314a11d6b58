//! Byte pair encoding: of how many tokens of a vocabulary a piece of a text is made.
//!
//! By its definition, the neighbours of the lowest number in the vocabulary are joined, again and again, until none can be.
//! To do so takes long where a piece is. But a row of tokens is what that leaves exactly when each two neighbours in it
//! stay apart: when nothing across their border would have been joined before they were whole. So tokens are laid one
//! after the other, the longest first, each is held against the one before, and where none fits the last is taken back;
//! no place is tried twice. (The method is that of GitHub's `bpe` crate, which tests hold this one against.)

use super::trie::Trie;
use std::ops::Range;

/// Stands where there is no token.
pub(super) const NO_TOKEN: u32 = u32::MAX;

/// The tokens of one vocabulary; they are named by their rank, which is the order in which they are joined.
pub(super) struct Vocabulary {
    tokens: Vec<Token>,
    by_bytes: Trie,
    /// Tokens of at most seven bytes, most of what pieces of prose are: a look at one place tells whether a piece is one.
    short: Short,
    joined: Joined,
    /// What two bytes are joined to, by the first and the second.
    joined_bytes: Vec<u32>,
}

/// What a token is made of. A byte is made of itself.
#[derive(Clone, Copy)]
struct Token {
    left: u32,
    right: u32,
    /// The longest token that this one begins with.
    shorter: u32,
    /// The first joining that its first byte takes part in, and the first of its last byte.
    first_joining: u32,
    last_joining: u32,
    length: u32,
}

/// Room that counting needs, kept from one piece to the next.
#[derive(Default)]
pub(super) struct Desk {
    row: Vec<u32>,
    /// A bit for each place at which no row of tokens goes on to the end.
    dead_ends: Vec<u64>,
}

impl Vocabulary {
    /// Of its tokens in the order of their ranks; all 256 single bytes are among them.
    pub(super) fn new(written: &[Vec<u8>]) -> Self {
        let by_bytes = Trie::new(written);
        let mut all = Self {
            tokens: Vec::with_capacity(written.len()),
            short: Short::of(written),
            joined: Joined::with_room_for(written.len()),
            joined_bytes: vec![NO_TOKEN; 1 << 16],
            by_bytes,
        };
        all.tokens.extend(written.iter().zip(0..).map(|(bytes, token)| Token {
            left: token,
            right: token,
            shorter: if bytes.len() > 1 { all.by_bytes.longest(&bytes[..bytes.len() - 1]) } else { NO_TOKEN },
            first_joining: NO_TOKEN,
            last_joining: NO_TOKEN,
            length: u32::try_from(bytes.len()).expect("a token is short"),
        }));
        for (bytes, token) in written.iter().zip(0..).filter(|(bytes, _)| bytes.len() > 1) {
            let Some((left, right)) = all.split(token, bytes) else { continue };
            let first = all.tokens[left as usize].first_joining.min(token);
            let last = all.tokens[right as usize].last_joining.min(token);
            let made = &mut all.tokens[token as usize];
            (made.left, made.right, made.first_joining, made.last_joining) = (left, right, first, last);
            all.joined.insert(&all.tokens, token);
            if let [first, second] = bytes[..] {
                all.joined_bytes[two(first, second)] = token;
            }
        }
        all
    }

    /// The two that a token is joined from, where lower tokens are joined to it at all.
    fn split(&self, token: u32, bytes: &[u8]) -> Option<(u32, u32)> {
        let mut left = self.tokens[token as usize].shorter;
        while left != NO_TOKEN {
            let (begin, end) = bytes.split_at(self.length(left));
            let right = self.by_bytes.longest(end);
            let is_whole = self.length(right) == end.len();
            if is_whole && left < token && right < token && self.stay_apart(left, right, begin[begin.len() - 1], end[0])
            {
                return Some((left, right));
            }
            left = self.tokens[left as usize].shorter;
        }
        None
    }

    /// The number of tokens of a piece of a text; it is not empty.
    #[inline]
    pub(super) fn count(&self, text: &[u8], piece: Range<usize>, desk: &mut Desk) -> u64 {
        match piece.len() {
            1 => 1,
            2 if self.joined_bytes[two(text[piece.start], text[piece.start + 1])] != NO_TOKEN => 1,
            2 => 2,
            length @ 3..=Short::MOST if self.short.contains(number(text, piece.start, length)) => 1,
            _ => self.count_row(&text[piece], desk),
        }
    }

    fn count_row(&self, piece: &[u8], desk: &mut Desk) -> u64 {
        let mut token = self.by_bytes.longest(piece);
        if self.length(token) == piece.len() {
            return 1;
        }
        desk.clear(piece.len());
        let mut at = 0;
        loop {
            let end = at + self.length(token);
            let before = desk.row.last();
            let fits = !desk.is_dead_end(end)
                && before.is_none_or(|&before| self.stay_apart(before, token, piece[at - 1], piece[at]));
            if fits {
                desk.row.push(token);
                if end == piece.len() {
                    return desk.row.len() as u64;
                }
                at = end;
                token = self.by_bytes.longest(&piece[at..]);
                continue;
            }
            token = self.tokens[token as usize].shorter;
            while token == NO_TOKEN {
                desk.mark_dead_end(at);
                let last = desk.row.pop().expect("some row of tokens is the encoding");
                at -= self.length(last);
                token = self.tokens[last as usize].shorter;
            }
        }
    }

    /// Whether nothing across their border is joined before both are whole, nor they themselves; `last` and `first` are the
    /// bytes at the border.
    #[inline(always)]
    fn stay_apart(&self, mut left: u32, mut right: u32, last: u8, first: u8) -> bool {
        let (mut left_made, mut right_made) = (self.tokens[left as usize], self.tokens[right as usize]);
        // The innermost two first: they decide most. Of equal joinings, that further to the left comes first.
        let innermost = self.joined_bytes[two(last, first)];
        if innermost < left_made.last_joining && innermost <= right_made.first_joining {
            return false;
        }
        // Then backwards in time: the side that was joined last is taken apart.
        let mut before = NO_TOKEN;
        loop {
            let (left_is_byte, right_is_byte) = (left_made.right == left, right_made.left == right);
            if left_is_byte && right_is_byte {
                return true;
            }
            if self.joined.find(&self.tokens, left, right) < before {
                return false;
            }
            if right_is_byte || (left > right && !left_is_byte) {
                before = left;
                left = left_made.right;
                left_made = self.tokens[left as usize];
            } else {
                before = right + 1;
                right = right_made.left;
                right_made = self.tokens[right as usize];
            }
        }
    }

    fn length(&self, token: u32) -> usize {
        self.tokens[token as usize].length as usize
    }
}

fn two(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

impl Desk {
    fn clear(&mut self, length: usize) {
        self.row.clear();
        self.dead_ends.clear();
        self.dead_ends.resize(length / 64 + 1, 0);
    }

    fn is_dead_end(&self, at: usize) -> bool {
        self.dead_ends[at / 64] >> (at % 64) & 1 == 1
    }

    fn mark_dead_end(&mut self, at: usize) {
        self.dead_ends[at / 64] |= 1 << (at % 64);
    }
}

/// A set of tokens of at most seven bytes: each is one number, and lies at the first free place from its hash on.
struct Short {
    places: Vec<u64>,
    shift: u32,
}

impl Short {
    const MOST: usize = 7;

    fn of(written: &[Vec<u8>]) -> Self {
        let short =
            || written.iter().filter(|bytes| bytes.len() <= Self::MOST).map(|bytes| number(bytes, 0, bytes.len()));
        let bits = usize::BITS - (2 * short().count()).leading_zeros();
        let mut set = Self { places: vec![0; 1 << bits], shift: 64 - bits };
        for number in short() {
            let place = set.place(number);
            set.places[place] = number;
        }
        set
    }

    #[inline(always)]
    fn contains(&self, number: u64) -> bool {
        self.places[self.place(number)] == number
    }

    /// Where the number lies, or else the free place where it would.
    #[inline(always)]
    fn place(&self, number: u64) -> usize {
        let mut place = (mixed(number) >> self.shift) as usize;
        while self.places[place] != number && self.places[place] != 0 {
            place = (place + 1) % self.places.len();
        }
        place
    }
}

/// At most seven bytes of a text and, in the highest of eight, their number: never 0.
#[inline(always)]
fn number(text: &[u8], begin: usize, length: usize) -> u64 {
    let bytes = if let Some(eight) = text[begin..].first_chunk::<8>() {
        u64::from_le_bytes(*eight) & ((1 << (8 * length)) - 1)
    } else {
        text[begin..begin + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    bytes | (length as u64) << 56
}

/// Which tokens two others are joined to.
struct Joined {
    /// At the first free place from the hash of the two on.
    places: Vec<u32>,
    /// A bit for each hash that is taken. Most pairs are joined to nothing, and this much stays near the processor.
    taken: Vec<u64>,
    bits: u32,
}

impl Joined {
    fn with_room_for(tokens: usize) -> Self {
        let bits = usize::BITS - (2 * tokens).leading_zeros();
        Self { places: vec![NO_TOKEN; 1 << bits], taken: vec![0; (8 << bits) / 64], bits }
    }

    fn insert(&mut self, tokens: &[Token], token: u32) {
        let Token { left, right, .. } = tokens[token as usize];
        let hash = Self::hash(left, right);
        let bit = self.bit(hash);
        self.taken[bit / 64] |= 1 << (bit % 64);
        let mut place = self.place(hash);
        while self.places[place] != NO_TOKEN {
            place = (place + 1) % self.places.len();
        }
        self.places[place] = token;
    }

    /// [`NO_TOKEN`] where the two are not joined.
    #[inline(always)]
    fn find(&self, tokens: &[Token], left: u32, right: u32) -> u32 {
        let hash = Self::hash(left, right);
        let bit = self.bit(hash);
        if self.taken[bit / 64] >> (bit % 64) & 1 == 0 { NO_TOKEN } else { self.find_there(tokens, left, right, hash) }
    }

    #[inline(never)]
    fn find_there(&self, tokens: &[Token], left: u32, right: u32, hash: u64) -> u32 {
        let mut place = self.place(hash);
        loop {
            let found = self.places[place];
            if found == NO_TOKEN || (tokens[found as usize].left == left && tokens[found as usize].right == right) {
                return found;
            }
            place = (place + 1) % self.places.len();
        }
    }

    fn hash(left: u32, right: u32) -> u64 {
        mixed(u64::from(left) << 32 | u64::from(right))
    }

    fn bit(&self, hash: u64) -> usize {
        (hash >> (64 - self.bits - 3)) as usize
    }

    fn place(&self, hash: u64) -> usize {
        self.bit(hash) >> 3
    }
}

/// Its upper bits depend on all of the number.
fn mixed(number: u64) -> u64 {
    (number ^ number >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
