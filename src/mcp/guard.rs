//! Who may call from where: a guard against pages that reach a server on their visitor's machine (DNS rebinding), and
//! against pages that call with their visitor's rights.

use crate::base::Problem;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use url::Url;

/// Hosts and origins that may call.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Vec<(String, Option<u16>)>,
    origins: Vec<String>,
}

/// What the guard says of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// With the origin it came from, when a page made it.
    Admitted(Option<HeaderValue>),
    Refused(Box<Problem>),
}

impl Guard {
    /// Admits the public address, loopback names, and what is configured; an entry without a port stands for any port.
    pub(super) fn new(public_url: &str, hosts: &[String], origins: &[String]) -> Self {
        let public = Url::parse(public_url).ok();
        let public_host = public.as_ref().and_then(|url| Some((plain(url.host_str()?), None)));
        let loopback = ["localhost", "127.0.0.1", "::1"].map(|name| (name.to_owned(), None));
        let configured = hosts.iter().filter_map(|host| authority(host));
        let own = public.map(|url| url.origin().ascii_serialization());
        Self {
            hosts: public_host.into_iter().chain(loopback).chain(configured).collect(),
            origins: own.into_iter().chain(origins.iter().cloned()).collect(),
        }
    }

    /// Whether a request to `uri` with these headers may pass.
    pub(super) fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let named = match headers.get(header::HOST) {
            Some(host) => host.to_str().ok().and_then(authority),
            // HTTP/2 names the host in the target.
            None => uri.authority().and_then(|target| authority(target.as_str())),
        };
        let is_known = |(host, port): &(String, Option<u16>)| {
            self.hosts.iter().any(|(known, only)| known == host && (only.is_none() || only == port))
        };
        let Some(host) = named.filter(is_known) else {
            return refused(
                "host-not-allowed",
                "Host not allowed",
                "This server does not answer under the host that the request names.",
                "The operator adds the host to the setting `allowed_hosts`, or sets `public_url`.",
            );
        };

        let Some(origin) = headers.get(header::ORIGIN) else { return Verdict::Admitted(None) };
        let text = origin.to_str().unwrap_or_default();
        if self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)) || is_same_host(text, &host) {
            return Verdict::Admitted(Some(origin.clone()));
        }
        refused(
            "origin-not-allowed",
            "Origin not allowed",
            "Pages of this origin may not call the MCP endpoint.",
            "The operator adds the origin to the setting `allowed_origins`.",
        )
    }
}

fn refused(kind: &'static str, title: &'static str, detail: &str, help: &str) -> Verdict {
    Verdict::Refused(Box::new(Problem::new(StatusCode::FORBIDDEN, kind, title, detail).with_help(help)))
}

fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let parsed: Authority = text.trim().parse().ok()?;
    // `user@host` would let a reader take either part for the host.
    if parsed.as_str().contains('@') {
        return None;
    }
    Some((plain(parsed.host()), parsed.port_u16()))
}

/// Without the brackets of an IPv6 address, in lower case.
fn plain(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// A page of the very host that was called, which has passed already.
fn is_same_host(origin: &str, host: &(String, Option<u16>)) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let is_web = matches!(url.scheme(), "http" | "https");
    let default = url.port_or_known_default();
    is_web && url.host_str().map(plain).as_ref() == Some(&host.0) && default == host.1.or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(host: Option<&str>, origin: Option<&str>) -> Result<Option<String>, &'static str> {
        let guard = Guard::new(
            "https://wharf.example:8443/base",
            &["inner.example".to_owned(), "only.example:9000".to_owned()],
            &["https://tool.example.com".to_owned()],
        );
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        match guard.judge(&Uri::from_static("/mcp"), &headers) {
            Verdict::Admitted(origin) => Ok(origin.map(|origin| origin.to_str().unwrap().to_owned())),
            Verdict::Refused(problem) => Err(problem.kind),
        }
    }

    #[test]
    fn only_known_hosts_are_answered() {
        for host in [
            "localhost:8080",
            "127.0.0.1",
            "[::1]:8080",
            "WHARF.example:8443",
            "wharf.example",
            "inner.example:1",
            "only.example:9000",
        ] {
            assert_eq!(judged(Some(host), None), Ok(None), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "only.example",
            "localhost@evil.example",
            "evil@localhost",
            "",
            "a b",
        ] {
            assert_eq!(judged(Some(host), None), Err("host-not-allowed"), "{host}");
        }
        assert_eq!(judged(None, None), Err("host-not-allowed"));
    }

    #[test]
    fn only_known_origins_may_call() {
        let host = Some("localhost:8080");
        for origin in ["https://wharf.example:8443", "https://tool.example.com", "http://localhost:8080"] {
            assert_eq!(judged(host, Some(origin)), Ok(Some(origin.to_owned())));
        }
        for origin in [
            "http://evil.example",
            "null",
            "http://localhost:3000",
            "https://tool.example.com.evil.example",
            "",
            "file://localhost:8080",
        ] {
            assert_eq!(judged(host, Some(origin)), Err("origin-not-allowed"), "{origin}");
        }
    }
}
