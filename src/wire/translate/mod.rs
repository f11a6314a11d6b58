//! Between OpenAI's chat completions and Anthropic's messages: requests, answers, streams, both ways. Pure.
//!
//! What one side cannot say is refused by name where leaving it out would change what is asked for (several answers, tools
//! that the vendor runs), and left out where it would not (`seed`, `logit_bias`).

mod chat_reply;
mod chat_request;
mod chat_stream;
mod messages_reply;
mod messages_request;
mod messages_stream;
mod messages_tools;

use super::call::Dialect;
use crate::base::Problem;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

/// What cannot be told in the other dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untranslatable(String);

impl Untranslatable {
    fn new(what: &str) -> Self {
        Self(format!("{what} cannot be told to the vendor that serves this model; leave it out, or ask another model."))
    }
}

/// A request told in another dialect.
pub struct Retold {
    pub body: Vec<u8>,
    /// How its answer is to write that a tool is called.
    pub calls: Calls,
}

/// How a chat's answer writes that a tool is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// In `tool_calls`.
    #[default]
    OfTools,
    /// In `function_call`, the older form: for clients that offered `functions`.
    OfFunction,
}

/// How the client is told an answer.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The model's name, as the client asked for it.
    pub model: &'a str,
    /// When the answer was made.
    pub at: OffsetDateTime,
    /// Whether the end of a stream tells usage.
    pub wants_usage: bool,
    pub calls: Calls,
}

/// Tells a stream anew, event by event.
pub trait StreamTranslator: Send + Sync {
    /// Takes in the data of an event and writes what follows from it.
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>);
    /// Writes what is left to say at the end.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// A request told in the vendor's dialect, for its model of this name. `max_tokens_name` is what the vendor calls the most
/// tokens of a chat's reply.
///
/// # Errors
/// [`Untranslatable`] names what cannot be told.
pub fn request(
    asked: Dialect,
    spoken: Dialect,
    body: &[u8],
    model: &str,
    max_tokens_name: &str,
) -> Result<Retold, Untranslatable> {
    let body: Value = serde_json::from_slice(body).map_err(|error| Untranslatable(error.to_string()))?;
    let (told, calls) = match (asked, spoken) {
        (Dialect::Chat, Dialect::Messages) => messages_request::of_chat(&body, model)?,
        (Dialect::Messages, Dialect::Chat) => {
            (chat_request::of_messages(&body, model, max_tokens_name)?, Calls::default())
        }
        _ => return Err(Untranslatable::new("A request of this kind")),
    };
    Ok(Retold { body: told.to_string().into_bytes(), calls })
}

/// A vendor's whole answer told in the client's dialect; none when it cannot be read.
#[must_use]
pub fn reply(asked: Dialect, spoken: Dialect, body: &[u8], telling: Telling<'_>) -> Option<Vec<u8>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let told = match (asked, spoken) {
        (Dialect::Chat, Dialect::Messages) => chat_reply::of_messages(&body, telling),
        (Dialect::Messages, Dialect::Chat) => messages_reply::of_chat(&body, telling.model),
        _ => return None,
    };
    Some(told.to_string().into_bytes())
}

/// The translator of a vendor's stream.
#[must_use]
pub fn stream(asked: Dialect, spoken: Dialect, telling: Telling<'_>) -> Box<dyn StreamTranslator> {
    match (asked, spoken) {
        (Dialect::Messages, Dialect::Chat) => Box::new(messages_stream::FromChat::new(telling.model)),
        _ => Box::new(chat_stream::FromMessages::new(telling)),
    }
}

/// A vendor's refusal told in the client's dialect.
#[must_use]
pub fn refusal(asked: Dialect, body: &[u8], status: StatusCode, request_id: &str) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let message = match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.error.message,
        Err(_) => "The vendor refused the request.".to_owned(),
    };
    let problem = Problem::new(status, "refused-by-vendor", "Refused by the vendor", message);
    let told = match asked.is_anthropic() {
        true => super::anthropic::error(&problem, request_id),
        false => super::openai::error(&problem, request_id),
    };
    told.to_string().into_bytes()
}

/// Whether a member of a request says anything.
fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    }
}

/// Why a reply ended, in OpenAI's words, from Anthropic's.
fn finish_reason(stop: Option<&str>, calls: Calls) -> Value {
    match stop {
        Some("max_tokens" | "model_context_window_exceeded") => "length".into(),
        Some("tool_use") if calls == Calls::OfFunction => "function_call".into(),
        Some("tool_use") => "tool_calls".into(),
        Some("refusal") => "content_filter".into(),
        Some(_) => "stop".into(),
        None => Value::Null,
    }
}

/// Why a reply ended, in Anthropic's words, from OpenAI's.
fn stop_reason(finish: Option<&str>) -> &'static str {
    match finish {
        Some("length") => "max_tokens",
        Some("tool_calls" | "function_call") => "tool_use",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}

/// Usage in OpenAI's shape.
fn chat_usage(usage: super::usage::Usage) -> Value {
    serde_json::json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
    })
}

/// Usage in Anthropic's shape, whose input leaves out what its cache read.
fn messages_usage(usage: super::usage::Usage) -> Value {
    serde_json::json!({
        "input_tokens": usage.input.saturating_sub(usage.cached_input),
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.output,
    })
}

#[cfg(test)]
mod tests;
