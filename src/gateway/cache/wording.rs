//! What nearness of meaning does not see: which number, which name, which way round, whether something is denied.
//!
//! "Refund order 1041" and "refund order 1042", or a flight from Vienna to Porto and one from Porto to Vienna, lie nearer to
//! each other than most wordings of one question. So a hit needs more than nearness: the words that carry the question must
//! be the same in both texts and follow one another in the same way, if need be from another one on ("at sea level, what is
//! the boiling point" and "what is the boiling point at sea level"). What may differ is the rest: how one asks, politeness,
//! articles, endings, and words of one meaning.

use super::words::{ALIKE, ASKING, BEGINNINGS, DENIALS, FILLING, IRREGULAR, MARKS, PHRASES, POLITE, SHORTENED};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::LazyLock;
use tantivy::tokenizer::{Language, RawTokenizer, Stemmer, TextAnalyzer};

/// What must be equal in two texts, beside their meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wording {
    /// The words that carry the question, in their order, from the one on that makes it the first of the alphabet.
    carrying: Vec<String>,
    /// Words with a digit, in their order.
    numbers: Vec<String>,
    /// What stands in quotation marks or backticks.
    quoted: Vec<String>,
    /// What follows a colon or a line break, which is what the question is about; to the letter.
    about: String,
    /// What stands after `from`, and the names after `to`.
    from: Vec<String>,
    to: Vec<String>,
    /// Leave or duty, another time, somebody else's.
    marks: Vec<&'static str>,
}

impl Wording {
    pub(super) fn of(text: &str) -> Self {
        let (asked, about) = parted(text.trim());
        let words = words(asked);
        let mut wording = Self { quoted: quoted(text), about: about.to_owned(), ..Self::default() };
        wording.marks = marks(&words);
        let mut stems = Stems::default();
        let (mut begins, mut after_from) = (true, false);
        for word in &words {
            after_from |= word == "from";
            if DENIALS.contains(&word.as_str()) || word.ends_with("n't") {
                wording.carrying.push("not".to_owned());
                continue;
            }
            if FILLING.contains(&word.as_str()) || (begins && ASKING.contains(&word.as_str())) {
                begins &= POLITE.contains(&word.as_str());
                continue;
            }
            begins = false;
            let stem = stems.of(word);
            if word.bytes().any(|byte| byte.is_ascii_digit()) {
                wording.numbers.push(stem.clone());
            }
            if std::mem::take(&mut after_from) {
                wording.from.push(stem.clone());
            }
            wording.carrying.push(stem);
        }
        wording.to = names_after_to(asked).map(|name| stems.of(&name)).collect();
        wording.quoted.sort_unstable();
        wording.from.sort_unstable();
        wording.to.sort_unstable();
        rotate_to_first(&mut wording.carrying);
        wording
    }
}

impl Wording {
    /// Equal for equal wordings whose vectors can be compared, and of no use to find out what they were of. `space` names
    /// the vectors' own.
    pub(super) fn digest(&self, space: &str) -> [u8; 16] {
        let Self { carrying, numbers, quoted, about, from, to, marks } = self;
        let mut hash = Sha256::new();
        let mut add = |words: &mut dyn Iterator<Item = &str>| {
            for word in words {
                hash.update((word.len() as u64).to_le_bytes());
                hash.update(word.as_bytes());
            }
            hash.update(u64::MAX.to_le_bytes());
        };
        add(&mut [space, about.as_str()].into_iter());
        for words in [carrying, numbers, quoted, from, to] {
            add(&mut words.iter().map(String::as_str));
        }
        add(&mut marks.iter().copied());
        let hash: [u8; 32] = hash.finalize().into();
        hash[..16].try_into().expect("half of 32 bytes are 16")
    }
}

/// The question, and what it is about: what follows a colon or stands on further lines.
fn parted(text: &str) -> (&str, &str) {
    let line = text.find('\n');
    let colon = text.match_indices(':').map(|(at, _)| at).find(|at| text[at + 1..].starts_with(char::is_whitespace));
    match line.into_iter().chain(colon).min() {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    }
}

/// The words in lower case, without the marks around them; ways to ask are brought to one.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let mut joined = " ".to_owned();
    for word in lower.split_whitespace().map(bare).filter(|word| !word.is_empty()) {
        // "What's" is "what is"; "the dentist's" is his.
        match word.strip_suffix("'s").filter(|word| SHORTENED.contains(word)) {
            Some(word) => joined.extend([word, " is "]),
            None => joined.extend([word, " "]),
        }
    }
    for (word, phrases) in PHRASES {
        for phrase in *phrases {
            let (phrase, word) = (format!(" {phrase} "), format!(" {word} "));
            if joined.contains(&phrase) {
                joined = joined.replace(&phrase, &word);
            }
        }
    }
    joined.split_whitespace().map(str::to_owned).collect()
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn marks(words: &[String]) -> Vec<&'static str> {
    let is = |word: &String, list: &[&str]| list.contains(&word.as_str());
    let begins = BEGINNINGS.iter().filter(|(_, list)| words.first().is_some_and(|word| is(word, list)));
    let holds = MARKS.iter().filter(|(_, list)| words.iter().any(|word| is(word, list)));
    let mut marks: Vec<_> = begins.chain(holds).map(|(mark, _)| *mark).collect();
    // "Is it going to rain?" asks of the same time as "will it rain?".
    if words.windows(2).any(|pair| pair == ["going", "to"]) && !marks.contains(&"future") {
        marks.push("future");
    }
    marks.sort_unstable();
    marks
}

