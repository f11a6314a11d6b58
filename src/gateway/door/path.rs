//! Which request a path asks for.

use crate::base::Problem;
use crate::gateway::stored_response::StoredQuery;
use crate::wire::call::Dialect;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A model; named by the path where Azure's clients do.
    Call { dialect: Dialect, model: Option<String> },
    /// The list of models, or one of it.
    Models { anthropic: bool, model: Option<String> },
    /// A response that was given before: its id and what follows it, with the query.
    Response { path: String, query: StoredQuery },
    /// A REST API; the rest of the path with the query.
    Rest { workspace: String, asset: String, path: String },
}

/// Whether the gateway answers this path.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    path.starts_with("/llm/") || path.starts_with("/rest/")
}

impl Target {
    pub(super) fn of(path: &str, query: Option<&str>) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/rest/") {
            return rest_api(rest, query);
        }
        let path = path.strip_prefix("/llm/")?.trim_end_matches('/');
        if let Some(rest) = path.strip_prefix("anthropic/v1/") {
            return match rest {
                "messages" => Some(call(Dialect::Messages, None)),
                "messages/count_tokens" => Some(call(Dialect::CountTokens, None)),
                _ => models(rest, true),
            };
        }
        if let Some(rest) = path.strip_prefix("openai/deployments/") {
            let (model, tail) = rest.split_once('/')?;
            let model = percent_decode_str(model).decode_utf8().ok()?.into_owned();
            return openai(tail).map(|dialect| call(dialect, Some(model)));
        }
        let rest = ["v1/", "openai/v1/", "openai/"].iter().find_map(|start| path.strip_prefix(start))?;
        openai(rest)
            .map(|dialect| call(dialect, None))
            .or_else(|| models(rest, false))
            .or_else(|| stored(rest.strip_prefix("responses/")?, query))
    }

    pub(super) fn check_method(&self, method: &Method) -> Result<(), Problem> {
        let (expected, word) = match self {
            Self::Call { .. } => (Method::POST, "POST"),
            Self::Models { .. } => (Method::GET, "GET"),
            Self::Response { path, .. } if path.ends_with("/cancel") => (Method::POST, "POST"),
            Self::Response { path, .. } if !path.contains('/') && *method == Method::DELETE => return Ok(()),
            Self::Response { path, .. } if !path.contains('/') => (Method::GET, "GET, and removed by DELETE"),
            Self::Response { .. } => (Method::GET, "GET"),
            // What a backend answers to TRACE is the request it got, with our credential in it (RFC 9110, 9.3.8).
            Self::Rest { .. } if matches!(*method, Method::TRACE | Method::CONNECT) => {
                return Err(not_allowed(format!("{method} does not go through the gateway.")));
            }
            Self::Rest { .. } => return Ok(()),
        };
        if *method == expected {
            return Ok(());
        }
        Err(not_allowed(format!("This is asked for by {word}.")))
    }

    /// The methods it takes, as an answer to another one tells them (RFC 9110, 15.5.6).
    pub(super) fn allowed(&self) -> HeaderMap {
        let methods = match self {
            Self::Call { .. } => "POST",
            Self::Models { .. } => "GET",
            Self::Response { path, .. } if path.ends_with("/cancel") => "POST",
            Self::Response { path, .. } if !path.contains('/') => "GET, DELETE",
            Self::Response { .. } => "GET",
            Self::Rest { .. } => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        };
        HeaderMap::from_iter([(header::ALLOW, HeaderValue::from_static(methods))])
    }

    /// A connection that becomes another protocol's cannot be looked after here. Other offers to upgrade may be passed over
    /// (RFC 9110, 7.8), and clients make them of every server; who asks for a WebSocket wants nothing else.
    pub(super) fn check_upgrade(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let offers = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
        if !offers.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("websocket")) {
            return Ok(());
        }
        let words = "WebSockets do not go through the gateway.";
        let problem = Problem::new(StatusCode::NOT_IMPLEMENTED, "upgrade-unsupported", "No WebSockets", words);
        Err(problem.with_help("Ask for a stream over plain HTTP, or call the API itself."))
    }
}

fn not_allowed(words: String) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", words)
}

fn call(dialect: Dialect, model: Option<String>) -> Target {
    Target::Call { dialect, model }
}

fn openai(tail: &str) -> Option<Dialect> {
    match tail {
        "chat/completions" => Some(Dialect::Chat),
        "responses" => Some(Dialect::Responses),
        "embeddings" => Some(Dialect::Embeddings),
        _ => None,
    }
}

fn models(rest: &str, anthropic: bool) -> Option<Target> {
    if rest == "models" {
        return Some(Target::Models { anthropic, model: None });
    }
    let model = percent_decode_str(rest.strip_prefix("models/")?).decode_utf8().ok()?.into_owned();
    Some(Target::Models { anthropic, model: Some(model) })
}

/// A response's id, and what may be asked of it. Ids are words of the vendor's, which are sent on as they are.
fn stored(rest: &str, query: Option<&str>) -> Option<Target> {
    let (id, tail) = rest.split_once('/').map_or((rest, None), |(id, tail)| (id, Some(tail)));
    let is_id = |id: &str| {
        (1..=256).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'='))
    };
    if !is_id(id) || !matches!(tail, None | Some("cancel" | "input_items")) {
        return None;
    }
    Some(Target::Response { path: rest.to_owned(), query: StoredQuery::of(query) })
}

