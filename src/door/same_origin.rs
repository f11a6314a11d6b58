//! Forms that change something are taken from our own pages only.

use super::handles::PublicUrl;
use crate::base::Problem;
use http::{HeaderMap, header};

/// Passes a request that a page of ours sent, or no browser at all.
///
/// Browsers say where a form stood: in `Sec-Fetch-Site`, which a page cannot set, and in `Origin`. A client that says
/// neither is no browser and carries no cookie that somebody else could make use of.
///
/// # Errors
/// 403 for a form that stood on another site.
pub fn require(headers: &HeaderMap, public_url: &PublicUrl) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let allowed = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => is_ours(origin, text(header::HOST.as_str()), public_url),
        (None, None) => true,
    };
    if allowed {
        return Ok(());
    }
    Err(Problem::forbidden("This form was sent from another site.")
        .with_kind("other-origin")
        .with_help("Open the form on this site and send it from there."))
}

fn is_ours(origin: &str, host: Option<&str>, public_url: &PublicUrl) -> bool {
    let Ok(origin) = url::Url::parse(origin) else { return false };
    let origin = origin.origin();
    let ours = [Some(public_url.as_str().to_owned()), host.map(|host| format!("http://{host}"))];
    ours.into_iter().flatten().filter_map(|ours| url::Url::parse(&ours).ok()).any(|ours| ours.origin() == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_refused() {
        let public_url = PublicUrl::new("https://wharf.example");
        let may = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            require(&headers, &public_url).is_ok()
        };

        assert!(may(&[]));
        assert!(may(&[("sec-fetch-site", "same-origin"), ("origin", "https://wharf.example")]));
        assert!(may(&[("origin", "https://wharf.example")]));
        assert!(may(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(!may(&[("sec-fetch-site", "cross-site")]));
        assert!(!may(&[("sec-fetch-site", "same-site")]));
        assert!(!may(&[("origin", "null")]));
        assert!(!may(&[("origin", "https://evil.example"), ("host", "wharf.example")]));
    }
}
