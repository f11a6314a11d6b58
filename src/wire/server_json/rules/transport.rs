//! Rules for transports: how a client reaches a package it started, or a remote server.

use super::{
    found::{Found, Place},
    input, text,
};
use serde_json::Value;

/// The transport of a package; `known` are the names its address may use as `{variables}`.
pub(super) fn of_package(found: &mut Found, package: &Place<'_>, known: &[&str]) {
    package.require(found, "transport");
    let Some(transport) = package.inner(found, "transport", "LocalTransport") else { return };
    let has_url = transport.map.get("url").is_some_and(|url| url.as_str() != Some(""));
    match transport.required_text(found, "type") {
        Some("stdio") if has_url => {
            found.semantic(
                transport.at("url"),
                "stdio-transport-with-url",
                "stdio has no url; leave it out, or use streamable-http",
            );
        }
        Some("stdio") => {}
        Some("streamable-http" | "sse") => {
            let Some(url) = address(found, &transport) else { return };
            for name in text::variables(url).into_iter().filter(|name| !known.contains(name)) {
                found.semantic(
                    transport.at("url"),
                    "undeclared-url-variable",
                    format!(
                        "{{{name}}} is neither an environment variable nor an argument of this package{}",
                        listed(known)
                    ),
                );
            }
            if !text::variables(url).iter().any(|name| !known.contains(name)) && text::filled(url).is_none() {
                not_a_url(found, &transport, url);
            }
        }
        Some(other) => {
            transport.breach(found, "type", format!("type is stdio, streamable-http or sse, not {other:?}"));
        }
        None => {}
    }
}

/// A remote: an address on the network that others can reach.
pub(super) fn of_remote(found: &mut Found, remote: &Place<'_>) {
    input::variables(found, remote);
    match remote.required_text(found, "type") {
        Some("streamable-http" | "sse") => {}
        Some(other) => {
            remote.breach(found, "type", format!("the type of a remote is streamable-http or sse, not {other:?}"));
            return;
        }
        None => return,
    }
    let Some(url) = address(found, remote) else { return };

    let declared: Vec<&str> = match remote.map.get("variables") {
        Some(Value::Object(variables)) => variables.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let undeclared: Vec<&str> = text::variables(url).into_iter().filter(|name| !declared.contains(name)).collect();
    for name in &undeclared {
        found.semantic(
            remote.at("url"),
            "undeclared-url-variable",
            format!("{{{name}}} is not declared in `variables` of this remote{}", listed(&declared)),
        );
    }
    if !undeclared.is_empty() {
        return;
    }
    match text::filled(url) {
        None => not_a_url(found, remote, url),
        Some(parsed) if text::is_loopback(&parsed) => found.semantic(
            remote.at("url"),
            "loopback-remote",
            "a remote is reached from other machines; a server on localhost belongs into `packages`",
        ),
        Some(parsed) if parsed.scheme() != "https" => {
            found.semantic(remote.at("url"), "remote-not-https", "the url of a remote begins with https://");
        }
        Some(_) => {}
    }
}

/// The url and headers of an HTTP transport as the schema asks for them.
fn address<'a>(found: &mut Found, transport: &Place<'a>) -> Option<&'a str> {
    input::named_values(found, transport, "headers");
    let url = transport.required_text(found, "url")?;
    if text::is_http_pattern(url) {
        return Some(url);
    }
    transport.breach(found, "url", "url begins with http:// or https:// and has no white space");
    None
}

fn not_a_url(found: &mut Found, place: &Place<'_>, url: &str) {
    found.semantic(place.at("url"), "invalid-transport-url", format!("{url:?} is no URL with a host"));
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("; known are {}", names.join(", ")) }
}