/// `{workspace}/{asset}/...`; the slash within an asset's name is percent-encoded.
fn rest_api(rest: &str, query: Option<&str>) -> Option<Target> {
    let (workspace, rest) = rest.split_once('/')?;
    let (asset, path) = rest.split_once('/').unwrap_or((rest, ""));
    let asset = percent_decode_str(asset).decode_utf8().ok()?.into_owned();
    // Dots that climb are refused here: what they lead to would be another API's.
    let climbs = |segment: &str| {
        let plain = percent_decode_str(segment).decode_utf8_lossy();
        plain == ".." || plain == "." || plain.contains(['/', '\\']) && plain.contains("..")
    };
    if path.split('/').any(climbs) || asset.is_empty() {
        return None;
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(Target::Rest { workspace: workspace.to_owned(), asset, path: format!("/{path}{query}") })
}

/// The name and the path, where the name goes on with the path's first segment.
pub(super) fn with_bare_slash(asset: &str, path: &str) -> Option<(String, String)> {
    let rest = path.strip_prefix('/')?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (segment, rest) = rest.split_at(end);
    let segment = percent_decode_str(segment).decode_utf8().ok().filter(|segment| !segment.is_empty())?;
    let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    Some((format!("{asset}/{segment}"), path))
}

/// What a path that leads nowhere is told.
pub(super) fn unknown(path: &str) -> Problem {
    let detail = if path.starts_with("/rest/") {
        "An API is called at /rest/{workspace}/{asset}/ and its own path; a slash in the asset's name is written %2F."
    } else {
        "The gateway answers at /llm/v1/ (chat/completions, responses, responses/{id}, embeddings, models), \
         /llm/openai/deployments/{model}/, /llm/openai/v1/ and /llm/anthropic/v1/ (messages, models)."
    };
    Problem::not_found(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_finds_its_path() {
        let named = |model: &str| Some(model.to_owned());
        let response = |path: &str| Target::Response { path: path.to_owned(), query: StoredQuery::default() };
        for (path, expected) in [
            ("/llm/v1/chat/completions", Some(call(Dialect::Chat, None))),
            ("/llm/v1/responses", Some(call(Dialect::Responses, None))),
            ("/llm/v1/models", Some(Target::Models { anthropic: false, model: None })),
            ("/llm/v1/models/team%2Ffast", Some(Target::Models { anthropic: false, model: named("team/fast") })),
            ("/llm/openai/v1/embeddings", Some(call(Dialect::Embeddings, None))),
            ("/llm/openai/deployments/gpt-4o/chat/completions", Some(call(Dialect::Chat, named("gpt-4o")))),
            ("/llm/openai/deployments/a%2Fb/embeddings", Some(call(Dialect::Embeddings, named("a/b")))),
            ("/llm/openai/responses", Some(call(Dialect::Responses, None))),
            ("/llm/anthropic/v1/messages", Some(call(Dialect::Messages, None))),
            ("/llm/anthropic/v1/messages/count_tokens", Some(call(Dialect::CountTokens, None))),
            ("/llm/v1/responses/resp_1", Some(response("resp_1"))),
            ("/llm/openai/responses/resp_1/input_items", Some(response("resp_1/input_items"))),
            ("/llm/openai/v1/responses/resp_1/cancel", Some(response("resp_1/cancel"))),
            ("/llm/v1/responses/resp_1/else", None),
            ("/llm/v1/responses/..", None),
            ("/llm/v1/responses/resp_1%2Fcancel", None),
            ("/llm/v1/images", None),
            ("/llm/", None),
        ] {
            assert_eq!(Target::of(path, None), expected, "{path}");
        }
    }

    #[test]
    fn a_response_is_seen_removed_or_cancelled() {
        let of = |path: &str| Target::of(&format!("/llm/openai/responses/{path}"), None).unwrap();
        for (path, allowed) in [("resp_1", "GET, DELETE"), ("resp_1/cancel", "POST"), ("resp_1/input_items", "GET")] {
            assert_eq!(of(path).allowed()[header::ALLOW], allowed);
            for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
                assert_eq!(
                    of(path).check_method(&method).is_ok(),
                    allowed.contains(method.as_str()),
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn a_rest_path_goes_on_as_it_is_and_never_climbs() {
        let of = |path, query| Target::of(path, query);
        let rest = |asset: &str, path: &str| {
            Some(Target::Rest { workspace: "shop".into(), asset: asset.into(), path: path.into() })
        };
        assert_eq!(of("/rest/shop/orders/v1/a%20b", Some("x=1&y")), rest("orders", "/v1/a%20b?x=1&y"));
        assert_eq!(of("/rest/shop/com.example%2Forders", None), rest("com.example/orders", "/"));
        for (path, name, behind) in [
            ("/orders/v1?x=1", "com.example/orders", "/v1?x=1"),
            ("/orders?x=1", "com.example/orders", "/?x=1"),
            ("/orders", "com.example/orders", "/"),
        ] {
            assert_eq!(with_bare_slash("com.example", path), Some((name.into(), behind.into())));
        }
        assert_eq!(with_bare_slash("com.example", "/"), None);
        for path in
            ["/rest/shop/orders/../x", "/rest/shop/orders/%2e%2e/x", "/rest/shop/orders/a%2f..%2fx", "/rest/shop"]
        {
            assert_eq!(of(path, None), None, "{path}");
        }
    }
}
