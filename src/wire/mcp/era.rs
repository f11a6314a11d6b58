//! Which era a request speaks.

/// The first revision of the modern era.
pub const MODERN: &str = "2026-07-28";
/// What `initialize` is answered with when it asks for a revision that has no `initialize`.
pub const LEGACY_NEWEST: &str = "2025-11-25";
/// Revisions spoken here, oldest first.
pub const VERSIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY_NEWEST, MODERN];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25: a conversation that `initialize` begins.
    Legacy,
    /// Since 2026-07-28: every request stands alone.
    Modern,
}

/// What of a request tells its era.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs<'a> {
    pub is_initialize: bool,
    pub is_discover: bool,
    pub header_version: Option<&'a str>,
    pub body_version: Option<&'a str>,
    pub has_method_header: bool,
}

impl Signs<'_> {
    /// `initialize` is legacy whatever the headers say; then any modern sign makes a request modern, so that it is held
    /// to the modern rules. A session id says nothing: modern clients may still send one.
    pub(super) fn era(&self) -> Era {
        let is_modern = |version: Option<&str>| version.is_some_and(|version| version >= MODERN);
        let any_modern_sign = is_modern(self.header_version)
            || is_modern(self.body_version)
            || self.has_method_header
            || self.is_discover;
        if any_modern_sign && !self.is_initialize { Era::Modern } else { Era::Legacy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_modern_sign_makes_a_request_modern_except_initialize() {
        let none = Signs {
            is_initialize: false,
            is_discover: false,
            header_version: None,
            body_version: None,
            has_method_header: false,
        };
        for (signs, expected) in [
            (none, Era::Legacy),
            (Signs { header_version: Some("2025-11-25"), ..none }, Era::Legacy),
            (Signs { header_version: Some(MODERN), ..none }, Era::Modern),
            (Signs { body_version: Some("2099-01-01"), ..none }, Era::Modern),
            (Signs { has_method_header: true, ..none }, Era::Modern),
            (Signs { is_discover: true, ..none }, Era::Modern),
            (Signs { is_initialize: true, header_version: Some(MODERN), has_method_header: true, ..none }, Era::Legacy),
        ] {
            assert_eq!(signs.era(), expected, "{signs:?}");
        }
    }
}
