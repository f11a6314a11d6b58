//! A usage record as a line of the spool: an object of JSON, which [`UsageRecord`] is read from.
//!
//! Put together by hand: every request writes one before it is answered, and a serialiser looks at each name for what must be
//! escaped, which took it longer than everything else.

use super::record::{CacheUse, Tokens, UsageRecord};
use serde::Serialize;
use uuid::Uuid;

impl UsageRecord {
    /// The line, with its end. What most records have nothing of is left out.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = Line { bytes: Vec::with_capacity(600) };
        line.bytes.push(b'{');
        line.value("at", &Moment(self.at));
        line.value("request_id", &self.request_id);
        line.id("workspace_id", self.workspace_id.map(|id| id.0));
        line.id("key_id", self.key_id.map(|id| id.0));
        line.value("key_name", &self.key_name);
        line.value("user_name", &self.user_name);
        line.value("route", &self.route);
        line.text_unless_empty("asset", &self.asset);
        line.value("operation", &self.operation);
        line.value("model", &self.model);
        line.value("backend", &self.backend);
        line.value("provider", &self.provider);
        line.value("vendor_model", &self.vendor_model);
        let Tokens { input, cached_input, cache_write, input_audio, input_image, output, reasoning, output_audio } =
            self.tokens;
        line.number("input", input);
        line.number_unless_zero("cached_input", cached_input);
        line.number_unless_zero("cache_write", cache_write);
        line.number_unless_zero("input_audio", input_audio);
        line.number_unless_zero("input_image", input_image);
        line.number("output", output);
        line.number_unless_zero("reasoning", reasoning);
        line.number_unless_zero("output_audio", output_audio);
        line.number_unless_zero("cost", self.cost);
        line.number_unless_zero("saved", self.saved);
        line.number_unless_zero("saved_cost", self.saved_cost);
        line.number("latency_ms", self.latency_ms);
        if let Some(first) = self.first_token_ms {
            line.number("first_token_ms", first);
        }
        line.number("attempts", self.attempts.into());
        line.number("status", self.status.into());
        if self.stream {
            line.plain("stream", "true");
        }
        line.word("outcome", self.outcome.as_str());
        line.text_unless_empty("refused_by", &self.refused_by);
        if self.cache != CacheUse::None {
            line.word("cache", self.cache.as_str());
        }
        line.word("source", self.source.as_str());
        if !self.dimensions.is_empty() {
            line.value("dimensions", &self.dimensions);
        }
        if !self.quotas.is_empty() {
            line.value("quotas", &self.quotas);
        }
        line.bytes.extend_from_slice(b"}\n");
        line.bytes
    }
}

#[derive(Serialize)]
struct Moment(#[serde(with = "time::serde::rfc3339")] time::OffsetDateTime);

/// A line that is being written. Names are ours and need no escaping.
struct Line {
    bytes: Vec<u8>,
}

impl Line {
    fn name(&mut self, name: &str) {
        if self.bytes.len() > 1 {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    /// Whatever it is.
    fn value(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        serde_json::to_writer(&mut self.bytes, value).expect("texts and numbers serialise");
    }

    fn text_unless_empty(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.value(name, &text);
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.plain(name, itoa::Buffer::new().format(number));
    }

    fn number_unless_zero(&mut self, name: &str, number: u64) {
        if number != 0 {
            self.number(name, number);
        }
    }

    fn id(&mut self, name: &str, id: Option<Uuid>) {
        match id {
            Some(id) => self.word(name, id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            None => self.plain(name, "null"),
        }
    }

    /// A text in which nothing has to be escaped.
    fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(word.as_bytes());
        self.bytes.push(b'"');
    }

    /// What is JSON as it stands.
    fn plain(&mut self, name: &str, json: &str) {
        self.name(name);
        self.bytes.extend_from_slice(json.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Outcome, QuotaLine, Source};
    use super::*;
    use crate::base::{KeyId, WorkspaceId};
    use time::macros::datetime;

    fn read_back(record: &UsageRecord) -> UsageRecord {
        serde_json::from_slice(&record.line()).unwrap_or_else(|error| panic!("{error}: {record:?}"))
    }

    #[test]
    fn a_line_reads_back_as_the_record_and_is_one_line() {
        let mut record = UsageRecord::new(datetime!(2026-03-01 12:00 UTC));
        record.key_name = "a \"bot\"\nof two lines".to_owned();
        record.tokens = Tokens { input: 3, output: 4, ..Tokens::default() };
        record.cache = CacheUse::Semantic;

        assert_eq!(record.line().iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(read_back(&record), record);
    }

    #[test]
    fn no_field_is_lost_whatever_it_holds() {
        let text = |name: &str| format!("{name} \"\\\u{1}\u{e9}\n");
        let full = UsageRecord {
            at: datetime!(2026-03-01 12:00:01.234567 UTC),
            request_id: text("request"),
            workspace_id: Some(WorkspaceId(Uuid::from_u128(1))),
            key_id: Some(KeyId(Uuid::from_u128(2))),
            key_name: text("key"),
            user_name: text("user"),
            route: text("route"),
            asset: text("asset"),
            operation: text("operation").into(),
            model: text("model"),
            backend: text("backend"),
            provider: text("provider").into(),
            vendor_model: text("vendor model"),
            tokens: Tokens {
                input: 3,
                cached_input: 4,
                cache_write: 5,
                input_audio: 6,
                input_image: 7,
                output: 8,
                reasoning: 9,
                output_audio: 10,
            },
            cost: 11,
            saved: 12,
            saved_cost: 13,
            latency_ms: 14,
            first_token_ms: Some(15),
            attempts: 16,
            status: 17,
            stream: true,
            outcome: Outcome::Cancelled,
            refused_by: text("policy"),
            cache: CacheUse::Exact,
            source: Source::Estimated,
            dimensions: [(text("team"), text("value"))].into(),
            quotas: vec![QuotaLine { key: text("quota"), start: datetime!(2026-03-01 0:00 UTC), amount: u64::MAX }],
        };

        assert_eq!(read_back(&full), full);
        for outcome in [Outcome::Served, Outcome::Refused, Outcome::Cancelled, Outcome::Failed] {
            for source in [Source::Reported, Source::Counted, Source::Estimated, Source::None] {
                for cache in [CacheUse::None, CacheUse::Exact, CacheUse::Semantic] {
                    let record = UsageRecord { outcome, source, cache, ..UsageRecord::new(full.at) };

                    assert_eq!(read_back(&record), record);
                }
            }
        }
    }
}
