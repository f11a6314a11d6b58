//! `Fields`: a small form as it was sent, and `Visitor`: the browser that sent it.

use crate::auth::Browser;
use crate::base::{ClientAddress, Problem};
use crate::door::{Body, Failure};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::{StatusCode, header, request::Parts};
use std::convert::Infallible;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Longest value of a field, in bytes; a provider's token is longer than what people type.
const LONGEST: usize = 16_000;

/// Whether the form's page is the answer, with what is wrong beside its fields.
pub(super) fn is_input(problem: &Problem) -> bool {
    matches!(problem.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT)
}

/// The fields of a form, by name; spaces around values are gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // A form without fields has no body, and some senders then name no kind.
        if kind != "application/x-www-form-urlencoded" && !kind.is_empty() {
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                "This takes the form of its page, as application/x-www-form-urlencoded.",
            );
            return Err(Failure(problem.with_help("Programs use the REST API, described at /api/docs.")));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        Ok(Self::read(&bytes)?)
    }
}

impl Fields {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let mut fields = Vec::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if value.len() > LONGEST || value.contains('\0') || name.contains('\0') {
                return Err(Problem::invalid_field(format!("body.{name}"), "is too long or holds U+0000"));
            }
            fields.push((name.into_owned(), value.trim().to_owned()));
        }
        Ok(Self(fields))
    }

    /// The form that holds these fields.
    pub(super) fn of(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// The names of all fields, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a field; empty where it was not sent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The value of a field; none where it is empty or was not sent.
    pub(super) fn filled(&self, name: &str) -> Option<String> {
        Some(self.get(name).to_owned()).filter(|value| !value.is_empty())
    }

    /// The values of a field that is sent several times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The end of a day that a date field names.
    ///
    /// # Errors
    /// 422 for what is no date.
    pub(super) fn end_of_day(&self, name: &str) -> Result<Option<OffsetDateTime>, Problem> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        let date = Date::parse(&text, format_description!("[year]-[month]-[day]"));
        let wrong = || Problem::invalid_field(format!("body.{name}"), "use a date like 2027-01-31");
        let next = date.map_err(|_| wrong())?.next_day().ok_or_else(wrong)?;
        Ok(Some(next.midnight().assume_utc()))
    }
}

/// The browser of a request, for its owner to recognise among the sessions.
pub(super) struct Visitor(pub Browser);

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self(Browser {
            address: parts.extensions.get::<ClientAddress>().map(|address| address.0),
            user_agent: user_agent.unwrap_or_default().chars().take(300).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_form_is_read_by_name() {
        let fields = Fields::read(b"name=+anna+&scope=a&scope=b&empty=&until=2027-01-31&wrong=soon").unwrap();

        assert_eq!((fields.get("name"), fields.get("none")), ("anna", ""));
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.filled("empty"), None);
        assert_eq!(fields.end_of_day("until").unwrap(), Some(datetime!(2027-02-01 0:00 UTC)));
        assert!(fields.end_of_day("wrong").is_err());
    }
}
