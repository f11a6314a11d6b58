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

    // What went and what came are gathered until a word stays: a blank between two changed words is part of the change.
    let mut pieces = Vec::new();
    let (mut same, mut gone, mut come) = (String::new(), String::new(), String::new());
    for change in diff.iter_all_changes() {
        let text = change.value();
        match change.tag() {
            ChangeTag::Delete => gone.push_str(text),
            ChangeTag::Insert => come.push_str(text),
            ChangeTag::Equal if gone.is_empty() && come.is_empty() => {
                same.push_str(text);
                continue;
            }
            ChangeTag::Equal if text.trim().is_empty() => {
                gone.push_str(text);
                come.push_str(text);
                continue;
            }
            ChangeTag::Equal => {
                let blank = flush(&mut pieces, &mut gone, &mut come);
                same = format!("{blank}{text}");
                continue;
            }
        }
        if !same.is_empty() {
            pieces.push(Piece::Same(middle_left_out(&std::mem::take(&mut same))));
        }
    }
    if !same.is_empty() {
        pieces.push(Piece::Same(middle_left_out(&same)));
    }
    flush(&mut pieces, &mut gone, &mut come);
    pieces
}

/// Ends a change; gives back the blanks that both sides end with, which stayed.
fn flush(pieces: &mut Vec<Piece>, gone: &mut String, come: &mut String) -> String {
    let (old, new) = (std::mem::take(gone), std::mem::take(come));
    let tail = |text: &str| text[text.trim_end().len()..].to_owned();
    let blank = if tail(&old) == tail(&new) { tail(&old) } else { String::new() };
    let keep = |text: String| text[..text.len() - blank.len()].to_owned();
    let (old, new) = (keep(old), keep(new));
    if !old.is_empty() {
        pieces.push(Piece::Gone(old));
    }
    if !new.is_empty() {
        pieces.push(Piece::Come(new));
    }
    blank
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
    fn neighbouring_changes_are_one() {
        let pieces = words("slow based on execution time now", "slow or big using data from x now");

        assert_eq!(
            pieces,
            [
                Piece::Same("slow ".into()),
                Piece::Gone("based on execution time".into()),
                Piece::Come("or big using data from x".into()),
                Piece::Same(" now".into())
            ]
        );
        assert_eq!(words("a", "a"), [Piece::Same("a".into())]);
        assert_eq!(words("", "new"), [Piece::Come("new".into())]);
        assert_eq!(words("old ", ""), [Piece::Gone("old ".into())]);
    }

    #[test]
    fn a_long_stretch_that_stayed_is_shortened() {
        let same = "word ".repeat(200);

        let pieces = words(&format!("{same}old"), &format!("{same}new"));

        assert!(matches!(&pieces[0], Piece::Same(text) if text.contains(" … ") && text.chars().count() < 210));
    }
}
