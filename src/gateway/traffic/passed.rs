//! What of a backend's head goes on to the client.

use http::{HeaderMap, HeaderName, header};

/// What a vendor's head says goes on, but for what belongs to the connection and what it says of its own limits, which
/// are not the caller's.
pub(super) fn pass_headers(vendor: &HeaderMap, is_model: bool, out: &mut HeaderMap) {
    static OF_MODELS: [HeaderName; 4] = [
        header::CONTENT_TYPE,
        HeaderName::from_static("openai-processing-ms"),
        HeaderName::from_static("openai-version"),
        HeaderName::from_static("openai-model"),
    ];
    static IDS: [HeaderName; 2] = [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];
    const VENDOR_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
    if is_model {
        for (name, value) in vendor.iter().filter(|(name, _)| OF_MODELS.contains(name)) {
            out.entry(name).or_insert_with(|| value.clone());
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
    if let Some(id) = IDS.iter().find_map(|name| vendor.get(name)) {
        out.insert(VENDOR_ID, id.clone());
    }
}

/// What belongs to this connection alone because the head says so (RFC 9110, 7.6.1).
pub(super) fn of_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}
