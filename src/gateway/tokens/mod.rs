//! What a request will use: its prompt is counted, its reply is expected.
//!
//! [`estimate`] counts the prompt of a body, exactly for models whose vocabulary is published and for what OpenAI's
//! published formulae cover; [`Corrections`] says how much of it the vendor is going to report, and [`Allowances`] how long
//! the reply is going to be. All are only what is set aside: what is charged in the end is what the vendor reports, or what
//! was counted while it was passed on.

mod allowance;
mod correction;
mod count;
mod file;
mod image;
mod prompt;
mod published;
mod tools;

pub use allowance::Allowances;
pub use correction::Corrections;

use crate::wire::call::{Call, Dialect};
use bytes::Bytes;
use count::{Family, count};
use prompt::{
    Body, Detail, File, Function, Image, Message, Part, Plain, Source, Text, ToolCall, Value, is, look, look_at,
};
use serde_json::value::RawValue;
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// A body larger than this is counted beside the reactor: it takes more than a millisecond.
pub const LARGE: usize = 64 * 1_024;

/// What a request will use, as far as its body tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Prompt tokens.
    pub input: u64,
    /// Whether the count equals what the vendor will report; else it is a good guess.
    pub exact: bool,
    /// The most tokens each reply may have, where the request says.
    pub ceiling: Option<u64>,
    /// How many replies are asked for; 0 where the answer has no tokens of its own (embeddings).
    pub replies: u64,
}

/// Fixed parts of a chat prompt, by OpenAI's cookbook: each message, each name, and the beginning of the reply.
const MESSAGE: u64 = 3;
const NAME: u64 = 1;
const REPLY: u64 = 3;
/// What Anthropic adds to the prompt of a request with tools.
const ANTHROPIC_TOOLS: u64 = 346;
/// Tokens of Anthropic's vocabulary for 100 of OpenAI's, before anything was reported.
const ANTHROPIC_PERCENT: u64 = 115;

impl Estimate {
    /// What a request says of its reply; nothing of its prompt.
    #[must_use]
    pub fn of_reply(call: &Call) -> Self {
        let replies = match call.dialect {
            Dialect::Embeddings | Dialect::CountTokens => 0,
            _ => u64::from(call.choices),
        };
        Self { ceiling: call.max_output, replies, ..Self::default() }
    }
}

/// Counts the prompt of a body that was read as this call. Never fails: what has not the expected form counts as it is
/// written.
#[must_use]
pub fn estimate(call: &Call, model: &str, body: &[u8]) -> Estimate {
    let family = Family::of(model);
    let body = Body::of(call, body);
    let mut prompt = Prompt { family, model, input: 0, exact: family.is_exact() };
    match call.dialect {
        Dialect::Embeddings => prompt.embeddings(body.prompt),
        Dialect::Chat | Dialect::Messages | Dialect::CountTokens => prompt.chat(&body),
        Dialect::Responses => prompt.responses(&body),
    }
    let Prompt { mut input, exact, .. } = prompt;
    if model.contains("claude") {
        input = input * ANTHROPIC_PERCENT / 100;
    }
    Estimate { input, exact, ..Estimate::of_reply(call) }
}

/// As [`estimate`]; a large body is counted on a thread of its own, a few at a time.
pub async fn estimate_aside(call: &Call, model: &str, body: &Bytes) -> Estimate {
    /// The tokenizer keeps a megabyte for each thread that uses it.
    static AT_ONCE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));
    if body.len() <= LARGE {
        return estimate(call, model, body);
    }
    let _place = AT_ONCE.acquire().await;
    let (call_there, model_there, body_there) = (call.clone(), model.to_owned(), body.clone());
    let counted = tokio::task::spawn_blocking(move || estimate(&call_there, &model_there, &body_there)).await;
    // Only a panic ends there; a guess by size then stands in for the count.
    counted.unwrap_or(Estimate { input: body.len() as u64 / 4, ..Estimate::of_reply(call) })
}

/// The tokens of a text as `model` would count it: for replies of which no usage was reported.
#[must_use]
pub fn count_text(model: &str, text: &str) -> u64 {
    let tokens = count(Family::of(model), text);
    if model.contains("claude") { tokens * ANTHROPIC_PERCENT / 100 } else { tokens }
}

