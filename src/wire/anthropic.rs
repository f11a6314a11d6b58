//! Anthropic's shapes, where we write them ourselves: errors and the list of models.

use super::openai;
use crate::base::Problem;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// The error object: `type`, `error` with `type` and `message`, `request_id`; beside the message what the problem carries.
#[must_use]
pub fn error(problem: &Problem, request_id: &str) -> Value {
    let mut error = Map::new();
    error.insert("type".into(), kind(problem.status).into());
    error.insert("message".into(), openai::message(problem).into());
    error.insert("code".into(), problem.kind.into());
    error.extend(problem.extensions.clone());
    json!({"type": "error", "error": error, "request_id": request_id})
}

/// Anthropic's name for the sort of an error of this status.
#[must_use]
pub fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        status if status < 500 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The list of models, of names and when each came to be as an RFC 3339 time.
pub fn models(models: impl IntoIterator<Item = (String, String)>) -> Value {
    let data: Vec<Value> = models
        .into_iter()
        .map(|(id, created)| json!({"type": "model", "id": id, "display_name": id, "created_at": created}))
        .collect();
    let first = data.first().map(|model| model["id"].clone());
    let last = data.last().map(|model| model["id"].clone());
    json!({"data": data, "has_more": false, "first_id": first, "last_id": last})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_anthropic_would_tell_it() {
        let problem = Problem::unavailable("Nobody answers.").with_kind("all-backends-out");

        let body = error(&problem, "r-1");

        assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("overloaded_error")));
        assert_eq!((&body["error"]["code"], &body["request_id"]), (&json!("all-backends-out"), &json!("r-1")));
    }
}
