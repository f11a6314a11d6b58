//! What lists and reports are narrowed by: texts that are compared and never stored, and times.

use crate::base::Problem;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// # Errors
/// 422 at `place` for a text of more than `most` characters, and for one that no name can be.
pub fn bounded(place: &str, text: Option<&str>, most: usize) -> Result<(), Problem> {
    match text {
        Some(text) if text.contains('\0') => Err(Problem::invalid_field(place, "must not hold the character U+0000")),
        Some(text) if text.chars().count() > most => {
            Err(Problem::invalid_field(place, format!("must have at most {most} characters")))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// 422 at `place` for a text that is no time.
pub fn moment(place: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let read = OffsetDateTime::parse(text, &Rfc3339);
    read.map(Some).map_err(|_| Problem::invalid_field(place, "must be a time like 2026-01-31T00:00:00Z"))
}
