//! The language of the search box: words, `"exact words"`, `field:value`, and `-` before what must not be there.

use serde::Serialize;

/// Longest query that is read, in characters; the rest is left out, and said so.
pub const LONGEST: usize = 2_000;
/// Up to this many words, what stands in quotation marks must be met word for word. In a longer text they are those of
/// a sentence: somebody, or an agent, tells a task and quotes in it.
const LONGEST_WITH_PHRASES: usize = 8;
/// Most filters of one query.
const MOST_FILTERS: usize = 32;

/// The fields that every asset can be filtered by; declared metadata fields come on top.
pub const FIELDS: [&str; 7] = ["kind", "workspace", "tag", "owner", "stage", "environment", "transport"];

/// What a text asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Everything that is no filter and not excluded, as written: what the embedding model reads.
    pub text: String,
    /// Must stand there word for word.
    pub phrases: Vec<String>,
    pub excluded: Vec<String>,
    pub filters: Vec<Filter>,
    pub hints: Vec<Hint>,
}

/// A field and one of the values it may have; several of one field are alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    pub field: String,
    pub value: String,
    pub is_negated: bool,
}

impl Filter {
    #[must_use]
    pub fn new(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.into(), is_negated: false }
    }
}

/// A remark on a query that was answered all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Hint {
    /// The part of the query.
    pub part: String,
    pub message: String,
}

impl Hint {
    /// The remark with the part it is about.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.part.is_empty() { self.message.clone() } else { format!("{}: {}", self.part, self.message) }
    }
}

/// Reads a query. `is_field` knows the metadata fields that can be filtered by; what looks like a filter of an unknown
/// field is read as words, with a hint. Never fails.
#[must_use]
pub fn parse(text: &str, is_field: impl Fn(&str) -> bool) -> Parsed {
    let mut parsed = Parsed::default();
    let text = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            let message = format!("only the first {LONGEST} characters are searched for");
            parsed.hints.push(Hint { part: String::new(), message });
            &text[..end]
        }
        None => text,
    };
    let mut words: Vec<&str> = Vec::new();
    for part in split(text) {
        read_part(&part, &is_field, &mut words, &mut parsed);
    }
    parsed.text = words.join(" ");
    if parsed.text.split_whitespace().nth(LONGEST_WITH_PHRASES).is_some() {
        parsed.phrases.clear();
    }
    parsed
}

/// One part of a query: `-` in front, `field:`, and a value with or without quotes.
struct Part<'a> {
    whole: &'a str,
    is_negated: bool,
    field: Option<&'a str>,
    value: &'a str,
    is_quoted: bool,
}

fn read_part<'a>(part: &Part<'a>, is_field: &impl Fn(&str) -> bool, words: &mut Vec<&'a str>, parsed: &mut Parsed) {
    if let Some(given) = part.field {
        let field = given.to_lowercase();
        let field = plural(&field);
        if FIELDS.contains(&field) || is_field(field) {
            if parsed.filters.len() == MOST_FILTERS {
                let message = format!("only the first {MOST_FILTERS} filters count");
                parsed.hints.push(Hint { part: part.whole.to_owned(), message });
                return;
            }
            // `tag:a,b` means one or the other, as two filters would.
            let values = if part.is_quoted { vec![part.value] } else { part.value.split(',').collect() };
            for value in values.into_iter().filter(|value| !value.is_empty()) {
                let (field, value) = (field.to_owned(), value.to_owned());
                parsed.filters.push(Filter { field, value, is_negated: part.is_negated });
            }
            return;
        }
        if looks_like_filter(given, part.value) {
            let mut message = format!("there is no field {given}; these words are searched for as text");
            if let Some(meant) = crate::base::nearest(field, FIELDS) {
                message = format!("there is no field {given}; did you mean {meant}:{}?", part.value);
            }
            parsed.hints.push(Hint { part: part.whole.to_owned(), message });
        }
        words.push(part.whole);
        return;
    }
    if part.value.is_empty() {
        return;
    }
    match (part.is_negated, part.is_quoted) {
        (true, _) => parsed.excluded.push(part.value.to_owned()),
        (false, true) => {
            parsed.phrases.push(part.value.to_owned());
            words.push(part.value);
        }
        (false, false) => words.push(part.value),
    }
}

