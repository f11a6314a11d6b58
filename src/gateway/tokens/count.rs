//! Counting the tokens of a text, exactly where the vocabulary of the model is published.

use std::sync::{LazyLock, Mutex};
use tiktoken::CoreBpe;

/// A run of one class of characters longer than this is counted by the tokenizer that stays linear: the other one needs a
/// quarter of a second for a megabyte of one letter, and tests found the two equal.
const LONG_RUN: usize = 512;

/// How the texts of a model become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gateway) enum Family {
    /// GPT-4o and later, o-series, gpt-oss.
    O200k,
    /// GPT-4, GPT-3.5, embeddings of OpenAI.
    Cl100k,
    /// Another published vocabulary, by its name.
    Published(&'static str),
    /// Not published. Counted as [`Family::O200k`], then corrected by what the vendor reports.
    Unpublished,
}

impl Family {
    /// Of a model, by the beginning of its name; a path before it (`openai/gpt-5`) is left out.
    pub(in crate::gateway) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        match tiktoken::model_to_encoding(name) {
            Some("o200k_base" | "o200k_harmony") => Self::O200k,
            Some("cl100k_base") => Self::Cl100k,
            Some(encoding) => Self::Published(encoding),
            None => Self::Unpublished,
        }
    }

    /// Whether a count of plain text equals the vendor's.
    pub(in crate::gateway) fn is_exact(self) -> bool {
        !matches!(self, Self::Unpublished)
    }

    fn encoding(self) -> &'static CoreBpe {
        match self {
            Self::O200k | Self::Unpublished => named("o200k_base"),
            Self::Cl100k => named("cl100k_base"),
            Self::Published(name) => named(name),
        }
    }
}

/// The loaded vocabulary of this name. Loading takes half a second of work; who comes meanwhile waits.
fn named(encoding: &str) -> &'static CoreBpe {
    tiktoken::get_encoding(encoding).expect("only names that the crate gave are asked for")
}

/// The number of tokens of a text that stands by itself.
pub(in crate::gateway) fn count(family: Family, text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let encoding = family.encoding();
    let mut tokens = 0;
    let mut rest = text;
    while let Some(run) = long_runs(rest, &CLASS).next() {
        // Both tokenizers cut a text between a letter and a space; so do we, that pieces stay whole.
        let from = cut_before(rest, run.0);
        let to = cut_after(rest, run.1);
        tokens += encoding.count(&rest[..from]) + count_long(family, encoding, &rest[from..to]);
        rest = &rest[to..];
    }
    (tokens + encoding.count(rest)) as u64
}

fn count_long(family: Family, encoding: &CoreBpe, text: &str) -> usize {
    match family {
        Family::O200k | Family::Unpublished => count_linear(bpe_openai::o200k_base(), text),
        Family::Cl100k => count_linear(bpe_openai::cl100k_base(), text),
        // No linear tokenizer has these vocabularies: what is left is to count in parts, which is at most a token off at
        // each cut.
        Family::Published(_) => {
            let (mut tokens, mut rest) = (0, text);
            while !rest.is_empty() {
                let part = &rest[..rest.floor_char_boundary(LONG_RUN.min(rest.len()))];
                tokens += encoding.count(part);
                rest = &rest[part.len()..];
            }
            tokens
        }
    }
}

/// As [`bpe_openai::Tokenizer::count`]. To find the pieces of a text takes it nearly as long as to count them, and where they
/// are does not depend on how many letters of one case follow one another: they are looked for in a text with fewer.
fn count_linear(tokenizer: &bpe_openai::Tokenizer, text: &str) -> usize {
    /// Letters that stay at each end: more than the longest contraction has (`'ll`).
    const STAY: usize = 16;
    let Some((begin, end)) = long_runs(text, &CASE).max_by_key(|(begin, end)| end - begin) else {
        return tokenizer.count(text);
    };
    let (seam, left_out) = (begin + STAY, end - begin - 2 * STAY);
    let shorter = [&text[..seam], &text[seam + left_out..]].concat();
    let (mut tokens, mut at) = (0, 0);
    for piece in tokenizer.split(&shorter) {
        let from = at;
        at += piece.len();
        let whole = if from <= seam && seam < at { &text[from..at + left_out] } else { piece };
        tokens += tokenizer.bpe.count(whole.as_bytes());
    }
    tokens
}

/// Where the runs of more than [`LONG_RUN`] bytes of one class begin and end.
fn long_runs<'a>(text: &'a str, classes: &'a [u8; 256]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let bytes = text.as_bytes();
    let class_at = |at: usize| classes[bytes[at] as usize];
    let mut at = LONG_RUN;
    // From each place that a long run would have to cross, look back and forth.
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let class = class_at(at);
            if class == NO_CLASS {
                at += LONG_RUN + 1;
                continue;
            }
            let start = (0..at).rev().find(|at| class_at(*at) != class).map_or(0, |last| last + 1);
            let end = (at..bytes.len()).find(|at| class_at(*at) != class).unwrap_or(bytes.len());
            at = end.max(start + LONG_RUN + 1);
            if end - start > LONG_RUN {
                return Some((start, end));
            }
        }
        None
    })
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
    let mut class = [NO_CLASS; 256];
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

/// Letters of one case and the other.
static CASE: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let mut case = [NO_CLASS; 256];
    case[usize::from(b'a')..=usize::from(b'z')].fill(1);
    case[usize::from(b'A')..=usize::from(b'Z')].fill(2);
    case
});

