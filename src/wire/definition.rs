//! One way in for every document: its bytes -> its format and what it says.

use super::detect::{detect, detect_text, means_to_be_structured};
use super::tidy::tidy;
use super::{Document, DocumentError, Format, Outline, Syntax, agent_card, asyncapi, decode, openapi, server_json};
use crate::base::FieldError;

/// A document that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadDefinition {
    pub format: Format,
    pub media_type: &'static str,
    pub outline: Outline,
}

/// A document that was not: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub message: String,
    pub errors: Vec<FieldError>,
}

impl Refusal {
    /// A refusal for one place: a JSON pointer, or a line and column; empty for the whole document.
    #[must_use]
    pub fn at(location: impl Into<String>, reason: impl Into<String>) -> Self {
        let (location, reason) = (location.into(), reason.into());
        let message = if location.is_empty() { reason.clone() } else { format!("{location}: {reason}") };
        Self { message, errors: vec![FieldError::new(location, reason)] }
    }
}

impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        Self::at(error.location, error.message)
    }
}

/// What the document in `content` says; its format is found out where `format` is not given.
///
/// What its writer calls [`Format::Other`] is not looked into, so it may be any bytes.
///
/// # Errors
/// [`Refusal`] with the line and column, or the JSON pointer, and the reason.
pub fn read_definition(content: &[u8], format: Option<Format>) -> Result<ReadDefinition, Refusal> {
    let Some(format) = format else { return read_unknown(content) };
    match format {
        Format::OpenApi | Format::AsyncApi | Format::ServerJson | Format::AgentCard => {
            read_document(Document::read(content)?, format)
        }
        Format::GraphQl | Format::Grpc | Format::Wsdl | Format::Markdown => {
            let text = decode(content).map_err(|error| Refusal::at(format!("byte {}", error.offset), error.message))?;
            Ok(read_text(&text, format))
        }
        Format::Other => {
            Ok(ReadDefinition { format, media_type: "application/octet-stream", outline: Outline::default() })
        }
    }
}

fn read_unknown(content: &[u8]) -> Result<ReadDefinition, Refusal> {
    let fault = match Document::read(content) {
        Ok(document) => match detect(&document) {
            format @ (Format::GraphQl | Format::Grpc | Format::Wsdl | Format::Markdown) => {
                return Ok(read_text(&document.text, format));
            }
            format => return read_document(document, format),
        },
        Err(fault) => fault,
    };
    let Ok(text) = decode(content) else { return Err(fault.into()) };
    if means_to_be_structured(&text) {
        return Err(fault.into());
    }
    match detect_text(&text) {
        Format::Other => Err(Refusal {
            message: format!("no format was recognised; as YAML it is {fault}. Name the format if it is another one"),
            ..fault.into()
        }),
        format => Ok(read_text(&text, format)),
    }
}

fn read_document(document: Document, format: Format) -> Result<ReadDefinition, Refusal> {
    let mut outline = match format {
        Format::OpenApi => openapi::read(&document.value)?,
        Format::AsyncApi => asyncapi::read(&document.value)?,
        Format::AgentCard => agent_card::read(&document.value)?,
        Format::ServerJson => {
            if !document.value.is_object() {
                return Err(Refusal::at("", "a server.json is an object; this is not"));
            }
            server_json::outline(&document.value)
        }
        _ => Outline::default(),
    };
    tidy(&mut outline);
    outline.findings.splice(0..0, document.findings);
    let media_type = match document.syntax {
        Syntax::Json => "application/json",
        Syntax::Yaml => "application/yaml",
    };
    Ok(ReadDefinition { format, media_type, outline })
}

fn read_text(text: &str, format: Format) -> ReadDefinition {
    let (media_type, format_name) = match format {
        Format::GraphQl => ("application/graphql", "GraphQL schema"),
        Format::Grpc => ("text/plain", "Protocol Buffers"),
        Format::Wsdl => ("application/wsdl+xml", "WSDL"),
        _ => ("text/markdown", "Markdown"),
    };
    let heading = || text.lines().find_map(|line| line.strip_prefix("# "));
    let title = if format == Format::Markdown { heading() } else { None };
    let mut outline = Outline {
        format_name: format_name.to_owned(),
        title: title.map(|title| title.trim().to_owned()).filter(|title| !title.is_empty()),
        ..Outline::default()
    };
    tidy(&mut outline);
    ReadDefinition { format, media_type, outline }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_no_stated_format_is_found_out() {
        for (text, format, media_type) in [
            ("{\"openapi\": \"3.0.0\", \"paths\": {}}", Format::OpenApi, "application/json"),
            ("openapi: 3.0.0\npaths: {}\n", Format::OpenApi, "application/yaml"),
            ("type Query { boats: Int }", Format::GraphQl, "application/graphql"),
            ("# Boats\n\nAll: of: them\n", Format::Markdown, "text/markdown"),
            ("a: 1\n", Format::Other, "application/yaml"),
        ] {
            let read = read_definition(text.as_bytes(), None).expect(text);
            assert_eq!((read.format, read.media_type), (format, media_type), "{text}");
        }
    }

    #[test]
    fn a_refusal_tells_the_place_and_the_reason() {
        for (text, format, message) in [
            ("{\"openapi\": }", None, "line 1, column 13: not valid JSON"),
            ("# x\nopenapi: 3.0.0\npaths: [\n", None, "not valid YAML"),
            ("openapi: 3.0.0\npaths: []\n", None, "/paths: `paths` is a list"),
            ("a: 1\n", Some(Format::OpenApi), "neither `openapi` nor `swagger`"),
            ("a: b: c\n", None, "no format was recognised"),
            ("[1]", Some(Format::ServerJson), "an object"),
            ("\u{0}", Some(Format::Markdown), "U+0000"),
        ] {
            let refusal = read_definition(text.as_bytes(), format).expect_err(text);
            assert!(refusal.message.contains(message), "{text}: {refusal}");
            assert_eq!(refusal.errors.len(), 1);
        }
        assert!(read_definition(b"\xFF\x00\xFF", Some(Format::Other)).is_ok());
    }

    #[test]
    fn what_is_odd_in_the_yaml_is_told_with_what_is_odd_in_the_description() {
        let read = read_definition(b"openapi: 3.0.0\nopenapi: 3.0.1\npaths: {}\n", None).unwrap();

        let rules: Vec<_> = read.outline.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, ["duplicate-key", "missing-title", "missing-version"]);
        assert_eq!(read.outline.format_name, "OpenAPI 3.0.1");
    }
}
