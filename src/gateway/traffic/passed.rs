//! What of a backend's head goes on to the client.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a vendor's head says goes on, but for what belongs to the connection and what it says of its own limits, which
/// are not the caller's.
pub(super) fn pass_headers(vendor: &HeaderMap, is_model: bool, out: &mut HeaderMap) {
    const OF_MODELS: &[&str] = &["content-type", "openai-processing-ms", "openai-version", "openai-model"];
    const VENDOR_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
    if is_model {
        for name in OF_MODELS {
            if let Some(value) = vendor.get(*name) {
                out.insert(HeaderName::from_static(name), value.clone());
            }
        }
    } else {
        const KEPT: &[&str] = &[
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "transfer-encoding",
            "content-length",
            "trailer",
            "upgrade",
            "alt-svc",
            "server",
            "x-request-id",
            "date",
        ];
        let named = of_connection(vendor);
        for (name, value) in vendor {
            if !KEPT.contains(&name.as_str()) && !named.contains(name) {
                out.append(name.clone(), value.clone());
            }
        }
    }
    let id: Option<&HeaderValue> = vendor.get("x-request-id").or_else(|| vendor.get("request-id"));
    if let Some(id) = id {
        out.insert(VENDOR_ID, id.clone());
    }
}

/// What belongs to this connection alone because the head says so (RFC 9110, 7.6.1).
pub(super) fn of_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}
