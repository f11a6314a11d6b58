//! Policies that look at a request and its answer: who, what, how big, what it says, and whether it was answered before.

use super::super::{KeyTemplate, Span, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The models that may be asked for; 403 for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayModelAllowList)]
pub struct ModelAllowList {
    /// Model aliases.
    #[schema(min_items = 1, max_items = 200)]
    pub models: Vec<String>,
}

/// From where it may be called; 403 for others. An address or a block (`10.0.0.0/8`); what is denied is denied, and what
/// is left must be allowed where anything is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayIpFilter)]
pub struct IpFilter {
    #[serde(skip_serializing_if = "is_default")]
    #[schema(max_items = 1000)]
    pub allow: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(max_items = 1000)]
    pub deny: Vec<String>,
}

/// How long a request and its answer may be; 413 for a request that is longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewaySizeLimit)]
pub struct SizeLimit {
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub request_bytes: Option<u64>,
    /// Of the prompt.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub input_tokens: Option<u64>,
    /// `max_tokens` is lowered to this.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub output_tokens: Option<u64>,
    /// Of an answer, as the client gets it: a longer one is not passed on (502), and what has begun ends there.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 1)]
    pub response_bytes: Option<u64>,
}

/// Headers set and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayHeaders)]
pub struct Headers {
    /// Of the request to the backend.
    #[serde(skip_serializing_if = "is_default")]
    pub request: HeaderEdit,
    /// Of the answer to the client.
    #[serde(skip_serializing_if = "is_default")]
    pub response: HeaderEdit,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayHeaderEdit)]
pub struct HeaderEdit {
    /// Values may hold the placeholders of counter keys.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub set: BTreeMap<String, KeyTemplate>,
    #[serde(skip_serializing_if = "is_default")]
    pub remove: Vec<String>,
}

/// What may not be said, and what is hidden from the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayContent)]
pub struct Content {
    /// Regular expressions; what matches one is refused (400).
    #[serde(skip_serializing_if = "is_default")]
    #[schema(max_items = 200)]
    pub blocked: Vec<String>,
    /// What must not match. A stream is passed on as it comes, and ends where it matches.
    #[serde(skip_serializing_if = "is_default")]
    pub looks_at: LooksAt,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(max_items = 100)]
    pub masks: Vec<Mask>,
    /// Puts what was masked back into the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub restore: bool,
}

/// What a policy looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayLooksAt)]
pub enum LooksAt {
    /// All that a model is going to read.
    #[default]
    Prompts,
    /// What a model answers, with what it calls tools with.
    Answers,
    Both,
}

impl LooksAt {
    #[must_use]
    pub fn prompts(self) -> bool {
        self != Self::Answers
    }

    #[must_use]
    pub fn answers(self) -> bool {
        self != Self::Prompts
    }
}

/// Something to hide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayMask)]
pub enum Mask {
    /// A sort of personal data that is known here.
    Known(MaskKind),
    /// A regular expression.
    Pattern(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayMaskKind)]
pub enum MaskKind {
    Email,
    Phone,
    /// Payment cards, by their check digit.
    Card,
    Iban,
    IpAddress,
}

/// Asks a service of the organisation's own about prompts, answers, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayGuardHook)]
pub struct GuardHook {
    /// Gets a POST with the texts; answers `{"allow": true}` or `{"allow": false, "reason": "..."}`.
    #[schema(max_length = 2000)]
    pub url: String,
    /// What it is asked about. An answer it is asked about is passed on when it is whole and allowed, streams too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks_at: LooksAt,
    /// `2s` unless said.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = Option<String>)]
    pub timeout: Option<Span>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
}

/// What is done when a part that decides does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayOnFailure)]
pub enum OnFailure {
    /// The request is refused.
    #[default]
    Closed,
    /// The request goes on.
    Open,
}

/// Answers again what was asked before, or nearly so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewaySemanticCache)]
pub struct SemanticCache {
    /// How near a question must be, from 0 to 1, higher is nearer; 1 for the same only. 0.85 unless said.
    #[schema(minimum = 0, maximum = 1)]
    pub threshold: f32,
    /// How long an answer is kept; `1h` unless said.
    #[schema(value_type = String)]
    pub ttl: Span,
    /// Longer dialogues are neither looked for nor kept; 10 unless said.
    #[schema(minimum = 1)]
    pub max_messages: u32,
    /// Who shares answers.
    #[serde(skip_serializing_if = "is_default")]
    pub share: Share,
    /// Further parts of the partition.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Vec<String>)]
    pub vary_by: Vec<KeyTemplate>,
}

impl Default for SemanticCache {
    fn default() -> Self {
        Self {
            threshold: 0.85,
            ttl: Span::seconds(3600),
            max_messages: 10,
            share: Share::default(),
            vary_by: Vec::new(),
        }
    }
}

/// Who shares the answers of a cache. Model, parameters, tools and system prompt part it always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayShare)]
pub enum Share {
    /// Nobody: each key has its own.
    #[default]
    Key,
    /// The callers of one workspace.
    Workspace,
    /// All callers of the route.
    Route,
}

/// Adds dimensions to the token metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayTokenMetrics)]
pub struct TokenMetrics {
    /// Label and value; a value may hold the placeholders of counter keys.
    #[schema(value_type = BTreeMap<String, String>)]
    pub dimensions: BTreeMap<String, KeyTemplate>,
}

/// Keeps prompts and answers, redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayPromptLog)]
pub struct PromptLog {
    pub requests: bool,
    pub responses: bool,
    /// At most so much of each; 32 KiB unless said.
    pub max_bytes: u64,
    /// `30d` unless said.
    #[schema(value_type = String)]
    pub retention: Span,
    /// Of a hundred requests; 100 unless said.
    #[schema(minimum = 1, maximum = 100)]
    pub percentage: u8,
}

impl Default for PromptLog {
    fn default() -> Self {
        Self {
            requests: true,
            responses: true,
            max_bytes: 32 << 10,
            retention: Span::seconds(30 * 86_400),
            percentage: 100,
        }
    }
}
