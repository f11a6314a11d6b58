//! Answers of the REST door: JSON with the entity tag of what it shows.

use crate::door::{etag, is_fresh};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::IntoParams;

/// Only what you have read is changed.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is read by `door::if_match`; here it is told")]
pub struct IfMatch {
    /// The `ETag` you have read: the change is refused when it is another now.
    #[param(rename = "If-Match", pattern = r#"^("[0-9]{1,18}"|\*)$"#, example = "\"7\"")]
    if_match: Option<String>,
}

/// What you have is not sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is read by `door::is_fresh`; here it is told")]
pub struct IfNoneMatch {
    /// The `ETag` you have: 304 when it is still the one.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// What is at `revision`, or 304 when the asker has it.
pub fn tagged(request: &HeaderMap, revision: i64, body: &impl Serialize) -> Response {
    let tag = etag(revision);
    if is_fresh(request, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    ([(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))], Json(body))
        .into_response()
}

/// What is at `revision` after a write: the condition of the request has been spoken for.
pub fn changed(revision: i64, body: &impl Serialize) -> Response {
    ([(header::ETAG, etag(revision))], Json(body)).into_response()
}

/// What was made, at `location`.
pub fn created(location: &str, revision: i64, body: &impl Serialize) -> Response {
    (StatusCode::CREATED, [(header::LOCATION, location_header(location)), (header::ETAG, etag(revision))], Json(body))
        .into_response()
}

/// What was made and counts no revisions.
pub fn made(location: &str, body: &impl Serialize) -> Response {
    (StatusCode::CREATED, [(header::LOCATION, location_header(location))], Json(body)).into_response()
}

fn location_header(location: &str) -> HeaderValue {
    HeaderValue::from_str(location).expect("an address of ours is ASCII: its parts are percent-encoded")
}