/// Bytes of it make no run.
const NO_CLASS: u8 = 0;

/// Loads the vocabulary of `model` in the background, so that the first request does not wait for it.
pub(in crate::gateway) fn warm(model: &str) {
    static LOADING: Mutex<Vec<Family>> = Mutex::new(Vec::new());
    let family = Family::of(model);
    let mut loading = LOADING.lock().expect("no holder of this lock can panic");
    if !loading.contains(&family) {
        loading.push(family);
        std::thread::spawn(move || count(family, "warm"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_lead_to_their_vocabulary() {
        for (model, family) in [
            ("gpt-4o-mini", Family::O200k),
            ("gpt-5-mini", Family::O200k),
            ("openai/o3", Family::O200k),
            ("gpt-oss-20b", Family::O200k),
            ("gpt-4-turbo", Family::Cl100k),
            ("gpt-35-turbo", Family::Cl100k),
            ("text-embedding-3-large", Family::Cl100k),
            ("llama3.2", Family::Published("llama3")),
            ("claude-sonnet-5", Family::Unpublished),
            ("anything", Family::Unpublished),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }

    #[test]
    fn known_texts_have_known_counts() {
        // Counted with OpenAI's own tokenizer.
        for (family, text, tokens) in [
            (Family::O200k, "hello world", 2),
            (Family::Cl100k, "hello world", 2),
            (Family::O200k, "", 0),
            (Family::Cl100k, "tiktoken is great!", 6),
        ] {
            assert_eq!(count(family, text), tokens, "{text}");
        }
    }

    #[test]
    fn the_two_tokenizers_agree_wherever_we_cut() {
        let texts = [
            format!("Before it {} and after.", "a".repeat(3_000)),
            format!("x{}y 12 {}", " ".repeat(2_000), "!".repeat(1_500)),
            format!("{}\n\n{}", "é".repeat(900), "Ab".repeat(700)),
            format!("no cut{}", "-".repeat(5_000)),
            "The quay is long, isn't it? ".repeat(200),
            format!("a b {} c's d'll e", "zq".repeat(400)),
            format!("{} {}\r\n\r\n", "w".repeat(600), "\u{4f60}\u{597d}".repeat(300)),
            "ab".repeat(900),
            format!("Before 'S{}\u{e9}QUAY{}'lle", "quay".repeat(300), "Z".repeat(700)),
            format!("it's{}'s {}I'LL\n", "ts".repeat(400), "VE".repeat(600)),
            format!("\"{}\"\t{}1{}", "berth".repeat(200), "K".repeat(520), "k".repeat(520)),
        ];
        for text in &texts {
            assert_eq!(
                count(Family::O200k, text),
                bpe_openai::o200k_base().count(text.as_str()) as u64,
                "{:.40}",
                text
            );
            assert_eq!(
                count(Family::Cl100k, text),
                bpe_openai::cl100k_base().count(text.as_str()) as u64,
                "{:.40}",
                text
            );
        }
    }

    #[test]
    fn long_runs_are_found_wherever_they_stand() {
        for before in [0, 1, 300, LONG_RUN, LONG_RUN + 1, 2_000] {
            let text = format!("{}{}{}", "a b ".repeat(before / 4), "-".repeat(LONG_RUN + 1), " tail".repeat(200));
            let found = long_runs(&text, &CLASS).next().map(|(start, end)| end - start);
            assert_eq!(found, Some(LONG_RUN + 1), "{before}");
        }
        assert_eq!(long_runs(&"word ".repeat(1_000), &CLASS).next(), None);
        assert_eq!(long_runs(&"-".repeat(LONG_RUN), &CLASS).next(), None);
    }

    #[test]
    fn every_long_run_is_found_and_none_of_what_has_no_class() {
        let text = format!(
            "{}{}{}{} {}",
            " ".repeat(2_000),
            "a".repeat(LONG_RUN + 1),
            "B".repeat(LONG_RUN),
            "c".repeat(3 * LONG_RUN),
            "D".repeat(LONG_RUN + 1)
        );
        let lengths: Vec<usize> = long_runs(&text, &CASE).map(|(start, end)| end - start).collect();
        assert_eq!(lengths, [LONG_RUN + 1, 3 * LONG_RUN, LONG_RUN + 1]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn mixed_texts_are_counted_exactly(
            parts in proptest::collection::vec(("[a-zA-Z0-9 .,'!\n\té你]{0,12}", 1usize..90), 0..12),
        ) {
            let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            proptest::prop_assert_eq!(count(Family::O200k, &text), bpe_openai::o200k_base().count(text.as_str()) as u64);
        }

        #[test]
        fn long_words_are_counted_exactly_whatever_stands_around_them(
            before in "[a-zA-Z0-9 .,'!\n\té你]{0,12}",
            word in "[a-z]{2,5}|[A-Z]{2,5}|[a-z]|[A-Z]|l{2}",
            times in 110usize..700,
            after in "('s|'LL|'re|[a-zA-Z0-9 .,'!\n\té你]){0,8}",
        ) {
            let text = format!("{before}{}{after}", word.repeat(times));
            proptest::prop_assert_eq!(count(Family::O200k, &text), bpe_openai::o200k_base().count(text.as_str()) as u64);
            proptest::prop_assert_eq!(count(Family::Cl100k, &text), bpe_openai::cl100k_base().count(text.as_str()) as u64);
        }
    }
}
