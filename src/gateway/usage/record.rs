//! `UsageRecord`: what one request through the gateway used.

use crate::base::{KeyId, WorkspaceId};
use crate::gateway::limit::QuotaSpent;
use crate::wire::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// What one request used, and what became of it. As it stands here, a line of JSON, it lies in the spool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Makes a second writing harmless.
    pub id: Uuid,
    /// When the request ended.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub request_id: String,
    /// Of the caller: who is charged.
    pub workspace_id: Option<WorkspaceId>,
    pub key_id: Option<KeyId>,
    pub key_name: String,
    pub user_name: String,
    pub route: String,
    /// `workspace/name` in the catalog.
    pub asset: String,
    /// As the GenAI conventions name it: `chat`, `embeddings` ...
    pub operation: String,
    /// The alias that was asked for.
    pub model: String,
    pub backend: String,
    /// The kind of the backend's vendor, for metrics: `openai`, `anthropic` ...
    pub provider: String,
    pub vendor_model: String,
    #[serde(flatten)]
    pub tokens: Tokens,
    /// In thousand-millionths of the currency's unit.
    pub cost: u64,
    /// Tokens, and their cost, that the cache saved.
    pub saved: u64,
    pub saved_cost: u64,
    pub latency_ms: u64,
    /// Of streams.
    pub first_token_ms: Option<u64>,
    pub attempts: u32,
    /// What the client was answered.
    pub status: u16,
    pub stream: bool,
    pub outcome: Outcome,
    /// The policy that refused, or that would have in shadow.
    pub refused_by: String,
    pub cache: CacheUse,
    pub source: Source,
    /// What policies add to metrics.
    pub dimensions: BTreeMap<String, String>,
    /// What counts against quotas, so that they outlast the process.
    pub quotas: Vec<QuotaLine>,
}

/// Tokens by category, under the names of the record's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    pub input: u64,
    pub cached_input: u64,
    pub cache_write: u64,
    pub input_audio: u64,
    pub output: u64,
    pub reasoning: u64,
    pub output_audio: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    #[default]
    Served,
    /// By a policy.
    Refused,
    /// The client left before the end.
    Cancelled,
    /// No backend answered, or one broke off.
    Failed,
}

/// Whether the answer came from the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CacheUse {
    #[default]
    #[serde(rename = "")]
    None,
    #[serde(rename = "exact")]
    Exact,
    #[serde(rename = "semantic")]
    Semantic,
}

/// Where the numbers of tokens are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The vendor said so.
    Reported,
    /// We counted what was passed on.
    Counted,
    /// Neither was possible.
    Estimated,
    /// There were none.
    #[default]
    None,
}

/// A [`QuotaSpent`] as the spool keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaLine {
    pub key: String,
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    pub amount: u64,
}

impl UsageRecord {
    /// A record of nothing yet, with an id of its own.
    #[must_use]
    pub fn new(at: OffsetDateTime) -> Self {
        Self {
            id: Uuid::now_v7(),
            at,
            request_id: String::new(),
            workspace_id: None,
            key_id: None,
            key_name: String::new(),
            user_name: String::new(),
            route: String::new(),
            asset: String::new(),
            operation: String::new(),
            model: String::new(),
            backend: String::new(),
            provider: String::new(),
            vendor_model: String::new(),
            tokens: Tokens::default(),
            cost: 0,
            saved: 0,
            saved_cost: 0,
            latency_ms: 0,
            first_token_ms: None,
            attempts: 0,
            status: 0,
            stream: false,
            outcome: Outcome::default(),
            refused_by: String::new(),
            cache: CacheUse::default(),
            source: Source::default(),
            dimensions: BTreeMap::new(),
            quotas: Vec::new(),
        }
    }

    /// Adds what counts against quotas.
    pub fn add_quotas(&mut self, spent: Vec<QuotaSpent>) {
        let lines =
            spent.into_iter().map(|QuotaSpent { key, start, amount }| QuotaLine { key: key.to_hex(), start, amount });
        self.quotas.extend(lines);
    }

    /// Whether its numbers are ones that the database has room for, `bigint` and `integer`.
    pub(super) fn is_storable(&self) -> bool {
        let Tokens { input, cached_input, cache_write, input_audio, output, reasoning, output_audio } = self.tokens;
        let tokens = [input, cached_input, cache_write, input_audio, output, reasoning, output_audio];
        let others = [self.cost, self.saved, self.saved_cost, self.latency_ms, self.first_token_ms.unwrap_or(0)];
        tokens.into_iter().chain(others).all(|number| i64::try_from(number).is_ok())
            && i32::try_from(self.attempts).is_ok()
    }

    /// The line of the spool, with its end. Characters that Postgres keeps no text with are left out.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(700);
        serde_json::to_writer(&mut line, self).expect("texts and numbers serialise");
        // Only texts of callers hold one, and JSON escapes it.
        if memchr::memmem::find(&line, b"\\u0000").is_some() {
            line = String::from_utf8_lossy(&line).replace("\\u0000", "").into_bytes();
        }
        line.push(b'\n');
        line
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, cache_write, input_audio, output, reasoning, output_audio } = usage;
        Self { input, cached_input, cache_write, input_audio, output, reasoning, output_audio }
    }
}

impl Outcome {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl CacheUse {
    /// Empty where it did not.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Exact => "exact",
            Self::Semantic => "semantic",
        }
    }
}

impl Source {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_line_reads_back_as_the_record_and_is_one_line() {
        let mut record = UsageRecord::new(datetime!(2026-03-01 12:00 UTC));
        record.key_name = "a \"bot\"\nof two lines".to_owned();
        record.tokens = Tokens { input: 3, output: 4, ..Tokens::default() };
        record.cache = CacheUse::Semantic;

        let line = record.line();

        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(serde_json::from_slice::<UsageRecord>(&line).unwrap(), record);
    }

    #[test]
    fn what_postgres_cannot_keep_is_left_out() {
        let mut record = UsageRecord::new(datetime!(2026-03-01 12:00 UTC));
        record.user_name = "a\0b".to_owned();

        assert_eq!(serde_json::from_slice::<UsageRecord>(&record.line()).unwrap().user_name, "ab");
    }
}
