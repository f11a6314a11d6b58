//! Rules about single texts: addresses, versions, templates.

use std::net::{Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Whether `text` is a URI (RFC 3986): a scheme, then legal characters only. Relative references are none.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_legal = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let mut bytes = rest.bytes();
    let mut fragments = 0;
    while let Some(byte) = bytes.next() {
        let legal = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().flatten().filter(|b| b.is_ascii_hexdigit()).count() == 2,
            b'#' => {
                fragments += 1;
                fragments == 1
            }
            // Brackets belong around an IPv6 address; where they stand is for the URL parser to say.
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'[' | b']' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'('
            | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
            other => other.is_ascii_alphanumeric(),
        };
        if !legal {
            return false;
        }
    }
    scheme_legal
}

/// The pattern the schema has for the address of a transport: `http://` or `https://`, then no white space.
pub(super) fn is_http_pattern(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '\u{feff}'))
}

/// Whether `text` is an absolute `https` URL with a host.
pub(super) fn is_https(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host())
}

/// The names in `{braces}`, in order, each once.
pub(super) fn variables(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        let name = &rest[open + 1..open + close];
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
        rest = &rest[open + close + 1..];
    }
    names
}

/// The URL that `template` becomes with something in the place of its variables; `None` if that can be none.
pub(super) fn filled(template: &str) -> Option<Url> {
    // A word fits in a host, a number in a port; no single text fits in both.
    ["placeholder", "1"].into_iter().find_map(|value| {
        let mut filled = template.to_owned();
        for name in variables(template) {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        Url::parse(&filled).ok().filter(Url::has_host)
    })
}

/// Whether `url` leads to the machine of whoever calls it.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
        }
        // The placeholder `1` alone in the host is read as 0.0.0.1, which is no loopback.
        Some(Host::Ipv4(address)) => address.is_loopback() || address == Ipv4Addr::UNSPECIFIED,
        Some(Host::Ipv6(address)) => address.is_loopback() || address == Ipv6Addr::UNSPECIFIED,
        None => false,
    }
}

/// Whether `version` names several versions rather than one: `^1.2`, `>=1`, `1.x`, `1.*`, `1.0 - 2.0`, `1 || 2`.
pub(super) fn is_range(version: &str) -> bool {
    let version = version.trim();
    if version.contains("||") {
        return version.split("||").all(|part| is_range(part) || is_dotted(part.trim(), false));
    }
    if let Some((from, to)) = version.split_once(" - ") {
        return is_dotted(from.trim(), true) && is_dotted(to.trim(), true);
    }
    let comparators = |part: &str| {
        let bare = part.trim_start_matches(['^', '~', '>', '<', '=']);
        bare.len() < part.len() && is_dotted(bare.trim_start(), true)
    };
    if comparators(version) {
        return true;
    }
    let parts: Vec<&str> = version.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 && parts.iter().any(|part| part.starts_with(['^', '~', '>', '<', '='])) {
        return parts.iter().all(|part| comparators(part) || is_dotted(part, true));
    }
    let has_wildcard = version
        .split(['-', '+'])
        .next()
        .is_some_and(|core| core.split('.').any(|part| ["x", "X", "*"].contains(&part)));
    has_wildcard && is_dotted(version, true)
}

/// Up to four numbers with dots between, wildcards among them if allowed, then perhaps a pre-release.
fn is_dotted(text: &str, wildcards: bool) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() <= 4
        && parts.iter().all(|part| {
            let number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            number || (wildcards && ["x", "X", "*"].contains(part))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_from_versions() {
        for range in [
            "^1.2.3",
            "~1.2.3",
            ">=1.2.3",
            "<2",
            "=1.0.0",
            "> 1.0",
            "1.x",
            "1.2.x",
            "1.*",
            "*",
            "x",
            "v1.X",
            "1.2.3 - 2.0.0",
            "1.0 - 2.x",
            "1.2 || 2.0",
            "^1.0 || ^2.0",
            ">=1.0.0 <2.0.0",
            "^1.2.3-beta.1",
        ] {
            assert!(is_range(range), "{range}");
        }
        for version in [
            "1.2.3",
            "v1.2.3",
            "1.0",
            "1",
            "2021.03.05",
            "2025-10-01",
            "1.0.0-x.1.z",
            "1.0.0-rc.1+build",
            "snapshot",
            "1.0.0-beta - final",
            "release - 3",
            "",
            "nightly || stable",
            "xyz",
            "1.0.0.0",
            "=",
            "^",
        ] {
            assert!(!is_range(version), "{version}");
        }
    }

    #[test]
    fn a_uri_has_a_scheme_and_legal_characters() {
        for uri in ["https://example.com", "urn:x:y", "https://e.com/a%20b?c=d#e", "mailto:a@b.c", "http://[::1]/"] {
            assert!(is_uri(uri), "{uri}");
        }
        for text in [
            "",
            "example.com/x",
            "/a",
            "https://e.com/a b",
            "https://e.com/%zz",
            "a b:c",
            "h:#a#b",
            "https://é.com",
            "1a:b",
        ] {
            assert!(!is_uri(text), "{text}");
        }
    }

    #[test]
    fn templates_are_filled_in_hosts_and_ports() {
        assert_eq!(variables("http://{host}:{port}/{host}/{}"), ["host", "port"]);
        assert!(filled("http://localhost:{port}/mcp").is_some());
        assert!(filled("https://{tenant}.example.{tld}/mcp").is_some());
        assert!(filled("https:///mcp").is_none_or(|url| url.host_str() == Some("mcp")));
        assert!(filled("https://exa mple/").is_none());
    }

    #[test]
    fn loopback_has_many_names() {
        for url in [
            "https://localhost/",
            "https://a.LOCALHOST:1/",
            "https://127.0.0.1/",
            "https://127.9.9.9",
            "https://[::1]/",
            "https://0.0.0.0/",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["https://localhost.example.com/", "https://mylocalhost/", "https://10.0.0.1/"] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
