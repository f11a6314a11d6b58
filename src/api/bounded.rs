//! How long a text of a query or a body may be where it only narrows something: it is compared, and never stored.

use crate::base::Problem;

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
