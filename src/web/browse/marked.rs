//! Text in which the search marked words, as HTML.

use crate::search::{MARK, unmarked};
use askama::filters::{Html, Safe, escape};

const OPEN: char = MARK.0;
const CLOSE: char = MARK.1;

/// The text with its marked words between `<mark>` and `</mark>`, everything else escaped.
///
/// Marks come from the search, but a document may hold the same characters: marks that do not pair are dropped.
#[must_use]
pub fn html(text: &str) -> Safe<String> {
    let mut page = String::with_capacity(text.len() + 26);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        push(&mut page, before);
        rest = match after.split_once(CLOSE) {
            Some((word, behind)) => {
                page.push_str("<mark>");
                push(&mut page, word);
                page.push_str("</mark>");
                behind
            }
            None => after,
        };
    }
    push(&mut page, rest);
    Safe(page)
}

/// The text around its first marked word, at most `most` characters beside the marks, cut at words.
#[must_use]
pub fn excerpt(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let first = chars.iter().position(|c| *c == OPEN).unwrap_or(0);
    let mut from = first.saturating_sub(most / 3);
    let mut to = (from + most).min(chars.len());
    // Not within a word, and not within a mark.
    while from > 0 && !chars[from - 1].is_whitespace() && first - from < most / 2 {
        from -= 1;
    }
    while to < chars.len() && !chars[to].is_whitespace() && to > from + most / 2 {
        to -= 1;
    }
    let part: String = chars[from..to].iter().collect();
    let (head, tail) = (if from > 0 { "… " } else { "" }, if to < chars.len() { " …" } else { "" });
    format!("{head}{}{tail}", part.trim())
}

fn push(page: &mut String, text: &str) {
    let clean: std::borrow::Cow<'_, str> =
        if text.contains([OPEN, CLOSE]) { unmarked(text).into() } else { text.into() };
    match escape(clean, Html) {
        Ok(safe) => page.push_str(&safe.to_string()),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_marked_and_nothing_else_is_html() {
        for (text, page) in [
            ("\u{e000}Weather\u{e001} & <b>", "<mark>Weather</mark> &#38; &#60;b&#62;"),
            ("\u{e000}a", "a"),
            ("a\u{e001}b", "ab"),
            ("\u{e000}\u{e000}a\u{e001}\u{e001}", "<mark>a</mark>"),
            ("", ""),
        ] {
            assert_eq!(html(text).0, page, "{text:?}");
        }
    }

    #[test]
    fn an_excerpt_shows_the_first_mark_with_whole_words() {
        let text = format!("{} \u{e000}needle\u{e001} {}", "hay ".repeat(60), "straw ".repeat(60));

        let part = excerpt(&text, 120);

        assert!(part.contains("\u{e000}needle\u{e001}") && part.starts_with("… hay") && part.ends_with("straw …"));
        assert!(part.chars().count() < 140, "{part}");
        assert_eq!(excerpt("short", 120), "short");
    }
}
