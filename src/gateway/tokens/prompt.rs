//! What of a request becomes prompt tokens, read from its body without copying.
//!
//! Only what is counted is read. What does not have the expected form counts as the text it is written as: a request that
//! the vendor will refuse needs no exact count, and no body makes this fail.

use crate::wire::call::{Call, Span};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A text of JSON, unescaped where it must be.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// What of a body is counted, each part as it is written.
pub(super) struct Body<'a> {
    /// Messages or other input.
    pub prompt: Option<&'a str>,
    pub instructions: Option<&'a str>,
    pub tools: Option<&'a str>,
    pub format: Option<&'a str>,
}

impl<'a> Body<'a> {
    /// The parts of a body that was read as this call.
    pub(super) fn of(call: &Call, body: &'a [u8]) -> Self {
        let part = |at: Option<Span>| at.and_then(|at| std::str::from_utf8(at.of(body)).ok());
        let [prompt, instructions, tools, format] = [call.prompt, call.instructions, call.tools, call.format].map(part);
        Self { prompt, instructions, tools, format }
    }
}

/// A message that is a text and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plain<'a> {
    #[serde(borrow)]
    pub role: Cow<'a, str>,
    #[serde(borrow)]
    pub content: Cow<'a, str>,
}

/// A message of any shape.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub role: Option<&'a RawValue>,
    #[serde(borrow)]
    pub name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    pub function_call: Option<&'a RawValue>,
    /// Items of the responses API: a call's arguments, a call's output.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub output: Option<&'a RawValue>,
}

/// A part of a message's content, of any shape.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<&'a RawValue>,
    #[serde(borrow)]
    pub text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub refusal: Option<&'a RawValue>,
    /// OpenAI: an address, or an object with `url` and `detail`.
    #[serde(borrow)]
    pub image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    pub detail: Option<&'a RawValue>,
    #[serde(borrow)]
    pub input_audio: Option<&'a RawValue>,
    /// OpenAI's chat: an object with what responses have in the part itself.
    #[serde(borrow)]
    pub file: Option<&'a RawValue>,
    #[serde(borrow)]
    pub file_data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub file_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub file_url: Option<&'a RawValue>,
    /// Anthropic: where an image or a document is from.
    #[serde(borrow)]
    pub source: Option<&'a RawValue>,
    /// Anthropic: of a document.
    #[serde(borrow)]
    pub title: Option<&'a RawValue>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
    /// Anthropic: what a tool is called with, and what it gave.
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub thinking: Option<&'a RawValue>,
}

/// OpenAI's file of a chat.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct File<'a> {
    #[serde(borrow)]
    pub file_data: Option<&'a RawValue>,
}

/// Anthropic's source: `{type, media_type, data}`, `{type, url}`, `{type, content}`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Source<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<&'a RawValue>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Image<'a> {
    #[serde(borrow)]
    pub url: Option<Text<'a>>,
    #[serde(borrow)]
    pub detail: Option<Text<'a>>,
    #[serde(borrow)]
    pub data: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow)]
    pub function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub arguments: Option<Text<'a>>,
}

/// How closely an image is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Auto,
    Low,
    High,
}

impl Detail {
    pub(super) fn of(text: Option<&str>) -> Self {
        match text {
            Some("low") => Self::Low,
            Some("high") => Self::High,
            _ => Self::Auto,
        }
    }
}

/// What a raw value is.
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    List(Vec<&'a RawValue>),
    /// An object, number or whatever else; as it is written.
    Other(&'a str),
    Null,
}

/// Looks at a raw value one level deep.
pub(super) fn look(raw: &RawValue) -> Value<'_> {
    look_at(raw.get())
}

/// Looks at a value, as it is written, one level deep.
pub(super) fn look_at(written: &str) -> Value<'_> {
    match written.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Text<'_>>(written) {
            Ok(text) => Value::Text(text.0),
            // A lone surrogate is JSON, and no text; it counts as it is written.
            Err(_) => Value::Other(written),
        },
        Some(b'[') => serde_json::from_str(written).map_or(Value::Other(written), Value::List),
        Some(b'n') => Value::Null,
        _ => Value::Other(written),
    }
}

/// Whether a raw value is this word.
pub(super) fn is(raw: Option<&RawValue>, word: &str) -> bool {
    raw.is_some_and(|raw| matches!(look(raw), Value::Text(text) if text == word))
}
