//! What is asked in the playground, as a client would write it; and the text of what comes back. Pure.

use crate::base::Problem;
use crate::gateway::Route;
use crate::gateway::settings;
use crate::wire::call::{Dialect, each_text, each_text_of_whole};
use crate::wire::sse;
use bytes::BytesMut;
use serde_json::{Value, json};

/// Reply tokens where the form says nothing and the dialect wants a number.
const USUAL: u64 = 1_024;
/// The longest event that is waited for.
const LONGEST_EVENT: usize = 4 << 20;

/// The form, as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub model: String,
    pub system: String,
    pub prompt: String,
    pub temperature: String,
    pub max_tokens: String,
    /// The id of a key of the reader's; empty: as the reader.
    pub key: String,
    /// Asks past the cache.
    pub fresh: bool,
}

impl Form {
    /// The body of a streamed request.
    ///
    /// # Errors
    /// 422 with the field that does not read.
    pub fn body(&self, dialect: Dialect) -> Result<Value, Problem> {
        if self.prompt.is_empty() {
            return Err(Problem::invalid_field("body.prompt", "write what is to be answered"));
        }
        let temperature = match self.temperature.as_str() {
            "" => None,
            text => {
                let number = text.replace(',', ".").parse::<f64>().ok().filter(|number| (0.0..=2.0).contains(number));
                let wrong = || Problem::invalid_field("body.temperature", "write a number from 0 to 2");
                Some(number.ok_or_else(wrong)?)
            }
        };
        let max_tokens = match self.max_tokens.replace([',', ' '], "").as_str() {
            "" => None,
            text => {
                let number = text.parse::<u64>().ok().filter(|number| (1..=1_000_000).contains(number));
                let wrong = || Problem::invalid_field("body.maxTokens", "write a whole number from 1 to 1,000,000");
                Some(number.ok_or_else(wrong)?)
            }
        };
        let mut body = json!({"model": self.model, "stream": true});
        let user = json!({"role": "user", "content": self.prompt});
        let system = (!self.system.is_empty()).then_some(&self.system);
        if dialect.is_anthropic() {
            body["messages"] = json!([user]);
            body["max_tokens"] = json!(max_tokens.unwrap_or(USUAL));
            if let Some(system) = system {
                body["system"] = json!(system);
            }
        } else {
            let system = system.map(|system| json!({"role": "system", "content": system}));
            body["messages"] = system.into_iter().chain([user]).collect();
            if let Some(max_tokens) = max_tokens {
                body["max_tokens"] = json!(max_tokens);
            }
        }
        if let Some(temperature) = temperature {
            body["temperature"] = json!(temperature);
        }
        Ok(body)
    }
}

/// How a route is asked for a chat; none when it answers to none.
pub(super) fn dialect(route: &Route) -> Option<Dialect> {
    let dialects = &route.settings.dialects;
    let speaks = |one| dialects.is_empty() || dialects.contains(&one);
    if speaks(settings::Dialect::OpenaiChat) {
        Some(Dialect::Chat)
    } else {
        speaks(settings::Dialect::AnthropicMessages).then_some(Dialect::Messages)
    }
}

/// Finds the text in an answer as it comes.
pub(super) struct Reader {
    dialect: Dialect,
    rest: BytesMut,
    /// What an `error` event said.
    pub error: Option<String>,
}

impl Reader {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, rest: BytesMut::new(), error: None }
    }

    /// The text of all events that end in this piece.
    pub fn piece(&mut self, piece: &[u8]) -> String {
        self.rest.extend_from_slice(piece);
        let mut text = String::new();
        while let Some(end) = sse::event_end(&self.rest) {
            let event = self.rest.split_to(end);
            if let Some(data) = sse::data(&event) {
                self.data(&data, &mut text);
            }
        }
        if self.rest.len() > LONGEST_EVENT {
            self.rest.clear();
        }
        text
    }

    /// The text of an answer that came as a whole although a stream was asked for.
    pub fn whole(&mut self, body: &[u8]) -> String {
        let mut text = String::new();
        match error_of(body) {
            Some(message) => self.error = Some(message),
            None => each_text_of_whole(self.dialect, body, |piece| text.push_str(piece)),
        }
        text
    }

    fn data(&mut self, data: &[u8], text: &mut String) {
        if let Some(message) = error_of(data) {
            self.error = Some(message);
            return;
        }
        each_text(self.dialect, data, |piece| text.push_str(piece));
    }
}

/// What an error in either dialect says.
pub(super) fn error_of(data: &[u8]) -> Option<String> {
    memchr::memmem::find(data, b"\"error\"")?;
    let value: Value = serde_json::from_slice(data).ok()?;
    let error = value.get("error").filter(|error| !error.is_null())?;
    let message = error.get("message").and_then(Value::as_str).or_else(|| error.as_str());
    Some(message.unwrap_or("The backend told of an error.").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form { model: "fast".into(), prompt: "hi".into(), system: "be brief".into(), ..Form::default() }
    }

    #[test]
    fn a_form_is_written_as_a_client_of_the_dialect_would() {
        let form = Form { temperature: "0,5".into(), max_tokens: "1,000".into(), ..form() };

        let chat = form.body(Dialect::Chat).unwrap();
        assert_eq!(chat["messages"][0], json!({"role": "system", "content": "be brief"}));
        assert_eq!((&chat["max_tokens"], &chat["temperature"]), (&json!(1_000), &json!(0.5)));
        let messages = Form { max_tokens: String::new(), ..form }.body(Dialect::Messages).unwrap();
        assert_eq!((&messages["system"], &messages["max_tokens"]), (&json!("be brief"), &json!(USUAL)));
        assert_eq!(messages["messages"], json!([{"role": "user", "content": "hi"}]));
    }

    #[test]
    fn what_does_not_read_is_told_with_its_field() {
        for (wrong, place) in [
            (Form { prompt: String::new(), ..form() }, "body.prompt"),
            (Form { temperature: "warm".into(), ..form() }, "body.temperature"),
            (Form { temperature: "3".into(), ..form() }, "body.temperature"),
            (Form { max_tokens: "0".into(), ..form() }, "body.maxTokens"),
        ] {
            assert_eq!(wrong.body(Dialect::Chat).unwrap_err().errors[0].location, place);
        }
    }

    #[test]
    fn text_is_found_wherever_the_pieces_are_cut() {
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n\
                      data: {\"choices\":[{\"delta\":{\"content\":\" there\"}}]}\n\ndata: [DONE]\n\n";
        for size in 1..stream.len() {
            let mut reader = Reader::new(Dialect::Chat);
            let text: String = stream.as_bytes().chunks(size).map(|piece| reader.piece(piece)).collect();
            assert_eq!((text.as_str(), &reader.error), ("Hello there", &None), "{size}");
        }
        let mut reader = Reader::new(Dialect::Messages);
        assert_eq!(reader.piece(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"cut\"}}\n\n"), "");
        assert_eq!(reader.error.as_deref(), Some("cut"));
    }
}
