//! `Call`: what we act on in a request to a model, in whichever dialect it is written. All else stays where it lies and
//! passes through.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, ops::Range};

/// How a request to a model is written, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's `chat/completions`.
    Chat,
    /// OpenAI's `responses`.
    Responses,
    /// OpenAI's `embeddings`.
    Embeddings,
    /// Anthropic's `messages`.
    Messages,
    /// Anthropic's `messages/count_tokens`.
    CountTokens,
}

impl Dialect {
    /// As in metrics and records: the operation of the GenAI semantic conventions, or our word where they have none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    #[must_use]
    pub fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }
}

/// Where a part lies in the body, in bytes. Of 32 bits, because a request keeps some of them to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The part; nothing of a body that has no such part.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.range()).unwrap_or_default()
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What we act on in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub dialect: Dialect,
    /// The alias or model asked for.
    pub model: String,
    /// Its value in the body, with the quotes; none where it was named by the path.
    pub model_at: Option<Span>,
    pub stream: bool,
    /// Whether the client asked for usage in its stream.
    pub wants_usage: bool,
    /// The value of `stream_options`.
    pub stream_options: Option<Span>,
    /// The most tokens the reply may have, where the client said so.
    pub max_output: Option<u64>,
    /// How many replies are asked for.
    pub choices: u32,
    /// The value of `messages` or `input`: JSON.
    pub prompt: Option<Span>,
    /// The value of `instructions` of a response, else of `system`: JSON.
    pub instructions: Option<Span>,
    /// The value of `tools`, or of `functions`: JSON.
    pub tools: Option<Span>,
    /// The value of `response_format`: JSON.
    pub format: Option<Span>,
    /// Who asks, as the client says (`user`, `metadata.user_id`).
    pub user: Option<String>,
    /// The response that this one goes on from.
    pub previous_response: Option<String>,
    /// Whether the vendor is to go on when nobody waits for the answer.
    pub background: bool,
}

/// Why a body is no request we can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub message: String,
    /// The field, where it is one.
    pub field: Option<&'static str>,
}

/// Deepest nesting of arrays and objects in a body.
pub const MAX_DEPTH: usize = 128;

