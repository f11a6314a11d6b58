//! Failures that a vendor tells of under a good status: an event in mid-stream, or an answer that says it failed.

use crate::gateway::balance::Taken;
use crate::gateway::exchange::Exchange;
use crate::wire::call::Dialect;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Backend,
    /// No other backend would do better.
    Request,
}

impl Fault {
    /// Notes a failure that came with an answer, or within it.
    pub(super) fn note(self, exchange: &Exchange, taken: &Taken) {
        const WORDS: &str = "The backend told of a failure in its answer.";
        if self == Self::Backend {
            taken.spoil(|| WORDS.to_owned());
        }
        let backend = exchange.reply.backend.as_ref().map(|backend| backend.name.as_str());
        tracing::warn!(request.id = %exchange.id, backend.name = backend, fault = ?self, "{WORDS}");
    }
}

/// What vendors' codes and types hold when they cannot do what is asked: `invalid_request_error`, `invalid_prompt`,
/// `image_parse_error`, `request_too_large`, `content_filter`.
const OF_REQUESTS: [&str; 4] = ["invalid", "image", "too_large", "content"];

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
static FAILED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"failed\""));

/// The failure that the data of an event, or a whole answer, tells of in this dialect; none where it tells of none.
pub(super) fn told(dialect: Dialect, json: &[u8]) -> Option<Fault> {
    // Nearly everything says nothing of the kind, and is not read.
    let says = |word: &Finder<'_>| word.find(json).is_some();
    let may_tell = says(&ERROR) || dialect == Dialect::Responses && says(&FAILED);
    if !may_tell {
        return None;
    }
    let said: Said<'_> = serde_json::from_slice(json).ok()?;
    let is = |value: Option<&RawValue>, word: &str| value.is_some_and(|value| value.get() == word);
    let has_failed = said.error.is_some()
        || is(said.kind, "\"error\"")
        || dialect == Dialect::Responses && (is(said.kind, "\"response.failed\"") || is(said.status, "\"failed\""));
    if !has_failed {
        return None;
    }
    let inner = said.error.or(said.response.and_then(|response| response.error));
    let words: Words<'_> = inner.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
    let all = [said.code, words.code, words.kind];
    let mut all = all.iter().flatten().map(|word| word.get());
    match all.any(|word| OF_REQUESTS.iter().any(|sign| word.contains(sign))) {
        true => Some(Fault::Request),
        false => Some(Fault::Backend),
    }
}

/// Whether an event is one of failure by its name, whatever its data.
pub(super) fn is_named_so(event: &[u8]) -> bool {
    let name = event.strip_prefix(b"event:").map(<[u8]>::trim_ascii_start);
    let rest = name.and_then(|name| name.strip_prefix(b"error"));
    rest.is_some_and(|rest| matches!(rest.first(), Some(b'\n' | b'\r')))
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Words<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_seen_in_every_dialect_and_whose_fault_it_is() {
        let (backend, request) = (Some(Fault::Backend), Some(Fault::Request));
        for (dialect, json, expected) in [
            (Dialect::Messages, r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, backend),
            (Dialect::Messages, r#"{ "type": "error", "error": {"type": "api_error"}}"#, backend),
            (Dialect::Messages, r#"{"type":"error","error":{"type":"invalid_request_error"}}"#, request),
            (Dialect::Chat, r#"{"error":{"message":"x","type":"server_error","code":null}}"#, backend),
            (Dialect::Chat, r#"{"error":"overloaded"}"#, backend),
            (Dialect::Chat, r#"{"id":"c","choices":[{"finish_reason":"error"}],"error":{"code":502}}"#, backend),
            (Dialect::Chat, r#"{"error":{"code":"content_filter","message":"x"}}"#, request),
            (Dialect::Responses, r#"{"type":"error","code":"server_error","message":"x","param":null}"#, backend),
            (
                Dialect::Responses,
                r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"}}}"#,
                backend,
            ),
            (
                Dialect::Responses,
                r#"{"type":"response.failed","response":{"error":{"code":"image_parse_error"}}}"#,
                request,
            ),
            (Dialect::Responses, r#"{"object":"response","status":"failed","error":null}"#, backend),
            (Dialect::Responses, r#"{"object":"response","status":"completed","error":null}"#, None),
            (
                Dialect::Responses,
                r#"{"type":"response.completed","response":{"status":"completed","error":null,"output":[{"status":"failed"}]}}"#,
                None,
            ),
            (Dialect::Chat, r#"{"choices":[{"delta":{"content":"{\"error\":{}} has failed"}}]}"#, None),
            (Dialect::Chat, r#"{"choices":[{"content_filter_results":{"error":{"code":"x"}}}],"error":null}"#, None),
            (Dialect::Chat, "[DONE]", None),
        ] {
            assert_eq!(told(dialect, json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn an_event_may_be_one_of_failure_by_its_name_alone() {
        assert!(is_named_so(b"event: error\ndata: {\"message\":\"x\"}\n\n"));
        assert!(is_named_so(b"event:error\r\ndata: overloaded\r\n\r\n"));
        assert!(!is_named_so(b"event: errors_fixed\ndata: {}\n\n"));
        assert!(!is_named_so(b"data: event: error\n\n"));
    }
}
