//! Cross-origin rules: everybody's pages may read and write here, with a key but without cookies.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// `*` alone would leave out `Authorization` (Fetch standard, CORS-unsafe wildcard).
const HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Accept, If-None-Match, Idempotency-Key, X-Requested-With");
const EXPOSED: HeaderValue = HeaderValue::from_static("Content-Type, Content-Length, ETag, Retry-After, X-Request-Id");

/// Adds the headers every answer has, and those of a preflight.
pub(super) fn allow(answer: &mut HeaderMap, method: &Method, request: &HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if method == Method::OPTIONS {
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| is_list_of_names(asked));
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.cloned().unwrap_or(HEADERS));
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
}

fn is_list_of_names(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.split(',').all(|name| name.trim().parse::<HeaderName>().is_ok()))
}
