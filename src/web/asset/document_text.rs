//! A document as readable, numbered lines, a page of them at a time.

use super::schema_table::escaped;
use crate::wire;

/// Most lines on a page, and most bytes of text once escaped: with the frame a page stays below 30 KB.
const LINES: usize = 400;
const BYTES: usize = 18_000;
/// Characters shown of one line.
const LINE_CHARACTERS: usize = 1_000;

/// Some lines of a document.
pub struct Lines {
    /// The number of the first line, from 1.
    pub first: usize,
    /// Of the last line shown.
    pub last: usize,
    /// As HTML between tags.
    pub items: Vec<String>,
    /// Of the whole document.
    pub total: usize,
    /// Whether the text was set on lines by us: its own were too long to read.
    pub is_indented: bool,
}

impl Lines {
    /// The lines of `content` from number `from` on.
    #[must_use]
    pub fn of(content: &[u8], from: usize) -> Self {
        let text = readable(content);
        let is_json = text.trim_start().starts_with(['{', '[']);
        let is_indented = is_json && text.lines().any(|line| line.len() > 500);
        let text = if is_indented { indented(&text) } else { text };
        let total = text.lines().count();
        let first = from.clamp(1, total.max(1));

        let mut items = Vec::new();
        let mut room = BYTES;
        for line in text.lines().skip(first - 1).take(LINES) {
            let line = escaped(&shortened(line));
            // The element around it is counted too.
            let size = line.len() + 24;
            if size > room && !items.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            items.push(line);
        }
        Self { first, last: first + items.len().max(1) - 1, items, total, is_indented }
    }

    /// The number of the first line of the page before this one, if that page is full.
    #[must_use]
    pub fn previous(&self) -> Option<usize> {
        (self.first > 1).then(|| self.first.saturating_sub(LINES).max(1))
    }

    /// The number of the first line of the page after this one.
    #[must_use]
    pub fn next(&self) -> Option<usize> {
        (self.last < self.total).then_some(self.last + 1)
    }
}

/// The text of a document; what is no text in any encoding we know shows replacement characters where it is not.
fn readable(content: &[u8]) -> String {
    wire::decode(content).map_or_else(|_| String::from_utf8_lossy(content).into_owned(), |text| text.into_owned())
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARACTERS) {
        None => line.to_owned(),
        Some((at, _)) => format!("{} … ({} more characters)", &line[..at], line[at..].chars().count()),
    }
}

/// JSON set on lines by its brackets and commas, every other byte as it stands; also for JSON that is broken.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 3 / 2);
    let mut depth = 0_usize;
    let mut characters = json.chars().filter(|c| !matches!(c, '\n' | '\r')).peekable();
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(40)));
    };
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                while let Some(inner) = characters.next() {
                    out.push(inner);
                    match inner {
                        '\\' => out.extend(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(character);
                while characters.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(close) = characters.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            blank if blank.is_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_on_one_line_is_set_on_many_without_changing_its_values() {
        let json = r#"{"a":[1, {"b":"x,{\"y\"}"}],"c":{},"d":1e400 }"#;

        let text = indented(json);

        assert_eq!(
            text,
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x,{\\\"y\\\"}\"\n    }\n  ],\n  \"c\": {},\n  \"d\": 1e400\n}"
        );
        assert_eq!(indented("]]}{\"").lines().count(), 5);
    }

    #[test]
    fn a_page_of_lines_leads_to_the_next() {
        let document = (1..=1_000).map(|n| format!("line {n}\n")).collect::<String>();

        let first = Lines::of(document.as_bytes(), 1);
        let second = Lines::of(document.as_bytes(), first.next().unwrap());

        assert_eq!((first.first, first.last, first.total, first.items.len()), (1, 400, 1_000, 400));
        assert_eq!(second.items[0], "line 401");
        assert_eq!(Lines::of(document.as_bytes(), 5_000).items, ["line 1000"]);
        assert_eq!(Lines::of(document.as_bytes(), 990).next(), None);
        assert_eq!(Lines::of(b"", 1).items.len(), 0);
    }

    #[test]
    fn what_needs_escaping_counts_by_its_size_on_the_page() {
        let page = Lines::of("<<<<<<<<<<\n".repeat(1_000).as_bytes(), 1);

        assert!(page.items.iter().map(String::len).sum::<usize>() <= BYTES);
        assert!(page.next().is_some());
    }

    #[test]
    fn utf_16_is_read_and_long_lines_are_cut() {
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain("é1".encode_utf16().flat_map(u16::to_le_bytes)).collect();

        assert_eq!(Lines::of(&wide, 1).items, ["é1"]);
        assert!(Lines::of("y".repeat(3_000).as_bytes(), 1).items[0].ends_with("(2000 more characters)"));
    }
}
