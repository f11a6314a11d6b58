//! Tokens as vendors report them: one reader for all the places and names they use.

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The tokens of one exchange by category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// All tokens of the prompt, those of the vendor's cache included.
    pub input: u64,
    /// The part of `input` that the vendor read from its cache.
    pub cached_input: u64,
    /// The part of `input` that the vendor wrote into its cache.
    pub cache_write: u64,
    /// The part of `input` that was sound.
    pub input_audio: u64,
    /// The part of `input` that was pictures, where the vendor tells it apart.
    pub input_image: u64,
    /// All tokens of the reply, reasoning included.
    pub output: u64,
    /// The part of `output` that is reasoning.
    pub reasoning: u64,
    /// The part of `output` that is sound.
    pub output_audio: u64,
}

impl Usage {
    /// Prompt and reply together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The larger number of each category: streams report more than once, each time all so far.
    #[must_use]
    pub fn with(self, later: Self) -> Self {
        Self {
            input: self.input.max(later.input),
            cached_input: self.cached_input.max(later.cached_input),
            cache_write: self.cache_write.max(later.cache_write),
            input_audio: self.input_audio.max(later.input_audio),
            input_image: self.input_image.max(later.input_image),
            output: self.output.max(later.output),
            reasoning: self.reasoning.max(later.reasoning),
            output_audio: self.output_audio.max(later.output_audio),
        }
    }
}

/// No exchange has more; a larger number is a vendor's mistake, and we count ourselves.
const MOST: u64 = 100_000_000;

static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));

/// The usage a whole answer, or the data of one event of a stream, reports; none where there is none or it cannot be
/// believed (negative, no number, absurdly large).
#[must_use]
pub fn reported(json: &[u8]) -> Option<Usage> {
    let last = objects(json).last()?;
    let usage = at_the_end(json, last).or_else(|| anywhere(json))?.read();
    (usage.input <= MOST && usage.output <= MOST).then_some(usage)
}

/// The one that begins there, where it belongs to the outermost object because nothing but plain values follows it. So most
/// vendors write it, and the whole answer before it need not be read once more.
fn at_the_end(json: &[u8], from: usize) -> Option<Raw> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(&json[from..]).into_iter::<Raw>();
    let usage = values.next()?.ok()?;
    let rest = json[from + values.byte_offset()..].trim_ascii_end().strip_suffix(b"}")?;
    let is_plain = rest.iter().all(|byte| !matches!(byte, b'{' | b'}' | b'[' | b']'));
    is_plain.then_some(usage)
}

fn anywhere(json: &[u8]) -> Option<Raw> {
    let envelope: Envelope = super::json::read(json).ok()?;
    let inner = envelope.response.or(envelope.message).and_then(|inner| inner.usage);
    envelope.usage.or(inner)
}

/// Whether it is worth reading: most events of a stream have no usage, or `"usage":null`.
#[must_use]
pub fn may_report(json: &[u8]) -> bool {
    objects(json).next().is_some()
}

/// Where the objects begin that are called `usage`.
fn objects(json: &[u8]) -> impl Iterator<Item = usize> {
    KEY.find_iter(json).filter_map(|at| {
        let rest = &json[at + KEY.needle().len()..];
        let value = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        (value.first() == Some(&b'{')).then(|| json.len() - value.len())
    })
}

#[derive(Deserialize)]
struct Envelope {
    usage: Option<Raw>,
    /// Events of the responses API.
    response: Option<Inner>,
    /// The first event of Anthropic's messages.
    message: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    usage: Option<Raw>,
}

