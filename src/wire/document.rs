//! `Document`: bytes read as JSON or YAML, with the place of the first fault when they are neither.

use super::{Finding, text, yaml};
use crate::base;
use serde_json::Value;

/// How a document is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Json,
    Yaml,
}

/// A document as text and as the value it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Decoded, without a byte order mark.
    pub text: String,
    pub value: Value,
    pub syntax: Syntax,
    /// What is odd in how it is written: keys that stand twice in YAML (in JSON they are refused).
    pub findings: Vec<Finding>,
}

/// Why bytes are no document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({location})")]
pub struct DocumentError {
    pub message: String,
    /// `line 3, column 7`, or `byte 12` of what is not text at all.
    pub location: String,
}

impl Document {
    /// Reads `bytes` as JSON when the first character is `{` or `[`, else as YAML.
    ///
    /// Only one of the two is tried: a missing comma in JSON is to be told as such, not as a fault of YAML.
    ///
    /// # Errors
    /// [`DocumentError`] when the bytes are not text ([`text::decode`]), break the syntax, or pass the bounds of
    /// [`base::parse_strict`] or [`yaml::parse`].
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let text = text::decode(bytes)
            .map_err(|error| DocumentError { message: error.message, location: format!("byte {}", error.offset) })?;
        let (value, syntax, findings) = match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => (json(&text)?, Syntax::Json, Vec::new()),
            Some(_) => {
                let yaml = yaml(&text)?;
                (yaml.value, Syntax::Yaml, yaml.findings)
            }
            None => {
                return Err(DocumentError { message: "the document is empty".to_owned(), location: at(1, 1) });
            }
        };
        Ok(Self { text: text.into_owned(), value, syntax, findings })
    }
}

fn json(text: &str) -> Result<Value, DocumentError> {
    base::parse_strict(text.as_bytes()).map_err(|error| DocumentError {
        message: format!("not valid JSON: {}", error.message),
        location: at(error.line, error.column),
    })
}

fn yaml(text: &str) -> Result<yaml::Yaml, DocumentError> {
    yaml::parse(text).map_err(|error| DocumentError {
        message: format!("not valid YAML: {}", error.message),
        location: at(error.line, error.column),
    })
}

fn at(line: usize, column: usize) -> String {
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_and_yaml_are_told_apart_by_the_first_character() {
        let json = Document::read(b"\xEF\xBB\xBF \r\n{\"a\": 1}").unwrap();
        let yaml = Document::read(b"# a comment\r\na: 1\r\n").unwrap();

        assert_eq!((json.value, json.syntax), (json!({"a": 1}), Syntax::Json));
        assert_eq!((yaml.value, yaml.syntax), (json!({"a": 1}), Syntax::Yaml));
    }

    #[test]
    fn every_refusal_has_a_place() {
        for (bytes, location) in [
            (&b"{\"a\": 1,\n}"[..], "line 2, column 1"),
            (b"a:\n\t- b\n", "line 2, column 2"),
            (b"{\"a\": 1,\n\"a\": 2}", "line 2, column 3"),
            (b"a\xFF", "byte 1"),
            (b" \n", "line 1, column 1"),
            (b"# nothing else\n", "line 1, column 1"),
        ] {
            assert_eq!(Document::read(bytes).map_err(|error| error.location), Err(location.to_owned()), "{bytes:?}");
        }
    }
}
