//! `Problem`: every refusal and failure as RFC 9457 tells it, before a door chooses how to render it.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// What went wrong, why, and what would help (RFC 9457).
///
/// `kind` is the stable, short name of the sort of problem (`name-taken`); doors write it as the URI reference
/// `/problems/{kind}`. Beside the standard members a problem may carry `help`, `errors` and further `extensions`.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub kind: &'static str,
    pub status: StatusCode,
    pub title: &'static str,
    /// What happened, in a sentence that names the thing it happened to.
    pub detail: String,
    /// What the reader can do about it.
    pub help: Option<String>,
    /// The places in the input that are wrong, when the input is.
    pub errors: Vec<FieldError>,
    /// How long to wait before trying again; becomes `Retry-After`.
    pub retry_after: Option<Duration>,
    pub extensions: Map<String, Value>,
}

/// One wrong place in an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// `body.tags[0]`, `query.limit`, `path.name`, or `line 3, column 7` of a document.
    pub location: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl FieldError {
    #[must_use]
    pub fn new(location: impl Into<String>, message: impl Into<String>) -> Self {
        Self { location: location.into(), message: message.into(), value: None }
    }

    /// Adds the offending value.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<Value>) -> Self {
        self.value = Some(value.into());
        self
    }
}

impl Problem {
    /// A problem of this sort; the constructors below cover the usual ones.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status,
            title,
            detail: detail.into(),
            help: None,
            errors: Vec::new(),
            retry_after: None,
            extensions: Map::new(),
        }
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Bad request", detail)
    }

    /// 401: no credential, or one that does not hold.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Credential needed", detail)
            .with_help("Send `Authorization: Bearer whf_...` with a valid key.")
    }

    /// 403: known, but not allowed.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: nothing there that this actor may see.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 409: at odds with what is stored.
    #[must_use]
    pub fn conflict(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, "Conflict", detail)
    }

    /// 422: well formed, but a value is wrong.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid input", detail)
    }

    /// 422 for one named place in the input.
    #[must_use]
    pub fn invalid_field(location: impl Into<String>, message: impl Into<String>) -> Self {
        let error = FieldError::new(location, message);
        Self::invalid(format!("{}: {}", error.location, error.message)).with_errors(vec![error])
    }

    /// 503: a part that is needed does not answer now.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", detail)
            .with_help("Try again in a few seconds; /readyz says which part is missing.");
        problem.retry_after = Some(Duration::from_secs(2));
        problem
    }

    /// 500: our fault. The detail stays general; the log line has the cause under the request id.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", "Something failed on our side.")
            .with_help("Try again; if it stays, give the request id to the operator.")
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    #[must_use]
    pub fn with_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds a further member to the problem's body.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(member.to_owned(), value.into());
        self
    }

    /// What a 401 says in `WWW-Authenticate`: a credential that does not hold is told apart from none (RFC 6750, 3.1).
    #[must_use]
    pub fn challenge(&self) -> &'static str {
        match self.kind {
            "key-unknown" | "key-not-live" | "token-not-believed" | "subject-unknown" => {
                "Bearer realm=\"wharfinger\", error=\"invalid_token\""
            }
            _ => "Bearer realm=\"wharfinger\"",
        }
    }

    /// The JSON body: `type`, `title`, `status`, `detail`, then `help`, `errors` and the extensions where present.
    #[must_use]
    pub fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("type".into(), format!("/problems/{}", self.kind).into());
        body.insert("title".into(), self.title.into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        if let Some(help) = &self.help {
            body.insert("help".into(), help.clone().into());
        }
        if !self.errors.is_empty() {
            body.insert("errors".into(), serde_json::to_value(&self.errors).expect("strings and values serialise"));
        }
        body.extend(self.extensions.clone());
        body
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)?;
        match &self.help {
            Some(help) => write!(f, " {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// A database error that no concept gave a meaning to: the server is away (503), or we are at fault (500).
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let away = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => true,
            // SQLSTATE classes: 08 connection, 25006 read-only, 40 rollback, 42501 a table that takes no writes of ours (the
            // audit record without a right to add to it), 53 resources, 55P03 lock wait, 57 operator.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
                    || ["25006", "42501", "55P03"].contains(&code.as_ref())
            }),
            _ => false,
        };
        if away {
            tracing::warn!(error = %error, "The database did not answer");
            Self::unavailable("The database does not answer or takes no writes now.").with_kind("database-unavailable")
        } else {
            tracing::error!(error = %error, "A database statement failed");
            Self::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_standard_members_first() {
        let body = Problem::invalid_field("query.limit", "must be between 1 and 100").body();

        let names: Vec<_> = body.keys().map(String::as_str).collect();
        assert_eq!(names, ["type", "title", "status", "detail", "errors"]);
        assert_eq!(body["type"], "/problems/invalid");
        assert_eq!(body["errors"][0]["location"], "query.limit");
    }

    #[test]
    fn a_closed_pool_is_an_outage_and_not_our_fault() {
        assert_eq!(Problem::from(sqlx::Error::PoolClosed).status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(Problem::from(sqlx::Error::RowNotFound).status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
