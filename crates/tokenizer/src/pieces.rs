//! How a text is cut into pieces before each is encoded: the published patterns of OpenAI's vocabularies, by hand.
//!
//! A regular expression says the same and takes as long for each byte as all of the counting. What is asked of each
//! character or each token is always inlined, here and beside: prose takes a third longer otherwise.

use regex_syntax::hir::{Class, HirKind};
use std::ops::Range;
use std::sync::LazyLock;

/// Which pattern cuts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Words as they are.
    Cl100k,
    /// Words also between a small letter and a capital, with what is cut off (`'s`) at their end.
    O200k,
}

/// The pieces of a text, in order and without gaps.
pub(super) struct Pieces<'t> {
    text: &'t str,
    at: usize,
    pattern: Pattern,
    kinds: &'static Kinds,
}

/// Kinds of characters: one bit each, so that several are one number.
mod kind {
    pub const CAPITAL: u8 = 1;
    pub const SMALL: u8 = 2;
    /// Letters without case.
    pub const CASELESS: u8 = 4;
    pub const MARK: u8 = 8;
    pub const NUMBER: u8 = 16;
    pub const SPACE: u8 = 32;
    pub const NEWLINE: u8 = 64;
    pub const OTHER: u8 = 128;
}
use kind::*;

const LETTER: u8 = CAPITAL | SMALL | CASELESS;
const WHITE: u8 = SPACE | NEWLINE;
/// Of what a word of [`Pattern::O200k`] begins and ends.
const BEGINNING: u8 = CAPITAL | CASELESS | MARK;
const ENDING: u8 = SMALL | CASELESS | MARK;

impl<'t> Pieces<'t> {
    pub(super) fn of(text: &'t str, pattern: Pattern) -> Self {
        Self { text, at: 0, pattern, kinds: &KINDS }
    }

