//! YAML 1.2 to JSON's values, within bounds: one document, aliases and merge keys expanded up to a limit.
//!
//! The events come from `granit_parser`; the value is built here ([`builder`]), because the bounds must hold while it grows.

mod builder;
mod emit;
mod scalar;

pub use emit::emit;

use super::Finding;
use builder::Builder;
use granit_parser::{Marker, Parser};
use serde_json::Value;

/// Deepest nesting of lists and mappings, aliases expanded; the same as for JSON.
pub const MAX_DEPTH: usize = 100;
/// Most nodes in all, aliases expanded.
pub const MAX_NODES: usize = 2_000_000;
/// Most bytes that anchors and aliases may copy, each node counted with its [`Value`] beside its text: as many as the
/// longest document has, so that a few lines of aliases weigh no more than a document that was sent.
pub const MAX_COPIED_BYTES: usize = 8 << 20;
/// Most findings that are kept.
pub const MAX_FINDINGS: usize = 20;

/// Why a text is not the YAML we accept, and where (line and column from 1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line}, column {column}")]
pub struct YamlError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// What a YAML text says.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    pub value: Value,
    /// Keys that stand twice in one mapping, each with its line and column; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
}

/// The one document in `text`.
///
/// Plain scalars follow the core schema; time stamps stay text, and so do numbers JSON cannot hold. Keys that are no
/// strings become their text (`200:` is `"200"`). The merge key `<<` is followed; a mapping's own keys win over merged
/// ones, earlier merged ones over later. Of a key that stands twice the last value holds, as for most readers, and a
/// finding says so: real documents have them, and who must not guess can refuse them.
///
/// # Errors
/// [`YamlError`] for broken syntax, a second document, a key that is a list or mapping, an alias inside its own anchor, the character U+0000, or a bound that is passed ([`MAX_DEPTH`], [`MAX_NODES`], [`MAX_COPIED_BYTES`]).
pub fn parse(text: &str) -> Result<Yaml, YamlError> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| breach(*error.marker(), error.info()))?;
        builder.take(event, span)?;
    }
    let value = builder.root.ok_or_else(|| YamlError::new(1, 1, "the document is empty"))?;
    Ok(Yaml { value, findings: builder.findings })
}

impl YamlError {
    fn new(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), line, column }
    }
}

fn breach(at: Marker, message: impl Into<String>) -> YamlError {
    YamlError::new(at.line().max(1), at.col() + 1, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_comes_out_in_its_order_with_its_types() {
        let text = "%YAML 1.2\n---\nb: [1, 'x', ~]\n200: {true: no}\nwhen: 2026-11-23\ntext: |\n  one\n  two\n\
                    folded: >-\n  one\n  two\nversion: 1.10\ntagged: !!str 5\nown: !Ref thing\nnumber: !!int '7'\n...\n";

        let value = parse(text).unwrap().value;

        assert_eq!(
            value.to_string(),
            r#"{"b":[1,"x",null],"200":{"true":"no"},"when":"2026-11-23","text":"one\ntwo\n","folded":"one two","version":"1.10","tagged":"5","own":"thing","number":7}"#
        );
    }

    #[test]
    fn anchors_and_merge_keys_are_expanded() {
        let text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nname: &n key\n\
                    one: {<<: *base, b: 9}\nmany: {b: 9, <<: [*base, *other]}\nquoted: {\"<<\": 1}\n*n : again\n";

        let value = parse(text).unwrap().value;

        assert_eq!(value["one"], json!({"a": 1, "b": 9}));
        assert_eq!(value["many"], json!({"b": 9, "a": 1, "c": 4}));
        assert_eq!(value["quoted"], json!({"<<": 1}));
        assert_eq!(value["key"], json!("again"));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_holds_and_a_finding_says_so() {
        let yaml = parse("a: 1\n200:\n  c: 1\n  d: 2\n  c: 3\n\"200\": 4\na: 5\n").unwrap();

        let places: Vec<_> = yaml.findings.iter().map(|finding| finding.location.as_str()).collect();
        assert_eq!(places, ["line 5, column 3", "line 6, column 1", "line 7, column 1"]);
        assert_eq!(yaml.value, json!({"a": 5, "200": 4}));
    }

    #[test]
    fn a_bracket_may_close_at_its_parents_column() {
        let yaml = parse("a:\n  b: {\n    \"80/tcp\": {},\n  }\n  c: [\n    1\n  ]\n").unwrap();

        assert_eq!(yaml.value, json!({"a": {"b": {"80/tcp": {}}, "c": [1]}}));
    }

    #[test]
    fn every_breach_is_named_with_its_place() {
        let deep = format!("a: {}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let alias_deep = format!("a: &a {}1{}\nb: [[*a]]", "[".repeat(MAX_DEPTH - 2), "]".repeat(MAX_DEPTH - 2));
        for (text, line, column, message) in [
            ("? [a, b]\n: 1\n", 1, 3, "cannot be a key"),
            ("? {a: b}\n: 1\n", 1, 3, "cannot be a key"),
            ("a: &x [1, *x]\n", 1, 11, "inside the node"),
            ("a: *nowhere\n", 1, 4, "unknown anchor"),
            ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
            ("a: \"\\0\"\n", 1, 4, "U+0000"),
            ("<<: 1\n", 1, 5, "merge key"),
            ("a: {<<: [1]}\n", 1, 9, "merge key"),
            ("a:\n\t- b\n", 2, 2, "tab"),
            ("a: [1, 2\nb: 3\n", 2, 2, ""),
            ("a: 'open\n", 1, 4, ""),
            (deep.as_str(), 1, MAX_DEPTH + 3, "nested deeper"),
            (alias_deep.as_str(), 2, 6, "nested deeper"),
            ("# nothing\n", 1, 1, "empty"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(message), "{text:.40}: {error}");
            assert_eq!((error.line, error.column), (line, column), "{text:.40}: {error}");
        }
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
        }
        let heavy = format!("a: &a {}\nb: [{}*a]\n", "x".repeat(1 << 20), "*a, ".repeat(1_000));

        for text in [laughs, heavy] {
            assert!(parse(&text).unwrap_err().message.contains("aliases expand"));
        }
    }
}
