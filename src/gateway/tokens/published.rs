//! Vocabularies of other vendors that are published (Llama, Qwen, DeepSeek and more).

use std::sync::LazyLock;

/// A run of one class of characters longer than this is counted in parts of this length: the tokenizer takes a quarter of a
/// second for a megabyte of one letter. That is at most a token off at each cut.
const LONG_RUN: usize = 512;

/// The number of tokens of a text by the vocabulary of this name.
pub(super) fn count(encoding: &str, text: &str) -> u64 {
    let encoding = tiktoken::get_encoding(encoding).expect("only names that the crate gave are asked for");
    let (mut tokens, mut rest) = (0, text);
    while let Some((begin, end)) = long_run(rest) {
        // A text is cut between a letter and a space anyway; so do we, that pieces stay whole.
        let (from, to) = (cut_before(rest, begin), cut_after(rest, end));
        tokens += encoding.count(&rest[..from]);
        let mut long = &rest[from..to];
        while !long.is_empty() {
            let part = &long[..long.floor_char_boundary(LONG_RUN.min(long.len()))];
            tokens += encoding.count(part);
            long = &long[part.len()..];
        }
        rest = &rest[to..];
    }
    (tokens + encoding.count(rest)) as u64
}

/// Where the first run of more than [`LONG_RUN`] bytes of one class begins and ends.
fn long_run(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let class_at = |at: usize| CLASS[bytes[at] as usize];
    let mut at = LONG_RUN;
    // From each place that a long run would have to cross, look back and forth.
    while at < bytes.len() {
        let class = class_at(at);
        let begin = (0..at).rev().find(|at| class_at(*at) != class).map_or(0, |last| last + 1);
        let end = (at..bytes.len()).find(|at| class_at(*at) != class).unwrap_or(bytes.len());
        if end - begin > LONG_RUN {
            return Some((begin, end));
        }
        at = end.max(begin + LONG_RUN + 1);
    }
    None
}

/// The last cut at or before `at`.
fn cut_before(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    (1..at.min(bytes.len())).rev().find(|&cut| is_cut(bytes, cut)).unwrap_or(0)
}

/// The first cut at or after `at`.
fn cut_after(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    (at.max(1)..bytes.len()).find(|&cut| is_cut(bytes, cut)).unwrap_or(bytes.len())
}

fn is_cut(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b' ' && bytes[at - 1].is_ascii_alphanumeric()
}

/// Letters and everything beyond ASCII, digits, white space, the rest. Digits are never a long piece (three at most), so
/// each stands for itself.
static CLASS: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let mut class = [0; 256];
    for (byte, class) in class.iter_mut().enumerate() {
        let byte = u8::try_from(byte).expect("256 bytes");
        *class = match byte {
            b'0'..=b'9' => byte,
            b if b.is_ascii_whitespace() || b == 0x0b => 1,
            b if b.is_ascii_alphabetic() || b >= 0x80 => 2,
            _ => 3,
        };
    }
    class
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_found_wherever_they_stand() {
        for before in [0, 1, 300, LONG_RUN, LONG_RUN + 1, 2_000] {
            let text = format!("{}{}{}", "a b ".repeat(before / 4), "-".repeat(LONG_RUN + 1), " tail".repeat(200));
            let found = long_run(&text).map(|(begin, end)| end - begin);
            assert_eq!(found, Some(LONG_RUN + 1), "{before}");
        }
        assert_eq!(long_run(&"word ".repeat(1_000)), None);
        assert_eq!(long_run(&"-".repeat(LONG_RUN)), None);
    }

    #[test]
    fn a_text_with_a_long_run_is_counted_as_its_parts() {
        let (before, after) = ("The berth is ".repeat(20), " free.".repeat(20));
        let alone = |text: &str| tiktoken::get_encoding("llama3").expect("it is published").count(text) as u64;

        let counted = count("llama3", &format!("{before}berth {} berth{after}", "a".repeat(5_000)));

        // A cut costs a token at most.
        let parts = alone(&before)
            + alone("berth")
            + alone(&format!(" {}", "a".repeat(5_000)))
            + alone(" berth")
            + alone(&after);
        assert!(counted.abs_diff(parts) <= 5_000 / LONG_RUN as u64 + 1, "{counted} against {parts}");
    }
}