    /// Where the piece that begins at `at` ends.
    #[inline(always)]
    fn end(&self, at: usize) -> usize {
        let (kind, next) = self.look(at);
        let word = match self.pattern {
            Pattern::Cl100k => self.word(at, kind, next),
            Pattern::O200k => self.cased_word(at, kind, next),
        };
        if let Some(end) = word {
            return end;
        }
        if kind & NUMBER != 0 {
            return self.number(next);
        }
        // ` ?[^\s\p{L}\p{N}]+`
        let from = if self.text.as_bytes()[at] == b' ' { next } else { at };
        let signs = self.run(from, MARK | OTHER);
        if signs > from {
            return self.line_ends(signs);
        }
        self.white(at)
    }

    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+`
    #[inline(always)]
    fn word(&self, at: usize, kind: u8, next: usize) -> Option<usize> {
        if kind & LETTER != 0 {
            return Some(self.run(next, LETTER));
        }
        let cut_off = self.cut_off(at);
        if cut_off > at {
            return Some(cut_off);
        }
        let may_lead = kind & (NEWLINE | NUMBER) == 0;
        let end = if may_lead { self.run(next, LETTER) } else { next };
        (end > next).then_some(end)
    }

    /// `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|…)?`, and where there is none, the
    /// same with `+` and `*` exchanged.
    #[inline(always)]
    fn cased_word(&self, at: usize, kind: u8, next: usize) -> Option<usize> {
        let end = if kind & LETTER != 0 {
            self.small_end(at).or_else(|| self.capital_end(at))
        } else if kind & (NEWLINE | NUMBER) == 0 {
            // A mark leads a word, or is one.
            let as_word = || if kind & MARK != 0 { self.small_end(at) } else { None };
            self.small_end(next).or_else(as_word).or_else(|| self.capital_end(next))
        } else {
            None
        };
        end.map(|end| self.cut_off(end))
    }

    /// The end of `[BEGINNING]*[ENDING]+`.
    #[inline(always)]
    fn small_end(&self, from: usize) -> Option<usize> {
        let (mut at, mut of_both) = (from, None);
        while at < self.text.len() {
            let (kind, next) = self.look(at);
            if kind & BEGINNING == 0 {
                if kind & SMALL != 0 {
                    return Some(self.run(next, ENDING));
                }
                break;
            }
            at = next;
            if kind & ENDING != 0 {
                of_both = Some(at);
            }
        }
        // Nothing small follows: the last letter that can be an ending is it.
        of_both
    }

    /// The end of `[BEGINNING]+`, after which nothing small comes.
    fn capital_end(&self, from: usize) -> Option<usize> {
        let end = self.run(from, BEGINNING);
        (end > from).then_some(end)
    }

    /// The end of `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
    #[inline(always)]
    fn cut_off(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        if rest.first() != Some(&b'\'') {
            return at;
        }
        let small = |at: usize| rest.get(at).map(u8::to_ascii_lowercase);
        match (small(1), small(2)) {
            (Some(b's' | b't' | b'm' | b'd'), _) => at + 2,
            (Some(b'r' | b'v'), Some(b'e')) | (Some(b'l'), Some(b'l')) => at + 3,
            // The long s, which is an s where case does not matter.
            (Some(0xc5), Some(0xbf)) => at + 3,
            _ => at,
        }
    }

    /// The end of `\p{N}{1,3}` after its first.
    fn number(&self, mut at: usize) -> usize {
        for _ in 1..3 {
            if at < self.text.len() {
                let (kind, next) = self.look(at);
                at = if kind & NUMBER != 0 { next } else { return at };
            }
        }
        at
    }

    /// The end of `[\r\n]*`, or of `[\r\n/]*`
    fn line_ends(&self, at: usize) -> usize {
        let slash = self.pattern == Pattern::O200k;
        let rest = &self.text.as_bytes()[at..];
        at + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n') || (slash && **byte == b'/')).count()
    }

    /// The end of `\s*[\r\n]+|\s+(?!\S)|\s+`
    fn white(&self, from: usize) -> usize {
        let (mut at, mut last, mut newline) = (from, from, None);
        while at < self.text.len() {
            let (kind, next) = self.look(at);
            if kind & WHITE == 0 {
                // The last of several is left to the word that follows.
                return newline.unwrap_or(if last > from { last } else { at });
            }
            (last, at) = (at, next);
            if kind & NEWLINE != 0 {
                newline = Some(at);
            }
        }
        newline.unwrap_or(at)
    }

    /// Where characters of these kinds end.
    #[inline(always)]
    fn run(&self, mut at: usize, kinds: u8) -> usize {
        let bytes = self.text.as_bytes();
        loop {
            while at < bytes.len() && self.kinds.of_byte[usize::from(bytes[at])] & kinds != 0 {
                at += 1;
            }
            if at == bytes.len() || bytes[at].is_ascii() {
                return at;
            }
            let (kind, next) = self.look(at);
            if kind & kinds == 0 {
                return at;
            }
            at = next;
        }
    }

    /// The kind of the character at `at`, and where the next one is.
    #[inline(always)]
    fn look(&self, at: usize) -> (u8, usize) {
        let byte = self.text.as_bytes()[at];
        if byte.is_ascii() {
            return (self.kinds.of_byte[usize::from(byte)], at + 1);
        }
        let character = self.text[at..].chars().next().expect("the text goes on");
        (self.kinds.of_character[character as usize], at + character.len_utf8())
    }
}

impl Iterator for Pieces<'_> {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        let from = self.at;
        if from == self.text.len() {
            return None;
        }
        self.at = self.end(from);
        Some(from..self.at)
    }
}

/// The kind of each character, by its number.
struct Kinds {
    of_character: Vec<u8>,
    /// Of a byte that is a character; none of others.
    of_byte: [u8; 256],
}

static KINDS: LazyLock<Kinds> = LazyLock::new(|| {
    let mut of_character = vec![OTHER; char::MAX as usize + 1];
    for (class, kind) in [
        (r"[\p{Lu}\p{Lt}]", CAPITAL),
        (r"\p{Ll}", SMALL),
        (r"[\p{Lm}\p{Lo}]", CASELESS),
        (r"\p{M}", MARK),
        (r"\p{N}", NUMBER),
        (r"\s", SPACE),
        (r"[\r\n]", NEWLINE),
    ] {
        let parsed = regex_syntax::parse(class).expect("the class is written rightly");
        let HirKind::Class(Class::Unicode(class)) = parsed.kind() else { unreachable!("a class of characters is one") };
        for range in class.ranges() {
            of_character[range.start() as usize..=range.end() as usize].fill(kind);
        }
    }
    let mut of_byte = [0; 256];
    of_byte[..128].copy_from_slice(&of_character[..128]);
    Kinds { of_character, of_byte }
});
