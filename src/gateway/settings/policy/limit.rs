//! Limits: tokens, requests and money, counted by a key.

use super::super::{KeyTemplate, Money, Span, is_default};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many tokens and requests a counter key may use. Several may be set; the strictest refuses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayTokenLimit)]
pub struct TokenLimit {
    /// What is counted by: `{key}`, `{workspace}/{model}`, `{header:X-App}` ...; `{key}` where it is not said.
    #[schema(value_type = String, max_length = 500)]
    pub counter_key: KeyTemplate,
    /// Input and output together, over a sliding minute. Over it: 429.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub input_tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub output_tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub requests_per_minute: Option<u64>,
    /// Requests under way at once.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub concurrent_requests: Option<u32>,
    /// Quotas over fixed periods, in UTC. Over one: 403.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(max_items = 10)]
    pub quotas: Vec<Quota>,
    /// How long a request may wait when only reservations of requests under way stand against it; `300ms` unless said,
    /// `0s` for never, at most `5s`.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<String>)]
    pub queue: Option<Span>,
    /// The reply allowance that is reserved before anything was learned about a key and model; 512 unless said.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub reply_allowance: Option<u64>,
}

/// So many in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayQuota)]
pub struct Quota {
    pub period: Period,
    /// Input and output together.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub requests: Option<u64>,
}

/// A fixed period in UTC; a week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayPeriod)]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
}

impl Period {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// How many requests a counter key may send in a time, over a sliding window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayRequestRate)]
pub struct RequestRate {
    #[schema(value_type = String, max_length = 500)]
    pub counter_key: KeyTemplate,
    #[schema(minimum = 1)]
    pub requests: u64,
    /// 1 second to 1 hour.
    #[schema(value_type = String)]
    pub per: Span,
}

/// How much money a counter key may spend in a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayBudget)]
pub struct Budget {
    #[schema(value_type = String, max_length = 500)]
    pub counter_key: KeyTemplate,
    pub period: Period,
    /// Told of when it is passed: by the webhook, and in the pages.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub soft: Option<Money>,
    /// Refused (403) when it is used up.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub hard: Option<Money>,
    /// Where it is told, by POST.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_length = 2000)]
    pub webhook: Option<String>,
}