/// `tags:` and `owners:` are understood too.
fn plural(field: &str) -> &str {
    match field.strip_suffix('s') {
        Some(one) if FIELDS.contains(&one) => one,
        _ => field,
    }
}

/// `std::vec`, `http://host` and `10:30` have a colon and are no filters.
fn looks_like_filter(field: &str, value: &str) -> bool {
    field.chars().all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-')
        && !value.starts_with(['/', ':'])
        && !value.is_empty()
}

/// Parts end at white space outside quotes; a quote that is never closed ends with the text.
fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let bare = rest.strip_prefix('-').filter(|bare| bare.starts_with(|c: char| c == '"' || c.is_alphanumeric()));
        let (is_negated, body) = (bare.is_some(), bare.unwrap_or(rest));
        let field_end = body.find(|c: char| c == ':' || c == '"' || c.is_whitespace());
        let (field, value) = match field_end {
            Some(end) if end > 0 && body[end..].starts_with(':') => (Some(&body[..end]), &body[end + 1..]),
            _ => (None, body),
        };
        let (value, is_quoted, tail) = match value.strip_prefix('"') {
            Some(quoted) => match quoted.find('"') {
                Some(end) => (&quoted[..end], true, &quoted[end + 1..]),
                None => (quoted, true, ""),
            },
            None => {
                let end = value.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(value.len());
                (&value[..end], false, &value[end..])
            }
        };
        let whole = &rest[..rest.len() - tail.len()];
        parts.push(Part { whole, is_negated, field, value: value.trim(), is_quoted });
        rest = tail.trim_start();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed {
        parse(text, |field| field == "tier")
    }

    #[test]
    fn words_phrases_filters_and_exclusions_are_told_apart() {
        let parsed = read(r#"refund "credit card" kind:mcp tag:a,b owner:"Team Pay" tier:gold -legacy -stage:retired"#);

        assert_eq!(parsed.text, "refund credit card");
        assert_eq!(parsed.phrases, ["credit card"]);
        assert_eq!(parsed.excluded, ["legacy"]);
        let filters: Vec<_> =
            parsed.filters.iter().map(|f| (f.field.as_str(), f.value.as_str(), f.is_negated)).collect();
        assert_eq!(
            filters,
            [
                ("kind", "mcp", false),
                ("tag", "a", false),
                ("tag", "b", false),
                ("owner", "Team Pay", false),
                ("tier", "gold", false),
                ("stage", "retired", true)
            ]
        );
        assert_eq!(parsed.hints, []);
    }

    #[test]
    fn an_unknown_field_is_a_hint_and_its_words_are_searched_for() {
        let parsed = read("knd:mcp colour:red");

        assert_eq!(parsed.text, "knd:mcp colour:red");
        assert_eq!(parsed.hints[0].message, "there is no field knd; did you mean kind:mcp?");
        assert!(parsed.hints[1].message.contains("no field colour"));
    }

    #[test]
    fn colons_of_other_kinds_are_text() {
        for text in ["https://example.com/a", "std::vec", "at 10:30", "re:", "a - b", "--help", "::", "\"", "-"] {
            let parsed = read(text);
            assert_eq!((parsed.filters, parsed.hints), (vec![], vec![]), "{text}");
        }
    }

    #[test]
    fn plurals_and_capitals_of_fields_are_understood() {
        assert_eq!(read("Tags:x KIND:rest").filters, [Filter::new("tag", "x"), Filter::new("kind", "rest")]);
    }

    #[test]
    fn the_longest_query_is_bounded() {
        let parsed = read(&"é".repeat(LONGEST + 1));

        assert_eq!(parsed.text.chars().count(), LONGEST);
        assert_eq!(parsed.hints.len(), 1);
        assert_eq!(read(&"kind:x ".repeat(100)).filters.len(), MOST_FILTERS);
    }

    #[test]
    fn quotation_marks_in_a_long_sentence_quote() {
        let parsed = read(r#"please find me a server which can play the song "yesterday" by the beatles"#);

        assert_eq!(parsed.phrases, Vec::<String>::new());
        assert!(parsed.text.contains("song yesterday by"));
    }

    #[test]
    fn an_open_quote_ends_with_the_text() {
        assert_eq!(read(r#"a "b c"#).phrases, ["b c"]);
        assert_eq!(read(r#"kind:"mcp"rest"#).text, "rest");
    }
}
