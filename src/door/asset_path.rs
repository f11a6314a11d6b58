//! Splits a path that names an asset, whose own name may hold a slash.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path below a workspace names: an asset, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetPath {
    pub name: String,
    /// The decoded segments after the name.
    pub rest: Vec<String>,
}

impl AssetPath {
    /// Reads `raw`, the still encoded path after the workspace.
    ///
    /// A slash of the name is `%2F`. A bare one is tolerated unless the segment after it is one of `parts`, the words
    /// with which the parts of an asset begin: `a/versions` is the versions of `a`. A slash at the end is ignored.
    /// `None` for what cannot name anything: empty or broken segments, control characters.
    #[must_use]
    pub fn parse(raw: &str, parts: &[&str]) -> Option<Self> {
        let raw = raw.strip_prefix('/').unwrap_or(raw);
        let raw = raw.strip_suffix('/').unwrap_or(raw);
        let mut segments = raw.split('/').map(decoded).collect::<Option<Vec<_>>>()?.into_iter().peekable();

        let mut name = segments.next()?;
        if !name.contains('/')
            && let Some(slug) = segments.next_if(|next| !parts.contains(&next.as_str()))
        {
            name = format!("{name}/{slug}");
        }
        Some(Self { name, rest: segments.collect() })
    }
}

/// The text as one segment of a path.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    // Names, versions and tools hold no control characters, and Postgres takes no NUL.
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: &[&str] = &["versions", "tools"];

    fn parsed(raw: &str) -> Option<(String, Vec<String>)> {
        AssetPath::parse(raw, PARTS).map(|path| (path.name, path.rest))
    }

    #[test]
    fn a_slash_in_the_name_is_read_encoded_and_bare() {
        for (raw, name, rest) in [
            ("payments", "payments", vec![]),
            ("/payments/", "payments", vec![]),
            ("com.example%2Fpay", "com.example/pay", vec![]),
            ("com.example%2fpay/versions/1.0.0", "com.example/pay", vec!["versions", "1.0.0"]),
            ("com.example/pay", "com.example/pay", vec![]),
            ("com.example/pay/tools/a%2Fb", "com.example/pay", vec!["tools", "a/b"]),
            ("payments/tools", "payments", vec!["tools"]),
            ("com.example%2Ftools/tools", "com.example/tools", vec!["tools"]),
            ("payments/versions/1.0%2Bb/tools/caf%C3%A9%20x", "payments", vec!["versions", "1.0+b", "tools", "café x"]),
        ] {
            assert_eq!(parsed(raw), Some((name.into(), rest.into_iter().map(String::from).collect())), "{raw}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        for raw in ["", "/", "a//b", "a/%00", "a/tools/%0a", "%ff", "a/tools/%C3%28", "//"] {
            assert_eq!(parsed(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_segment_is_read_back_as_it_was() {
        for text in ["a/b", "GET /pets/{id}", "100% ?#&+", "naïve", "..."] {
            let path = AssetPath::parse(&format!("x/tools/{}", segment(text)), PARTS);
            assert_eq!(path.expect("one segment").rest[1], text);
        }
    }
}