/// Words with a capital letter after `to` or `into`.
fn names_after_to(text: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = text.split_whitespace().map(bare).collect();
    let names = words.windows(2).filter(|pair| {
        ["to", "into"].iter().any(|to| pair[0].eq_ignore_ascii_case(to)) && pair[1].starts_with(char::is_uppercase)
    });
    names.map(|pair| pair[1].to_lowercase()).collect::<Vec<_>>().into_iter()
}

/// Words without their endings, words of one meaning by the first of them.
struct Stems(TextAnalyzer);

impl Default for Stems {
    fn default() -> Self {
        Self(TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(Language::English)).build())
    }
}

impl Stems {
    fn of(&mut self, word: &str) -> String {
        static FIRST: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
            let mut stems = Stems::default();
            let mut pairs =
                |line: &&[&str]| -> Vec<_> { line.iter().map(|word| (stems.cut(word), stems.cut(line[0]))).collect() };
            ALIKE.iter().flat_map(&mut pairs).collect()
        });
        let word = word.strip_suffix("'s").unwrap_or(word);
        let word = IRREGULAR.iter().find(|(form, _)| *form == word).map_or(word, |(_, base)| base);
        let stem = self.cut(word);
        FIRST.get(&stem).cloned().unwrap_or(stem)
    }

    fn cut(&mut self, word: &str) -> String {
        let mut stream = self.0.token_stream(word);
        if stream.advance() { stream.token().text.clone() } else { word.to_owned() }
    }
}

/// Of all beginnings the one that comes first in the alphabet, so that two texts of the same circle are equal.
fn rotate_to_first(words: &mut [String]) {
    let rotated = |start: usize| words[start..].iter().chain(&words[..start]);
    let first = (0..words.len()).min_by(|a, b| rotated(*a).cmp(rotated(*b)));
    words.rotate_left(first.unwrap_or(0));
}

fn quoted(text: &str) -> Vec<String> {
    let parts = ['"', '`', '\u{201c}'].iter().flat_map(|mark| {
        let close = if *mark == '\u{201c}' { '\u{201d}' } else { *mark };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(*mark) {
            let after = &rest[open + mark.len_utf8()..];
            let Some(end) = after.find(close) else { break };
            parts.push(after[..end].to_owned());
            rest = &after[end + close.len_utf8()..];
        }
        parts
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_the_same_in_other_words_is_equal() {
        for (one, other) in [
            ("How do I reset my password?", "What must I do to reset my password"),
            ("Refund order 1041, please.", "please refund the order 1041"),
            ("What's the number of the dentist?", "What is the number of the dentist?"),
            ("What does `ls` do?", "explain `ls`"),
            ("Who is the mayor of Bergen?", "who is mayor in Bergen"),
            ("Turn on the light in the hall", "Switch on the lights in the hall, please"),
            ("What is the boiling point of water at sea level?", "At sea level, what is the boiling point of water?"),
        ] {
            assert_eq!(Wording::of(one), Wording::of(other), "{one}");
            assert_eq!(Wording::of(one).digest("m"), Wording::of(other).digest("m"), "{one}");
        }
    }

    #[test]
    fn what_asks_something_else_differs() {
        for (one, other) in [
            ("Refund order 1041", "Refund order 1042"),
            ("Is it allowed to smoke here?", "Is it not allowed to smoke here?"),
            ("Can I pay with a card?", "Can't I pay with a card?"),
            ("Say \"hello\"", "Say \"goodbye\""),
            ("What is the weather in Bergen?", "What is the weather in Oslo?"),
            ("What must be done before a release?", "What must be done after a release?"),
            ("How do I enable logging?", "How do I disable logging?"),
            ("May I smoke here?", "Must I smoke here?"),
            ("Is the invoice paid?", "Was the invoice paid?"),
            ("Who is my manager?", "Who is your manager?"),
            ("Fly from Oslo to Rome", "Fly from Rome to Oslo"),
            ("Trains from Oslo", "Trains to Oslo"),
            ("The dog bit the man", "The man bit the dog"),
            ("What is 15 percent of 240?", "240 is 15 percent of what?"),
            ("Convert 10 miles to kilometres", "Convert 10 kilometres to miles"),
            ("Is this right: he go", "Is this right: he goes"),
            ("Summarise:\nthe first", "Summarise:\nthe second"),
            ("How do I delete my account?", "How do I delete my account history?"),
            ("What is the name of the product?", "What is the product?"),
            ("What is the capital of Norway?", "Was ist die Hauptstadt von Norwegen?"),
        ] {
            assert_ne!(Wording::of(one), Wording::of(other), "{one}");
            assert_ne!(Wording::of(one).digest("m"), Wording::of(other).digest("m"), "{one}");
        }
    }
}
