//! Problems in the registry's shape: RFC 9457 as the official server answers, with the plain `error` its document has.

use super::answer::Answer;
use crate::base::Problem;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// The body of a problem: title is the status in words, `error` says it all in one line.
fn body(problem: &Problem) -> Vec<u8> {
    let mut body = problem.body();
    body.insert("title".to_owned(), problem.status.canonical_reason().unwrap_or(problem.title).into());
    let cause = problem.errors.first().map(|error| error.message.as_str());
    let error = match cause {
        Some(cause) if !problem.detail.contains(cause) => format!("{}: {cause}", problem.detail),
        _ => problem.detail.clone(),
    };
    body.insert("error".to_owned(), error.into());
    serde_json::to_vec(&body).expect("a problem is plain data")
}

/// The answer that tells the problem; for one that may be kept, as 404s are.
pub(super) fn answer(problem: &Problem) -> Answer {
    Answer::problem(problem.status, body(problem))
}

/// The response that tells the problem.
pub(super) fn respond(problem: &Problem, method: &Method, headers: &HeaderMap) -> Response {
    let mut response = answer(problem).respond(method, headers);
    let answer = response.headers_mut();
    if problem.status == StatusCode::UNAUTHORIZED {
        answer.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(problem.challenge()));
    }
    if let Some(wait) = problem.retry_after {
        answer.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if let Some(allowed) = problem.extensions.get("allow").and_then(serde_json::Value::as_str)
        && let Ok(allowed) = HeaderValue::from_str(allowed)
    {
        answer.insert(header::ALLOW, allowed);
    }
    response
}

/// 405: `resource` takes other methods than this one.
pub(super) fn method_not_allowed(method: &Method, allowed: &'static str) -> Problem {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let detail = format!("{method} is not possible here; {allowed} would be.");
    Problem::new(status, "method-not-allowed", "Method not allowed", detail).with("allow", allowed)
}
