//! Problems once more, where only the outermost layer knows enough: with the request's id, as a page for people, and for
//! errors of libraries that say nothing themselves.

use crate::base::Problem;
use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, Method, header};
use std::sync::Arc;

/// Marks an answer that its door rendered itself, an error in its protocol's own shape; the layers leave it alone.
#[derive(Clone, Copy, Debug)]
pub struct AsItIs;

/// Where a problem happened.
#[derive(Clone, Debug)]
pub struct ProblemContext {
    pub request_id: String,
    pub path: String,
    pub headers: HeaderMap,
}

/// Renders a problem as an HTML page; given by the pages, used wherever a browser asks.
#[derive(Clone)]
pub struct ProblemPage(pub Arc<Render>);

type Render = dyn Fn(&Problem, &ProblemContext) -> String + Send + Sync;

/// Whether the client asks for a page before it asks for JSON, as browsers do.
#[must_use]
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut html, mut json) = (0.0f32, 0.0f32);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml") {
            html = html.max(weight);
        } else if kind.to_ascii_lowercase().ends_with("json") {
            json = json.max(weight);
        }
    }
    html > 0.0 && html >= json
}

/// Renders the answer of a problem for this client. `page` is none where only JSON is spoken.
pub(super) fn render(
    problem: &Problem,
    mut response: Response,
    context: &ProblemContext,
    page: Option<&ProblemPage>,
) -> Response {
    let (kind, body) = match page.filter(|_| prefers_html(&context.headers)) {
        Some(page) => ("text/html; charset=utf-8", (page.0)(problem, context).into_bytes()),
        None => {
            let mut body = problem.body();
            body.insert("requestId".into(), context.request_id.clone().into());
            ("application/problem+json", serde_json::to_vec(&body).expect("a problem is plain data"))
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // What was true of the body that is put away; it may have been compressed already.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().remove(header::CONTENT_ENCODING);
    *response.body_mut() = Body::from(body);
    response
}

/// The problem for an error status that a library answered without saying more.
pub(super) fn of_status(status: http::StatusCode, context: &ProblemContext, method: &Method) -> Problem {
    use http::StatusCode as S;
    match status {
        S::NOT_FOUND => Problem::not_found(format!("There is nothing at {}.", context.path))
            .with_help("The API's paths stand in /api/v1/openapi.json; pages start at /."),
        S::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method-not-allowed",
            "Method not allowed",
            format!("{} is not asked with {method}.", context.path),
        )
        .with_help("The Allow header names the methods that work here."),
        S::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            status,
            "unsupported-media-type",
            "Unsupported media type",
            "This kind of body is not taken here.",
        ),
        S::PAYLOAD_TOO_LARGE => Problem::new(status, "body-too-long", "Body too long", "The body is too long."),
        status if status.is_server_error() => Problem::internal(),
        status => Problem {
            status,
            ..Problem::bad_request(format!(
                "The request was refused: {}.",
                status.canonical_reason().unwrap_or("unknown")
            ))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &str) -> bool {
        prefers_html(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(value).unwrap())]))
    }

    #[test]
    fn browsers_get_pages_and_programs_get_json() {
        assert!(accepts("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!accepts("*/*"));
        assert!(!accepts("application/json"));
        assert!(!accepts("application/json, text/html;q=0.5"));
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
