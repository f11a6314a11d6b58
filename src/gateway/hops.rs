//! How many gateways of ours a request has passed: told in a header, so that one that goes in a circle is stopped.

use http::{HeaderMap, HeaderName};

/// Counts them.
pub(super) const HOPS: HeaderName = HeaderName::from_static("x-wharfinger-hops");

/// How many there were before this one.
pub(super) fn hops(headers: &HeaderMap) -> u32 {
    headers.get(HOPS).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}
