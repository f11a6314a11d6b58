//! A backend: one upstream endpoint, what it serves, what it can take, and when it is left alone.

use super::{PriceSettings, Span, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One upstream endpoint with its credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayBackendSettings)]
pub struct BackendSettings {
    /// At most 300 characters.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_length = 300)]
    pub title: String,
    pub provider: Provider,
    /// Where it is: for `openai` and `compatible` the base that ends in `/v1` (`https://api.openai.com/v1`,
    /// `http://127.0.0.1:11434/v1`), for `anthropic` `https://api.anthropic.com/v1`, for `azure-openai` the resource
    /// (`https://contoso.openai.azure.com`), for `rest` the base of the API.
    #[schema(max_length = 2000)]
    pub url: String,
    /// The models it serves: the alias asked for, and what the vendor calls it (for Azure the deployment). Empty: every
    /// model, under the name asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub models: BTreeMap<String, String>,
    /// `api-version` of Azure OpenAI; unset: its `v1` surface, which has none.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_length = 100)]
    pub api_version: Option<String>,
    /// The name of a credential.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = Option<String>, max_length = 63)]
    pub credential: Option<String>,
    /// Headers added to every request, such as `OpenAI-Organization`. They are stored and shown as they are: one that looks
    /// as if it held a secret is refused, for that belongs into a credential.
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub capacity: Capacity,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_disconnect: OnDisconnect,
    #[serde(default, skip_serializing_if = "is_default")]
    pub drain: Drain,
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    #[serde(default, skip_serializing_if = "is_default")]
    pub breaker: BreakerSettings,
    /// What this backend costs by alias, where it differs from the price table: provisioned capacity is paid for already.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prices: BTreeMap<String, PriceSettings>,
    /// Taken out of every pool while true; requests under way finish.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drained: bool,
    /// Of the instance: whether workspaces may put it into pools of their own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shared: bool,
}

impl BackendSettings {
    /// A backend of this provider at this address, with everything else as it is unsaid.
    #[must_use]
    pub fn new(provider: Provider, url: impl Into<String>) -> Self {
        Self {
            title: String::new(),
            provider,
            url: url.into(),
            models: BTreeMap::new(),
            api_version: None,
            credential: None,
            headers: BTreeMap::new(),
            capacity: Capacity::default(),
            on_disconnect: OnDisconnect::default(),
            drain: Drain::default(),
            timeouts: Timeouts::default(),
            breaker: BreakerSettings::default(),
            prices: BTreeMap::new(),
            drained: false,
            shared: false,
        }
    }

    /// What the vendor calls the model of this alias; nothing when it is not served here.
    #[must_use]
    pub fn vendor_model<'a>(&'a self, alias: &'a str) -> Option<&'a str> {
        match self.models.is_empty() {
            true => Some(alias),
            false => self.models.get(alias).map(String::as_str),
        }
    }
}

/// Whose dialect a backend speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayProvider)]
pub enum Provider {
    Openai,
    AzureOpenai,
    Anthropic,
    /// Speaks OpenAI's dialect: Ollama, vLLM and many others.
    Compatible,
    /// No model: a REST API of the catalog.
    Rest,
}

impl Provider {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Compatible => "compatible",
            Self::Rest => "rest",
        }
    }
}

/// What a backend can take; unset: as much as comes. A full backend is passed over like a broken one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayCapacity)]
pub struct Capacity {
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub requests_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub concurrent_requests: Option<u32>,
}

/// What happens upstream when the client leaves in the middle of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayOnDisconnect)]
pub enum OnDisconnect {
    /// The request is given up; what was sent is counted.
    #[default]
    Cancel,
    /// The answer is read on, within the bounds of `drain`, for the vendor's own figures.
    Drain,
}

/// How far an answer without a reader is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayDrain)]
pub struct Drain {
    /// `30s` unless said.
    #[schema(value_type = String)]
    pub time: Span,
    /// 8 MiB unless said.
    pub bytes: u64,
    /// How many at once; 64 unless said. Further ones are cancelled.
    pub at_once: u32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { time: Span::seconds(30), bytes: 8 << 20, at_once: 64 }
    }
}

/// How long a backend may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayTimeouts)]
pub struct Timeouts {
    /// To connect; `5s` unless said.
    #[schema(value_type = String)]
    pub connect: Span,
    /// From the request to the first byte of the answer's head; `60s` unless said.
    #[schema(value_type = String)]
    pub first_byte: Span,
    /// Between two pieces of the answer; `60s` unless said.
    #[schema(value_type = String)]
    pub idle: Span,
    /// For everything; `10m` unless said.
    #[schema(value_type = String)]
    pub total: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span::seconds(5),
            first_byte: Span::seconds(60),
            idle: Span::seconds(60),
            total: Span::seconds(600),
        }
    }
}

/// When a backend is left alone, and for how long.
///
/// It trips after `count` failures within `interval`, or when failures are at least `percentage` of at least
/// `minimumRequests`; both may be set. Connection failures and timeouts are failures always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayBreakerSettings)]
pub struct BreakerSettings {
    /// 3 unless said; `null` for the percentage alone.
    #[schema(minimum = 1)]
    pub count: Option<u32>,
    /// 1 to 100.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1, maximum = 100)]
    pub percentage: Option<u8>,
    /// Below this many requests in the interval the percentage says nothing; 10 unless said.
    #[schema(minimum = 1)]
    pub minimum_requests: u32,
    /// `1m` unless said.
    #[schema(value_type = String)]
    pub interval: Span,
    /// Answers that are failures; 429 and 500 to 599 unless said.
    pub statuses: Vec<StatusRange>,
    /// How long it stays open when the backend names no time; `30s` unless said.
    #[schema(value_type = String)]
    pub trip: Span,
    /// Whether a 429 or 503 with `Retry-After` (or the vendor's forms of it) trips at once and for that long; true unless
    /// said. A later, longer time extends; nothing shortens.
    pub accept_retry_after: bool,
    /// The longest `Retry-After` that is believed; `1h` unless said.
    #[schema(value_type = String)]
    pub longest_trip: Span,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            count: Some(3),
            percentage: None,
            minimum_requests: 10,
            interval: Span::seconds(60),
            statuses: vec![StatusRange { min: 429, max: 429 }, StatusRange { min: 500, max: 599 }],
            trip: Span::seconds(30),
            accept_retry_after: true,
            longest_trip: Span::seconds(3600),
        }
    }
}

/// Statuses from `min` to `max`, both in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayStatusRange)]
pub struct StatusRange {
    #[schema(minimum = 200, maximum = 599)]
    pub min: u16,
    #[schema(minimum = 200, maximum = 599)]
    pub max: u16,
}

impl StatusRange {
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.min..=self.max).contains(&status)
    }
}

/// What keeps the requests of one conversation at one backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayAffinity)]
pub enum Affinity {
    /// The value of this request header.
    Header(String),
    /// The caller: its user, or its key.
    Caller,
    /// The `user` member of the request's body.
    User,
    /// `previous_response_id`: the backend that gave the response before.
    PreviousResponse,
}
