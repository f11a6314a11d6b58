//! Reads JSON.

use serde::Deserialize;

/// A value out of JSON.
///
/// JSON is UTF-8 (RFC 8259, 8.1). It is looked at once for that, and not name by name and text by text; where it is not,
/// what is read of it may be all the same.
///
/// # Errors
/// When it is no JSON, or not of this form.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Named<'a> {
        name: &'a str,
    }

    #[test]
    fn what_is_no_text_matters_where_it_is_read_alone() {
        let named = |name| Some(Named { name });
        for (json, expected) in [
            (&b"{\"name\":\"a\"}"[..], named("a")),
            (b"{\"name\":\"a\",\"other\":\"\xff\"}", named("a")),
            (b"{\"name\":\"\xff\"}", None),
            (b"{\"name\":7}", None),
        ] {
            assert_eq!(read::<Named<'_>>(json).ok(), expected, "{json:?}");
        }
    }
}
