//! Text becomes words: the same way for what is indexed, what is asked, and what is marked in an answer.
//!
//! A *run* is a stretch of letters and digits. It is split where its case changes (`getUser`, `HTTPServer`), and kept
//! whole beside its parts, since people write `github` for `GitHub`. All tokens of a run share one position, so a
//! phrase meets either spelling. Scripts without spaces become single characters and pairs of neighbours.

mod fillers;

pub use fillers::{is_filler, stems_of_fillers};

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, RemoveLongFilter, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
};

/// Longest word that is indexed, in bytes: longer ones are keys and hashes.
const LONGEST: usize = 64;

/// Words reduced to their English stems, accents taken off.
#[must_use]
pub fn stemming() -> TextAnalyzer {
    TextAnalyzer::builder(Splitter)
        .filter(RemoveLongFilter::limit(LONGEST))
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build()
}

/// Words as they are written, in lower case, accents taken off: what prefixes and typing errors are looked up in.
#[must_use]
pub fn plain() -> TextAnalyzer {
    TextAnalyzer::builder(Splitter).filter(RemoveLongFilter::limit(LONGEST)).filter(AsciiFoldingFilter).build()
}

/// All tokens of `text`.
pub fn tokens(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Token> {
    let mut stream = analyzer.token_stream(text);
    let mut tokens = Vec::new();
    while stream.advance() {
        tokens.push(stream.token().clone());
    }
    tokens
}

/// `list_open-issues`, `listOpenIssues` -> `list open issues`: how names are read by the embedding model.
#[must_use]
pub fn spaced(identifier: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for run in runs(identifier) {
        for part in parts(&identifier[run.clone()]) {
            words.push(&identifier[run.start + part.start..run.start + part.end]);
        }
    }
    if words.is_empty() { identifier.trim().to_owned() } else { words.join(" ") }
}

/// Splits text as told at the head of this page.
#[derive(Clone, Default)]
pub struct Splitter;

/// The tokens of one text.
pub struct Tokens {
    tokens: Vec<Token>,
    at: usize,
}

impl Tokenizer for Splitter {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut tokens = Vec::with_capacity(text.len() / 5);
        let mut position = 0;
        for run in runs(text) {
            let from = run.start;
            let run = &text[run];
            let mut add = |start: usize, end: usize, position: usize| {
                let text = run[start..end].to_lowercase();
                tokens.push(Token {
                    offset_from: from + start,
                    offset_to: from + end,
                    position,
                    text,
                    position_length: 1,
                });
            };
            if run.chars().next().is_some_and(is_dense) {
                let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
                for (at, edge) in starts.windows(2).enumerate() {
                    add(edge[0], edge[1], position);
                    if let Some(&next) = starts.get(at + 2) {
                        add(edge[0], next, position);
                    }
                    position += 1;
                }
                continue;
            }
            let parts = parts(run);
            if parts.len() > 1 {
                for part in &parts {
                    add(part.start, part.end, position);
                }
            }
            add(0, run.len(), position);
            position += 1;
        }
        Tokens { tokens, at: 0 }
    }
}

impl TokenStream for Tokens {
    fn advance(&mut self) -> bool {
        self.at += 1;
        self.at <= self.tokens.len()
    }
    fn token(&self) -> &Token {
        &self.tokens[self.at - 1]
    }
    fn token_mut(&mut self) -> &mut Token {
        &mut self.tokens[self.at - 1]
    }
}

type Span = std::ops::Range<usize>;

/// Stretches of letters and digits; a change to or from a script without spaces ends one.
fn runs(text: &str) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    let mut open: Option<(usize, bool)> = None;
    for (at, c) in text.char_indices() {
        let now = c.is_alphanumeric().then(|| is_dense(c));
        match (open, now) {
            (Some((start, dense)), now) if now != Some(dense) => {
                runs.push(start..at);
                open = now.map(|dense| (at, dense));
            }
            (None, Some(dense)) => open = Some((at, dense)),
            _ => {}
        }
    }
    if let Some((start, _)) = open {
        runs.push(start..text.len());
    }
    runs
}

/// The parts of a run: a capital after a small letter starts one, and the last capital of several before a small one.
fn parts(run: &str) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut start = 0;
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    for at in 1..letters.len() {
        let (before, (place, this)) = (letters[at - 1].1, letters[at]);
        let next = letters.get(at + 1).map(|letter| letter.1);
        let starts_word = this.is_uppercase()
            && (before.is_lowercase() || before.is_uppercase() && next.is_some_and(char::is_lowercase));
        if starts_word {
            parts.push(start..place);
            start = place;
        }
    }
    parts.push(start..run.len());
    parts
}

/// Whether the character belongs to a script that is written without spaces.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF            // Thai, Lao
        | 0x3040..=0x30FF          // Hiragana, Katakana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF // Han
        | 0xAC00..=0xD7AF) // Hangul: spaced, but by phrase
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
        tokens(analyzer, text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn identifiers_come_apart_and_stay_whole() {
        for (text, expected) in [
            ("create_issue", "create issue"),
            ("getUserByID", "get user by id getuserbyid"),
            ("HTTPServer", "http server httpserver"),
            ("io.github/my-app", "io github my app"),
            ("GitHub", "git hub github"),
            ("oauth2 S3 v1.2", "oauth2 s3 v1 2"),
            ("Café", "cafe"),
            ("", ""),
        ] {
            assert_eq!(texts(&mut plain(), text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn words_are_reduced_to_stems() {
        assert_eq!(texts(&mut stemming(), "searching payments"), ["search", "payment"]);
    }

    #[test]
    fn scripts_without_spaces_become_characters_and_pairs() {
        assert_eq!(texts(&mut plain(), "搜索MCP 图"), ["搜", "搜索", "索", "mcp", "图"]);
    }

    #[test]
    fn tokens_of_a_run_share_its_position_and_know_their_place() {
        let found = tokens(&mut plain(), "my GitHub issues");

        let seen: Vec<_> = found.iter().map(|t| (t.text.as_str(), t.position, t.offset_from, t.offset_to)).collect();
        assert_eq!(
            seen,
            [("my", 0, 0, 2), ("git", 1, 3, 6), ("hub", 1, 6, 9), ("github", 1, 3, 9), ("issues", 2, 10, 16)]
        );
    }

    #[test]
    fn names_are_read_as_words() {
        assert_eq!(spaced("list_openIssues-v2"), "list open Issues v2");
        assert_eq!(spaced("--"), "--");
    }
}