/// Loads what counting for `model` needs, in the background.
pub fn warm(model: &str) {
    count::warm(model);
}

/// A prompt while it is counted.
struct Prompt<'m> {
    family: Family,
    model: &'m str,
    input: u64,
    exact: bool,
}

impl Prompt<'_> {
    fn chat(&mut self, body: &Body<'_>) {
        if let Some(system) = body.instructions {
            self.input += MESSAGE;
            self.content(system);
        }
        self.messages(body.prompt);
        self.input += REPLY;
        self.definitions(body.tools, body.instructions.is_some() || self.model.contains("claude"));
        if let Some(format) = body.format.filter(|format| format.contains("json_schema")) {
            self.raw(format);
        }
    }

    fn responses(&mut self, body: &Body<'_>) {
        if let Some(instructions) = body.instructions.filter(|written| !matches!(look_at(written), Value::Null)) {
            self.input += MESSAGE + 1;
            self.content(instructions);
        }
        match body.prompt.map(look_at) {
            Some(Value::Text(text)) => self.input += MESSAGE + 1 + count(self.family, &text),
            Some(Value::List(items)) => items.into_iter().for_each(|item| self.message(item)),
            _ => {}
        }
        self.input += REPLY;
        self.definitions(body.tools, false);
    }

    /// A text, texts, or tokens that the caller made itself.
    fn embeddings(&mut self, input: Option<&str>) {
        match input.map(look_at) {
            Some(Value::Text(text)) => self.input += count(self.family, &text),
            Some(Value::List(items)) => {
                for item in items {
                    match look(item) {
                        Value::Text(text) => self.input += count(self.family, &text),
                        Value::List(tokens) => self.input += tokens.len() as u64,
                        Value::Other(_) => self.input += 1,
                        Value::Null => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn messages(&mut self, written: Option<&str>) {
        // Most are texts alone, which need be read once.
        if let Some(Ok(texts)) = written.map(serde_json::from_str::<Vec<Plain<'_>>>) {
            for text in texts {
                self.input += MESSAGE;
                self.role(&text.role);
                self.input += count(self.family, &text.content);
            }
            return;
        }
        // Read at once; where one has not the expected form, each by itself.
        match written.map(serde_json::from_str::<Vec<Message<'_>>>) {
            Some(Ok(messages)) => messages.into_iter().for_each(|message| self.said(message)),
            _ => self.list(written, Self::message),
        }
    }

    fn message(&mut self, raw: &RawValue) {
        match serde_json::from_str(raw.get()) {
            Ok(message) => self.said(message),
            Err(_) => self.raw(raw.get()),
        }
    }

    fn said(&mut self, message: Message<'_>) {
        self.input += MESSAGE;
        if let Some(Value::Text(role)) = message.role.map(look) {
            self.role(&role);
        }
        if let Some(Value::Text(name)) = message.name.map(look) {
            self.input += NAME + count(self.family, &name);
        }
        for raw in [message.content, message.arguments, message.output].into_iter().flatten() {
            self.content(raw.get());
        }
        if message.tool_calls.is_some() || message.function_call.is_some() {
            // How calls are written into the prompt is not published.
            self.exact = false;
        }
        self.list(message.tool_calls.map(RawValue::get), |prompt, raw| {
            let call = serde_json::from_str::<ToolCall<'_>>(raw.get()).unwrap_or_default();
            prompt.call(call.function.unwrap_or_default());
        });
        if let Some(raw) = message.function_call {
            self.call(serde_json::from_str(raw.get()).unwrap_or_default());
        }
    }

    /// The roles that there are take one token each.
    fn role(&mut self, role: &str) {
        self.input += if role.len() <= 9 { 1 } else { count(self.family, role) };
    }

    fn call(&mut self, function: Function<'_>) {
        self.input += MESSAGE;
        for Text(text) in [function.name, function.arguments].into_iter().flatten() {
            self.input += count(self.family, &text);
        }
    }

    /// What a message says: a text, or parts.
    fn content(&mut self, written: &str) {
        match look_at(written) {
            Value::Text(text) => self.input += count(self.family, &text),
            Value::List(parts) => parts.into_iter().for_each(|part| self.part(part)),
            Value::Other(text) => self.input += count(self.family, text),
            Value::Null => {}
        }
    }

    fn part(&mut self, raw: &RawValue) {
        if raw.get().starts_with('"') {
            return self.content(raw.get());
        }
        let Ok(part) = serde_json::from_str::<Part<'_>>(raw.get()) else { return self.raw(raw.get()) };
        if let Some(image) = part.image_url {
            self.image(image, part.detail);
        } else if is(part.kind, "input_image") {
            self.stored_image();
        } else if part.file_data.or(part.file_id).or(part.file_url).is_some() {
            self.file(part.file_data);
        }
        if let Some(file) = part.file {
            self.file(serde_json::from_str::<File<'_>>(file.get()).unwrap_or_default().file_data);
        }
        if let Some(source) = part.source {
            self.source(source, is(part.kind, "document"));
        }
        if let Some(audio) = part.input_audio {
            // Some ten tokens a second; what a second weighs depends on the format.
            self.input += audio.get().len() as u64 / 4_000 + 10;
            self.exact = false;
        }
        let said = [part.text, part.refusal, part.title, part.context, part.input, part.content, part.thinking];
        said.into_iter().flatten().for_each(|raw| self.content(raw.get()));
    }

    /// Anthropic's source of a document or an image; that of a search result is a text.
    fn source(&mut self, raw: &RawValue, is_document: bool) {
        let Value::Other(object) = look(raw) else { return self.content(raw.get()) };
        let source: Source<'_> = serde_json::from_str(object).unwrap_or_default();
        match (source.data, source.content) {
            (Some(text), _) if is(source.kind, "text") => self.content(text.get()),
            (_, Some(content)) if is(source.kind, "content") => self.content(content.get()),
            (data, _) if is_document => self.file(data),
            _ => self.image(raw, None),
        }
    }

    fn file(&mut self, data: Option<&RawValue>) {
        self.exact = false;
        self.input += match data.map(look) {
            Some(Value::Text(data)) => file::tokens(self.family, &data),
            _ => file::UNKNOWN,
        };
    }

    /// An image that only the vendor has.
    fn stored_image(&mut self) {
        self.exact = false;
        self.input += image::tokens(self.model, None, Detail::Auto);
    }

    fn image(&mut self, raw: &RawValue, detail: Option<&RawValue>) {
        let detail_beside = match detail.map(look) {
            Some(Value::Text(detail)) => Some(detail),
            _ => None,
        };
        let (size, detail) = match look(raw) {
            Value::Text(address) => (image::size_of(&address), Detail::of(detail_beside.as_deref())),
            Value::Other(object) => {
                let image: Image<'_> = serde_json::from_str(object).unwrap_or_default();
                let text = image.data.or(image.url).map(|Text(text)| text);
                let detail = image.detail.map(|Text(text)| text).or(detail_beside);
                (text.and_then(|text| image::size_of(&text)), Detail::of(detail.as_deref()))
            }
            _ => (None, Detail::Auto),
        };
        self.exact &= size.is_some();
        self.input += image::tokens(self.model, size, detail);
    }

    fn definitions(&mut self, written: Option<&str>, anthropic: bool) {
        let tools = written.and_then(|written| serde_json::from_str::<Vec<serde_json::Value>>(written).ok());
        let Some(tools) = tools else { return };
        self.input += tools::tokens(self.family, &tools);
        if anthropic && !tools.is_empty() {
            self.input += ANTHROPIC_TOOLS;
        }
    }

    fn list(&mut self, written: Option<&str>, each: impl Fn(&mut Self, &RawValue)) {
        match written.map(look_at) {
            Some(Value::List(items)) => items.into_iter().for_each(|item| each(self, item)),
            Some(Value::Text(text)) => self.input += count(self.family, &text),
            _ => {}
        }
    }

    fn raw(&mut self, written: &str) {
        self.input += count(self.family, written);
        self.exact = false;
    }
}

#[cfg(test)]
mod tests;