#[derive(Default, Deserialize)]
struct Raw {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

impl Raw {
    /// Parts are never more than their whole: sums and prices take them from it.
    fn read(self) -> Usage {
        let of_input = self.prompt_tokens_details.or(self.input_tokens_details).unwrap_or_default();
        let of_output = self.completion_tokens_details.or(self.output_tokens_details).unwrap_or_default();
        let (read, written) =
            (self.cache_read_input_tokens.unwrap_or(0), self.cache_creation_input_tokens.unwrap_or(0));
        let of_cache = read.saturating_add(written);
        // Anthropic counts what its cache read and wrote beside `input_tokens`. All who say `prompt_tokens`, or tell the
        // parts of a whole, count it within, also where they repeat Anthropic's names; unless it is more than the whole.
        let input = match (self.prompt_tokens, of_input.cached_tokens) {
            (Some(prompt), _) if prompt >= of_cache => prompt,
            (None, Some(_)) => self.input_tokens.unwrap_or(0),
            (prompt, _) => prompt.or(self.input_tokens).unwrap_or(0).saturating_add(of_cache),
        };
        let output = self.completion_tokens.or(self.output_tokens).unwrap_or(0);
        let cached_input = of_input.cached_tokens.unwrap_or(read).min(input);
        let cache_write = written.min(input - cached_input);
        let fresh = input - cached_input - cache_write;
        let input_audio = of_input.audio_tokens.unwrap_or(0).min(fresh);
        let reasoning = of_output.reasoning_tokens.unwrap_or(0).min(output);
        Usage {
            input,
            cached_input,
            cache_write,
            input_audio,
            input_image: of_input.image_tokens.unwrap_or(0).min(fresh - input_audio),
            output,
            reasoning,
            output_audio: of_output.audio_tokens.unwrap_or(0).min(output - reasoning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_is_understood() {
        let chat = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,
            "prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1,"image_tokens":2},"completion_tokens_details":{"reasoning_tokens":2}}}"#;
        let response = r#"{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":9,"output_tokens":5,
            "input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":2}}}}"#;
        let message = r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":4,
            "cache_creation_input_tokens":2,"output_tokens":1}}}"#;
        let embedding = r#"{"data":[],"usage":{"prompt_tokens":9,"total_tokens":9}}"#;

        let expected = Usage { input: 9, cached_input: 4, output: 5, reasoning: 2, ..Usage::default() };
        assert_eq!(reported(chat.as_bytes()), Some(Usage { input_audio: 1, input_image: 2, ..expected }));
        assert_eq!(reported(response.as_bytes()), Some(expected));
        let anthropic = Usage { cache_write: 2, output: 1, reasoning: 0, ..expected };
        assert_eq!(reported(message.as_bytes()), Some(anthropic));
        assert_eq!(reported(embedding.as_bytes()), Some(Usage { input: 9, ..Usage::default() }));
    }

    #[test]
    fn what_a_cache_read_is_counted_once() {
        for (usage, input, cached_input, cache_write) in [
            (r#"{"prompt_tokens":100,"cache_read_input_tokens":80,"cache_creation_input_tokens":10}"#, 100, 80, 10),
            (
                r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":80},"cache_read_input_tokens":80}"#,
                100,
                80,
                0,
            ),
            (
                r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":80},"cache_read_input_tokens":80}"#,
                100,
                80,
                0,
            ),
            (r#"{"input_tokens":20,"cache_read_input_tokens":80}"#, 100, 80, 0),
            (r#"{"prompt_tokens":20,"cache_read_input_tokens":80}"#, 100, 80, 0),
        ] {
            let usage = reported(format!(r#"{{"usage":{usage}}}"#).as_bytes());
            assert_eq!(usage, Some(Usage { input, cached_input, cache_write, ..Usage::default() }));
        }
    }

    #[test]
    fn only_the_answers_own_usage_is_meant() {
        let own = r#""usage":{"prompt_tokens":9,"completion_tokens":5}"#;
        let other = r#""usage":{"prompt_tokens":1,"completion_tokens":1}"#;
        let expected = Some(Usage { input: 9, output: 5, ..Usage::default() });
        for text in [
            format!(r#"{{{own}}}"#),
            format!(r#"{{"choices":[],{own},"service_tier":"default","more":null}} "#),
            format!(r#"{{{own},"choices":[{{{other}}}]}}"#),
            format!(r#"{{"choices":[{{{other}}}],{own},"words":"a ] and a }}"}}"#),
            format!(r#"{{"response":{{{own}}},"choice":{{{other}}}}}"#),
        ] {
            assert_eq!(reported(text.as_bytes()), expected, "{text}");
        }
        for text in [
            format!(r#"{{"choices":[{{{other}}}]}}"#),
            format!(r#"{{"choice":{{{other}}}}}"#),
            format!(r#"[{{{other}}}"#),
            format!(r#"{{{other}"#),
        ] {
            assert_eq!(reported(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn parts_are_never_more_than_their_whole() {
        let most = u64::MAX;
        let text = format!(
            r#"{{"usage":{{"prompt_tokens":9,"completion_tokens":5,
                "prompt_tokens_details":{{"cached_tokens":{most},"audio_tokens":{most}}},
                "completion_tokens_details":{{"reasoning_tokens":3,"audio_tokens":{most}}}}}}}"#
        );

        let usage = reported(text.as_bytes()).unwrap();

        let expected =
            Usage { input: 9, cached_input: 9, output: 5, reasoning: 3, output_audio: 2, ..Usage::default() };
        assert_eq!(usage, expected);
        let beside = format!(r#"{{"usage":{{"prompt_tokens":9,"cache_read_input_tokens":{most}}}}}"#);
        assert_eq!(reported(beside.as_bytes()), None);
    }

    #[test]
    fn what_cannot_be_believed_is_not() {
        for text in [
            r#"{"usage":null,"choices":[]}"#,
            r#"{"usage": {"prompt_tokens": -1}}"#,
            r#"{"usage":{"prompt_tokens":"9"}}"#,
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":999999999999}}"#,
            r#"{"usage":{"prompt_tokens":1e400}}"#,
            r#"{"content":"about \"usage\": {}"}"#,
            "[DONE]",
            "",
        ] {
            assert_eq!(reported(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn later_reports_complete_earlier_ones() {
        let first = Usage { input: 9, output: 1, ..Usage::default() };
        let last = Usage { output: 7, ..Usage::default() };

        assert_eq!(first.with(last), Usage { input: 9, output: 7, ..Usage::default() });
    }
}
