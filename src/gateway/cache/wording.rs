//! What nearness of meaning does not see: numbers, names of things in quotes, and whether something is denied.
//!
//! "Refund order 1041" and "refund order 1042" lie as near to each other as two wordings of one question. A hit needs
//! the same numbers, the same codes and the same denials on both sides.

/// What must be equal in two texts, beside their meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wording {
    /// Words with a digit, in order of the alphabet.
    numbers: Vec<String>,
    /// What stands in quotation marks or backticks.
    quoted: Vec<String>,
    /// Names: words with a capital letter that do not begin a sentence.
    names: Vec<String>,
    denials: usize,
    /// Words that turn a question around: before or after, more or less, on or off ...
    turns: Vec<&'static str>,
}

const DENIALS: &[&str] = &[
    "not", "no", "never", "without", "none", "nobody", "nothing", "neither", "nor", "cannot", "except", "unless", "non",
];

/// Of each pair, both; a text that has one and not the other asks something else.
const TURNS: &[&str] = &[
    "before",
    "after",
    "more",
    "less",
    "above",
    "below",
    "minimum",
    "maximum",
    "min",
    "max",
    "first",
    "last",
    "enable",
    "disable",
    "on",
    "off",
    "increase",
    "decrease",
    "add",
    "remove",
    "open",
    "close",
    "start",
    "stop",
    "allow",
    "deny",
    "import",
    "export",
    "upload",
    "download",
    "largest",
    "smallest",
    "highest",
    "lowest",
    "oldest",
    "newest",
    "buy",
    "sell",
    "encrypt",
    "decrypt",
    "encode",
    "decode",
    "from",
    "to",
    "ascending",
    "descending",
    "fastest",
    "slowest",
    "why",
    "when",
    "where",
    "who",
    "legal",
    "illegal",
    "left",
    "right",
    "input",
    "output",
    "public",
    "private",
    "login",
    "logout",
    "cheapest",
    "dearest",
    "best",
    "worst",
    "pros",
    "cons",
    "advantages",
    "disadvantages",
];

impl Wording {
    pub(super) fn of(text: &str) -> Self {
        let mut wording = Self { quoted: quoted(text), ..Self::default() };
        let mut begins = true;
        for word in text.split_whitespace() {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            let lower = bare.to_lowercase();
            let own_stop = word.ends_with(['.', '!', '?', ':']);
            if bare.chars().any(|c| c.is_ascii_digit()) {
                wording.numbers.push(lower.clone());
            } else if bare.chars().skip(usize::from(begins)).any(char::is_uppercase) && lower != "i" {
                wording.names.push(lower.clone());
            }
            if DENIALS.contains(&lower.as_str()) || lower.ends_with("n't") || lower.ends_with("n\u{2019}t") {
                wording.denials += 1;
            }
            wording.turns.extend(TURNS.iter().find(|turn| **turn == lower));
            begins = own_stop;
        }
        // `on` and `from ... to` are filling words more often than not: only a lone one turns a question around.
        wording.turns.retain(|turn| !["on", "to", "from"].contains(turn));
        wording.numbers.sort_unstable();
        wording.names.sort_unstable();
        wording.turns.sort_unstable();
        wording.turns.dedup();
        wording
    }
}

fn quoted(text: &str) -> Vec<String> {
    let mut all: Vec<String> = ['"', '`', '\u{201c}']
        .iter()
        .flat_map(|mark| {
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
        })
        .collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_the_same_in_other_words_is_equal() {
        for (one, other) in [
            ("How do I reset my password?", "What must I do to get a new password?"),
            ("Refund order 1041, please.", "Please give the money back for order 1041"),
            ("What does `ls` do?", "explain `ls`"),
            ("Who is the mayor of Bergen?", "who is mayor in Bergen"),
        ] {
            assert_eq!(Wording::of(one), Wording::of(other), "{one}");
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
        ] {
            assert_ne!(Wording::of(one), Wording::of(other), "{one}");
        }
    }
}