impl Call {
    /// Reads a body. `model` is the one named by the path, where the path names it.
    ///
    /// # Errors
    /// [`CallError`] when the body is no JSON object, names a field twice that we act on, or lacks one we need.
    pub fn read(dialect: Dialect, body: &[u8], model: Option<&str>) -> Result<Self, CallError> {
        check_length(body)?;
        check_depth(body)?;
        let fields: Fields<'_> = super::json::read(body).map_err(|error| CallError::of(&error))?;
        let span = |raw: &RawValue| span(body, raw);
        let (name, prompt) = match dialect {
            Dialect::Chat | Dialect::Messages | Dialect::CountTokens => ("messages", fields.messages),
            Dialect::Responses | Dialect::Embeddings => ("input", fields.input),
        };
        // A stored prompt or an earlier response may stand for the input.
        if prompt.is_none() && dialect != Dialect::Responses {
            return Err(CallError::missing(name));
        }
        let (model, model_at) = match (model, fields.model) {
            (Some(model), in_body) => (model.to_owned(), in_body.map(span)),
            (None, Some(raw)) => {
                let model: Cow<'_, str> = serde_json::from_str(raw.get())
                    .map_err(|_| CallError { message: "`model` must be a text.".into(), field: Some("model") })?;
                (model.into_owned(), Some(span(raw)))
            }
            (None, None) => return Err(CallError::missing("model")),
        };
        let wants_usage = match fields.stream_options {
            None => false,
            Some(raw) => {
                let options: StreamOptions = serde_json::from_str(raw.get()).map_err(|_| CallError {
                    message: "`stream_options` must be an object.".into(),
                    field: Some("stream_options"),
                })?;
                options.include_usage.unwrap_or(false)
            }
        };
        let user = fields.user.or(fields
            .metadata
            .and_then(|metadata| serde_json::from_str::<Metadata<'_>>(metadata.get()).ok()?.user_id));
        Ok(Self {
            dialect,
            model,
            model_at,
            stream: fields.stream.unwrap_or(false) && !matches!(dialect, Dialect::Embeddings | Dialect::CountTokens),
            wants_usage,
            stream_options: fields.stream_options.map(span),
            max_output: fields.max_completion_tokens.or(fields.max_output_tokens).or(fields.max_tokens),
            choices: fields.n.unwrap_or(1).max(1),
            prompt: prompt.map(span),
            instructions: if dialect == Dialect::Responses { fields.instructions } else { fields.system }.map(span),
            tools: fields.tools.or(fields.functions).map(span),
            format: fields.response_format.map(span),
            user: user.map(Cow::into_owned),
            previous_response: fields.previous_response_id.map(Cow::into_owned),
            background: dialect == Dialect::Responses && fields.background.unwrap_or(false),
        })
    }
}

impl CallError {
    fn missing(field: &'static str) -> Self {
        Self { message: format!("The field `{field}` is missing."), field: Some(field) }
    }

    fn of(error: &serde_json::Error) -> Self {
        Self { message: format!("The body cannot be read: {error}."), field: None }
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    n: Option<u32>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<Cow<'a, str>>,
    background: Option<bool>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
}

/// Where a borrowed part lies in the body it was borrowed from.
fn span(body: &[u8], raw: &RawValue) -> Span {
    let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
    let place = |at: usize| u32::try_from(at).expect("the body's length was checked");
    Span { start: place(start), end: place(start + raw.get().len()) }
}

/// A [`Span`] has room for no more.
fn check_length(body: &[u8]) -> Result<(), CallError> {
    match u32::try_from(body.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(CallError { message: "The body is longer than 4 GiB.".into(), field: None }),
    }
}

/// What we skip may nest without end, and whoever reads it after us may not be so patient.
fn check_depth(body: &[u8]) -> Result<(), CallError> {
    // No deeper than it has openings: most bodies need no second look.
    if memchr::memchr2_iter(b'{', b'[', body).count() <= MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let message = format!("The body is nested deeper than {MAX_DEPTH} levels.");
                    return Err(CallError { message, field: None });
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// A change to a body: the bytes of a span give way to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub at: Range<usize>,
    pub with: Vec<u8>,
}

/// The body with its model named so, whatever it calls it, and asking for usage at the end of its stream where it did not;
/// none when it can go out as it is.
#[must_use]
pub fn rewritten(call: &Call, body: &[u8], model: &str, ask_usage: bool) -> Option<Vec<u8>> {
    let mut edits: Vec<Edit> = Vec::new();
    match call.model_at {
        Some(at) if is_text(at.of(body), model) => {}
        Some(at) => edits.push(Edit { at: at.range(), with: json_text(model) }),
        None => edits.push(added(body, "model", &json_text(model))),
    }
    if ask_usage && call.stream && !call.wants_usage {
        edits.push(usage_asked(call, body));
    }
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|edit| edit.at.start);
    let mut out = Vec::with_capacity(body.len() + 128);
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(&body[from..edit.at.start]);
        out.extend_from_slice(&edit.with);
        from = edit.at.end;
    }
    out.extend_from_slice(&body[from..]);
    Some(out)
}

fn usage_asked(call: &Call, body: &[u8]) -> Edit {
    const ASKED: &[u8] = b"{\"include_usage\":true}";
    if let Some(at) = call.stream_options {
        // What is neither an object nor a list was refused when the call was read. A list says nothing more than what is asked
        // for here, so it gives way to that.
        let options: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(at.of(body)).ok();
        let with = match options {
            Some(mut options) => {
                options.insert("include_usage".into(), true.into());
                serde_json::to_vec(&options).expect("a map of values serialises")
            }
            None => ASKED.to_vec(),
        };
        return Edit { at: at.range(), with };
    }
    added(body, "stream_options", ASKED)
}

/// A member more, after the brace that opens the object; the body has others, so a comma follows.
fn added(body: &[u8], name: &str, value: &[u8]) -> Edit {
    let start = memchr::memchr(b'{', body).map_or(0, |brace| brace + 1);
    Edit { at: start..start, with: [b"\"", name.as_bytes(), b"\":", value, b","].concat() }
}

/// Whether this JSON is the text, as it is written without escapes.
fn is_text(json: &[u8], text: &str) -> bool {
    json.len() == text.len() + 2 && &json[1..json.len() - 1] == text.as_bytes()
}

fn json_text(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a text serialises")
}

/// The text of a reply's piece: the values of the keys that carry text, found without reading the rest.
///
/// A key within a text cannot be mistaken for one: its quotes would be escaped.
pub fn each_text(dialect: Dialect, json: &[u8], each: impl FnMut(&str)) {
    // What the events at the end of a stream say has been said.
    let keys = if dialect == Dialect::Responses { &[&b"\"delta\":"[..]][..] } else { keys(dialect) };
    each_value(keys, json, each);
}

/// As [`each_text`], of a reply that is there as a whole.
pub fn each_text_of_whole(dialect: Dialect, json: &[u8], each: impl FnMut(&str)) {
    each_value(keys(dialect), json, each);
}

fn keys(dialect: Dialect) -> &'static [&'static [u8]] {
    match dialect {
        Dialect::Messages => &[b"text\":", b"partial_json\":", b"thinking\":"],
        Dialect::Responses => &[b"text\":", b"arguments\":", b"refusal\":"],
        // `reasoning_content` ends like `content`.
        _ => &[b"content\":", b"arguments\":", b"refusal\":"],
    }
}

fn each_value(keys: &[&[u8]], json: &[u8], mut each: impl FnMut(&str)) {
    for key in keys {
        for at in memchr::memmem::find_iter(json, key) {
            let value = json[at + key.len()..].trim_ascii_start();
            if value.first() != Some(&b'"') {
                continue;
            }
            let mut reader = serde_json::Deserializer::from_slice(value).into_iter::<TextOrElse<'_>>();
            if let Some(Ok(TextOrElse(text))) = reader.next() {
                each(&text);
            }
        }
    }
}

/// A text, borrowed where it has no escapes.
#[derive(Deserialize)]
struct TextOrElse<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests;
