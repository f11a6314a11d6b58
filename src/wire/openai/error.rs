//! Problems as OpenAI's clients expect them.

use crate::base::Problem;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// The error object: `message`, `type`, `param`, `code`; beside them `request_id`, `help` and what the problem carries.
#[must_use]
pub fn error(problem: &Problem, request_id: &str) -> Value {
    let kind = match problem.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    let param = problem.errors.first().map(|error| error.location.trim_start_matches("body.").to_owned());
    let mut error = Map::new();
    error.insert("message".into(), message(problem).into());
    error.insert("type".into(), kind.into());
    error.insert("param".into(), param.into());
    error.insert("code".into(), code(problem).into());
    error.insert("request_id".into(), request_id.into());
    error.extend(problem.extensions.clone());
    json!({ "error": error })
}

/// What happened and what helps, in one text: clients show nothing else.
pub(in crate::wire) fn message(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{} {help}", problem.detail),
        None => problem.detail.clone(),
    }
}

/// The code that clients branch on: OpenAI's where it has one.
fn code(problem: &Problem) -> String {
    match problem.kind {
        "key-unknown" | "key-not-live" | "unauthenticated" => "invalid_api_key".to_owned(),
        "model-unknown" => "model_not_found".to_owned(),
        kind => kind.replace('-', "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_openai_would_tell_it() {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "token-limit", "Over", "No tokens left.")
            .with_help("Wait 3 s.")
            .with("used", 5);

        let body = error(&problem, "r-1");

        assert_eq!(
            body,
            json!({"error": {"message": "No tokens left. Wait 3 s.", "type": "rate_limit_error", "param": null,
                "code": "token_limit", "request_id": "r-1", "used": 5}})
        );
    }
}
