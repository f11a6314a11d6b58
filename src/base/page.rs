//! Pages of a list, and the opaque cursors that lead to the next one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// How many there are in all that the actor may see; absent where counting would cost too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Leads to the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next: Option<Cursor>,
}

/// A place in a list, opaque to clients: URL-safe base64 of JSON, so it needs no escaping in a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

/// Why a cursor cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this cursor was not made by this list; start again without one")]
pub struct BadCursor;

impl Cursor {
    /// A cursor that carries `place`.
    #[must_use]
    pub fn of(place: &impl Serialize) -> Self {
        Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("a place is plain data")))
    }

    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The place the cursor carries.
    ///
    /// # Errors
    /// [`BadCursor`] when it carries something else; it comes from outside, so anything may be in it.
    pub fn place<T: DeserializeOwned>(&self) -> Result<T, BadCursor> {
        if self.0.len() > 2_000 {
            return Err(BadCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| BadCursor)?;
        if bytes.contains(&0) || String::from_utf8_lossy(&bytes).contains("\\u0000") {
            return Err(BadCursor);
        }
        serde_json::from_slice(&bytes).map_err(|_| BadCursor)
    }
}

/// How many items of a list to give: `1..=MAX`, else `DEFAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub usize);

impl Limit {
    pub const DEFAULT: usize = 30;
    pub const MAX: usize = 100;
}

impl Default for Limit {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_a_url_unescaped() {
        let cursor = Cursor::of(&("a+b/c", 7));

        assert!(cursor.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        assert_eq!(cursor.place::<(String, i64)>(), Ok(("a+b/c".to_owned(), 7)));
    }

    #[test]
    fn a_foreign_cursor_is_refused_and_not_believed() {
        for text in ["", "!!", "bm90IGpzb24", "eyJhIjoxfQ", &"A".repeat(3_000)] {
            assert!(Cursor::from_text(text).place::<(String, i64)>().is_err(), "{text:.10}");
        }
    }
}
