//! Bodies of requests: bounded, and JSON.

use super::query::failed;
use crate::{
    base::{FieldError, Problem, parse_strict},
    door::problem_of_body,
};
use axum::body::Body;
use http::{StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

/// Most bytes of a body, as in the official registry.
const LIMIT: usize = 1 << 20;

/// The bytes of the body.
///
/// # Errors
/// 415 for a type that is no JSON, 413 for more than [`LIMIT`] bytes, 400 when it breaks off.
pub(super) async fn bytes(parts: &Parts, body: Body) -> Result<Vec<u8>, Problem> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    if content_type.is_some_and(|sort| !sort.split(';').next().unwrap_or_default().trim().ends_with("json")) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let detail = "The body must be JSON; send it with Content-Type: application/json.";
        return Err(Problem::new(status, "unsupported-media-type", "Unsupported media type", detail));
    }
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > LIMIT) {
        return Err(too_large());
    }
    match Limited::new(body, LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(problem_of_body(&*error)),
    }
}

/// The body as a JSON object.
///
/// # Errors
/// As [`bytes()`]; 400 for what is no JSON, 422 for JSON that is no object.
pub(super) async fn object(parts: &Parts, body: Body) -> Result<Map<String, Value>, Problem> {
    let bytes = bytes(parts, body).await?;
    let value = parse_strict(&bytes).map_err(|error| {
        let place = FieldError::new(format!("line {}, column {}", error.line, error.column), error.message);
        Problem::bad_request("The body is not JSON that is accepted here.").with_errors(vec![place])
    })?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(failed(FieldError::new("body", "expected object"))),
    }
}

fn too_large() -> Problem {
    let detail = format!("The body has more than {LIMIT} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Payload too large", detail)
}
