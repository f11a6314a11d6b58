//! What needs no catalog: health, version, and whether a server.json is right.

use super::{answer::Answer, body};
use crate::{
    base::{Problem, parse_strict},
    wire::server_json::{self, Issue, Reading},
};
use axum::body::Body;
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

pub(super) fn health() -> Answer {
    ok(&json!({"status": "ok"}))
}

pub(super) fn ping() -> Answer {
    ok(&json!({"pong": true}))
}

pub(super) fn version() -> Answer {
    ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "git_commit": option_env!("WHARFINGER_COMMIT").unwrap_or("unknown"),
        "build_time": option_env!("WHARFINGER_BUILD_TIME").unwrap_or("unknown"),
    }))
}

/// Everything that breaks a rule in the server.json of the body; 200 whatever is found.
pub(super) async fn validate(parts: &Parts, body: Body) -> Result<Answer, Problem> {
    let bytes = body::bytes(parts, body).await?;
    let issues = match parse_strict(&bytes) {
        Ok(document) => server_json::check(&document, Reading::Published),
        Err(error) => vec![Issue::json(error.to_string())],
    };
    Ok(ok(&json!({"valid": server_json::is_valid(&issues), "issues": issues})))
}

fn ok(value: &Value) -> Answer {
    Answer::json(StatusCode::OK, value.to_string().into_bytes())
}
