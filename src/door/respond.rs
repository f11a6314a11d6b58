//! Answers: problems as JSON, entity tags, and what a request's conditions ask of them.

use crate::base::Problem;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// A failed handler: any domain error, answered as `application/problem+json`.
#[derive(Debug)]
pub struct Failure(pub Problem);

impl<E: Into<Problem>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        render_problem(&self.0)
    }
}

/// The problem as `application/problem+json` (RFC 9457), with `Retry-After` and `WWW-Authenticate` where they belong.
///
/// The problem itself stays with the response as an extension, for layers that render it otherwise.
#[must_use]
pub fn render_problem(problem: &Problem) -> Response {
    let body = serde_json::to_vec(&problem.body()).expect("a problem is plain data");
    let mut response = (problem.status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if problem.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(problem.challenge()));
    }
    response.extensions_mut().insert(problem.clone());
    response
}

/// The entity tag of a thing at this revision.
#[must_use]
pub fn etag(revision: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits are legal in a header")
}

/// The revision the sender has read, from `If-Match`; none when it does not say or says `*`.
///
/// # Errors
/// 400 for a tag that no answer of ours carried.
pub fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    tag.map(Some).ok_or_else(|| {
        Problem::bad_request("If-Match must be the ETag of an earlier answer, like \"7\".").with_kind("bad-if-match")
    })
}

/// Whether the asker already has what carries `etag` (RFC 9110, 13.1.2: weak comparison, a list, or `*`).
#[must_use]
pub fn is_fresh(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(ours) = etag.to_str() else { return false };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || value.split(',').any(|tag| strong(tag) == strong(ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_tags_weakly_and_in_lists() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"6\", W/\"7\""));

        assert!(is_fresh(&headers, &etag(7)));
        assert!(!is_fresh(&headers, &etag(8)));
    }

    #[test]
    fn if_match_is_a_revision_or_a_clear_refusal() {
        let with =
            |text: &'static str| if_match(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]));

        assert_eq!(with("\"7\"").unwrap(), Some(7));
        assert_eq!(with("*").unwrap(), None);
        assert_eq!(with("seven").unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
