//! Light or dark: the reader's choice stands in a cookie, so that the first paint is right.

use super::same_origin;
use crate::base::Problem;
use crate::door::{Body, Failure, PublicUrl};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::fmt;

const COOKIE: &str = "theme";

/// What the reader chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the reader's system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == COOKIE).then(|| Self::named(value))?)
            .unwrap_or_default()
    }

    fn named(word: &str) -> Option<Self> {
        match word {
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            "system" => Some(Self::System),
            _ => None,
        }
    }

    /// The value of `data-theme`; none follows the system.
    #[must_use]
    pub fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }

    /// What the button of the header offers. A script offers the other one of what the system shows, where nothing is
    /// chosen.
    #[must_use]
    pub fn other(self) -> Self {
        if self == Self::Dark { Self::Light } else { Self::Dark }
    }

    /// The icon of that button.
    #[must_use]
    pub fn icon(self) -> &'static str {
        if self == Self::Dark { "sun" } else { "moon" }
    }
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.attribute().unwrap_or("system"))
    }
}

/// Keeps the choice for a year and leads back to where it was made.
pub(super) async fn choose(
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let (mut theme, mut back) = (None, "/".to_owned());
    for (name, value) in url::form_urlencoded::parse(&body) {
        match name.as_ref() {
            "theme" => theme = Theme::named(&value),
            "back" if is_local(&value) => back = value.into_owned(),
            _ => {}
        }
    }
    let theme = theme.ok_or_else(|| Problem::invalid_field("body.theme", "must be light, dark or system"))?;
    let secure = if public_url.as_str().starts_with("https:") { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={theme}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly{secure}");
    let cookie = HeaderValue::from_str(&cookie).expect("all parts of the cookie are plain words");
    let back = HeaderValue::from_str(&back).map_err(|_| Problem::invalid_field("body.back", "is no path"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, back), (header::SET_COOKIE, cookie)]).into_response())
}

/// Whether this leads to a page of ours: browsers read `//host` and `/\host` as another site.
pub(super) fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path[1..].starts_with(['/', '\\'])
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && path.len() <= 8_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_read_from_among_other_cookies() {
        for (cookie, theme) in [
            ("theme=dark", Theme::Dark),
            ("a=b; theme=light; c=d", Theme::Light),
            ("theme=pink", Theme::System),
            ("nottheme=dark", Theme::System),
            ("", Theme::System),
        ] {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookie))]);
            assert_eq!(Theme::of_headers(&headers), theme, "{cookie}");
        }
    }

    #[test]
    fn the_way_back_never_leads_elsewhere() {
        for path in ["/", "/browse?q=a%20b&kind=mcp", "/assets/default/x"] {
            assert!(is_local(path), "{path}");
        }
        for path in ["", "https://evil.example/", "//evil.example", "/\\evil.example", "/a b", "/a\r\nX: y", "browse"] {
            assert!(!is_local(path), "{path}");
        }
    }
}
