//! Two texts, word by word: what stayed, what went, what came.

use similar::{Algorithm, ChangeTag, TextDiff};
use std::time::{Duration, Instant};

/// Characters of each text that are compared; descriptions are seldom longer.
const MOST: usize = 4_000;

/// A piece of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Same(String),
    Gone(String),
    Come(String),
}

/// The pieces in order; long stretches that stayed are shortened in their middle.
#[must_use]
pub fn words(before: &str, after: &str) -> Vec<Piece> {
    let before = super::lines::cut(before, MOST);
    let after = super::lines::cut(after, MOST);
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Patience)
        // A text made to be slow gets a coarser answer.
        .deadline(Instant::now() + Duration::from_millis(50))
        .diff_words(before.as_str(), after.as_str());

    let mut pieces: Vec<(ChangeTag, String)> = Vec::new();
    for change in diff.iter_all_changes() {
        match pieces.last_mut() {
            Some((tag, text)) if *tag == change.tag() => text.push_str(change.value()),
            _ => pieces.push((change.tag(), change.value().to_owned())),
        }
    }
    pieces
        .into_iter()
        .map(|(tag, text)| match tag {
            ChangeTag::Equal => Piece::Same(middle_left_out(&text)),
            ChangeTag::Delete => Piece::Gone(text),
            ChangeTag::Insert => Piece::Come(text),
        })
        .collect()
}

fn middle_left_out(text: &str) -> String {
    let length = text.chars().count();
    if length <= 240 {
        return text.to_owned();
    }
    let head: String = text.chars().take(100).collect();
    let tail: String = text.chars().skip(length - 100).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_words_stand_between_those_that_stayed() {
        let pieces = words("Execute a read-only SQL query", "Execute any SQL query");

        assert_eq!(
            pieces,
            [
                Piece::Same("Execute ".into()),
                Piece::Gone("a read-only".into()),
                Piece::Come("any".into()),
                Piece::Same(" SQL query".into())
            ]
        );
    }

    #[test]
    fn a_long_stretch_that_stayed_is_shortened() {
        let same = "word ".repeat(200);

        let pieces = words(&format!("{same}old"), &format!("{same}new"));

        assert!(matches!(&pieces[0], Piece::Same(text) if text.contains(" … ") && text.chars().count() < 210));
    }
}
