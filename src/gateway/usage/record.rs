//! `UsageRecord`: what one request through the gateway used.

use crate::base::{KeyId, WorkspaceId};
use crate::gateway::limit::QuotaSpent;
use crate::wire::usage::Usage;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// What one request used, and what became of it. It lies in the spool as a line of JSON ([`UsageRecord::line`]); a field that
/// comes to it needs a default, since lines of the program before are read too.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct UsageRecord {
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
    #[serde(default)]
    pub asset: String,
    /// The dialect in which it was asked: `chat`, `messages`, `embeddings` ...; `rest` of a REST API.
    pub operation: Cow<'static, str>,
    /// The alias that was asked for.
    pub model: String,
    pub backend: String,
    /// The kind of the backend's vendor, for metrics: `openai`, `anthropic` ...
    pub provider: Cow<'static, str>,
    pub vendor_model: String,
    #[serde(flatten)]
    pub tokens: Tokens,
    /// In thousand-millionths of the currency's unit.
    #[serde(default)]
    pub cost: u64,
    /// Tokens, and their cost, that the cache saved.
    #[serde(default)]
    pub saved: u64,
    #[serde(default)]
    pub saved_cost: u64,
    pub latency_ms: u64,
    /// Of streams.
    #[serde(default)]
    pub first_token_ms: Option<u64>,
    pub attempts: u32,
    /// What the client was answered.
    pub status: u16,
    #[serde(default)]
    pub stream: bool,
    pub outcome: Outcome,
    /// The policy that refused, or that would have in shadow.
    #[serde(default)]
    pub refused_by: String,
    #[serde(default)]
    pub cache: CacheUse,
    pub source: Source,
    /// What policies add to metrics.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// What counts against quotas, so that they outlast the process.
    #[serde(default)]
    pub quotas: Vec<QuotaLine>,
}

/// Tokens by category, under the names of the record's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tokens {
    pub input: u64,
    pub cached_input: u64,
    pub cache_write: u64,
    pub input_audio: u64,
    pub input_image: u64,
    pub output: u64,
    pub reasoning: u64,
    pub output_audio: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
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
    /// A record of nothing yet.
    #[must_use]
    pub fn new(at: OffsetDateTime) -> Self {
        Self {
            at,
            request_id: String::new(),
            workspace_id: None,
            key_id: None,
            key_name: String::new(),
            user_name: String::new(),
            route: String::new(),
            asset: String::new(),
            operation: Cow::Borrowed(""),
            model: String::new(),
            backend: String::new(),
            provider: Cow::Borrowed(""),
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
        let Tokens { input, cached_input, cache_write, input_audio, input_image, output, reasoning, output_audio } =
            self.tokens;
        let tokens = [input, cached_input, cache_write, input_audio, input_image, output, reasoning, output_audio];
        let others = [self.cost, self.saved, self.saved_cost, self.latency_ms, self.first_token_ms.unwrap_or(0)];
        tokens.into_iter().chain(others).all(|number| i64::try_from(number).is_ok())
            && i32::try_from(self.attempts).is_ok()
    }

    /// Leaves out the character that Postgres keeps no text with.
    pub(super) fn leave_out_nul(&mut self) {
        let holds_one = |text: &str| memchr::memchr(0, text.as_bytes()).is_some();
        for text in [
            &mut self.request_id,
            &mut self.key_name,
            &mut self.user_name,
            &mut self.route,
            &mut self.asset,
            &mut self.model,
            &mut self.backend,
            &mut self.vendor_model,
            &mut self.refused_by,
        ] {
            if holds_one(text) {
                text.retain(|character| character != '\0');
            }
        }
        if self.dimensions.iter().any(|(name, value)| holds_one(name) || holds_one(value)) {
            let dimensions = std::mem::take(&mut self.dimensions).into_iter();
            self.dimensions =
                dimensions.map(|(name, value)| (name.replace('\0', ""), value.replace('\0', ""))).collect();
        }
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, cache_write, input_audio, input_image, output, reasoning, output_audio } =
            usage;
        Self { input, cached_input, cache_write, input_audio, input_image, output, reasoning, output_audio }
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
    fn what_postgres_cannot_keep_is_left_out_and_nothing_that_looks_like_it() {
        let mut record = UsageRecord::new(datetime!(2026-03-01 12:00 UTC));
        record.user_name = "a\0b".to_owned();
        record.key_name = r"x\u0000".to_owned();
        record.dimensions = [("team".to_owned(), "\0".to_owned()), (r"\u0000".to_owned(), "a".to_owned())].into();

        record.leave_out_nul();

        assert_eq!((record.user_name.as_str(), record.key_name.as_str()), ("ab", r"x\u0000"));
        assert_eq!(record.dimensions["team"], "");
        assert_eq!(serde_json::from_slice::<UsageRecord>(&record.line()).unwrap(), record);
    }
}
