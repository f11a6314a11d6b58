//! A policy: one rule for traffic, to which requests it applies, and whether it refuses or only tells.

mod content;
mod limit;

pub use content::{
    Content, GuardHook, HeaderEdit, Headers, IpFilter, LooksAt, Mask, MaskKind, ModelAllowList, OnFailure, PromptLog,
    SemanticCache, Share, SizeLimit, TokenMetrics,
};
pub use limit::{Budget, Period, Quota, RequestRate, TokenLimit};

use super::is_default;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One rule for traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayPolicySettings)]
pub struct PolicySettings {
    /// At most 300 characters.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_length = 300)]
    pub title: String,
    pub rule: Rule,
    #[serde(default, skip_serializing_if = "is_default")]
    pub reach: Reach,
    /// The requests it applies to, among those it reaches; unset: all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when: Condition,
    /// Tells what it would have done, in headers, records and metrics, and refuses nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shadow: bool,
}

impl PolicySettings {
    /// This rule for the routes that name it.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self { title: String::new(), rule, reach: Reach::default(), when: Condition::default(), shadow: false }
    }

    /// As [`PolicySettings::new`], for all routes of its workspace, or of the instance.
    #[must_use]
    pub fn everywhere(rule: Rule) -> Self {
        Self { reach: Reach::All, ..Self::new(rule) }
    }
}

/// Which routes a policy reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayReach)]
pub enum Reach {
    /// Those that name it.
    #[default]
    Named,
    /// All of its workspace; a policy of the instance: all there are.
    All,
}

/// Which requests a policy applies to: those that fit every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayCondition)]
pub struct Condition {
    /// Names of workspaces of the caller.
    #[serde(skip_serializing_if = "is_default")]
    pub workspaces: Vec<String>,
    /// Names of keys.
    #[serde(skip_serializing_if = "is_default")]
    pub keys: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub users: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub groups: Vec<String>,
    /// Model aliases.
    #[serde(skip_serializing_if = "is_default")]
    pub models: Vec<String>,
    /// Names of routes.
    #[serde(skip_serializing_if = "is_default")]
    pub routes: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub except_workspaces: Vec<String>,
}

/// What a policy does: exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayRule)]
pub enum Rule {
    TokenLimit(TokenLimit),
    RequestRate(RequestRate),
    Budget(Budget),
    ModelAllowList(ModelAllowList),
    IpFilter(IpFilter),
    SizeLimit(SizeLimit),
    Headers(Headers),
    Content(Content),
    GuardHook(GuardHook),
    SemanticCache(SemanticCache),
    TokenMetrics(TokenMetrics),
    PromptLog(PromptLog),
}

/// The sort of a [`Rule`], without its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleKind {
    TokenLimit,
    RequestRate,
    Budget,
    ModelAllowList,
    IpFilter,
    SizeLimit,
    Headers,
    Content,
    GuardHook,
    SemanticCache,
    TokenMetrics,
    PromptLog,
}

impl Rule {
    #[must_use]
    pub const fn kind(&self) -> RuleKind {
        match self {
            Self::TokenLimit(_) => RuleKind::TokenLimit,
            Self::RequestRate(_) => RuleKind::RequestRate,
            Self::Budget(_) => RuleKind::Budget,
            Self::ModelAllowList(_) => RuleKind::ModelAllowList,
            Self::IpFilter(_) => RuleKind::IpFilter,
            Self::SizeLimit(_) => RuleKind::SizeLimit,
            Self::Headers(_) => RuleKind::Headers,
            Self::Content(_) => RuleKind::Content,
            Self::GuardHook(_) => RuleKind::GuardHook,
            Self::SemanticCache(_) => RuleKind::SemanticCache,
            Self::TokenMetrics(_) => RuleKind::TokenMetrics,
            Self::PromptLog(_) => RuleKind::PromptLog,
        }
    }
}

impl Rule {
    /// Whether it looks at nothing that a call of a REST API has: tokens, models, what is said.
    #[must_use]
    pub fn is_about_models(&self) -> bool {
        match self {
            Self::TokenLimit(limit) => {
                limit.requests_per_minute.is_none()
                    && limit.concurrent_requests.is_none()
                    && limit.quotas.iter().all(|quota| quota.requests.is_none())
            }
            Self::SizeLimit(limit) => limit.request_bytes.is_none() && limit.response_bytes.is_none(),
            Self::GuardHook(hook) => !hook.looks_at.prompts(),
            Self::Budget(_) | Self::ModelAllowList(_) | Self::Content(_) | Self::SemanticCache(_) => true,
            Self::RequestRate(_)
            | Self::IpFilter(_)
            | Self::Headers(_)
            | Self::TokenMetrics(_)
            | Self::PromptLog(_) => false,
        }
    }
}

impl RuleKind {
    /// As it is written in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenLimit => "tokenLimit",
            Self::RequestRate => "requestRate",
            Self::Budget => "budget",
            Self::ModelAllowList => "modelAllowList",
            Self::IpFilter => "ipFilter",
            Self::SizeLimit => "sizeLimit",
            Self::Headers => "headers",
            Self::Content => "content",
            Self::GuardHook => "guardHook",
            Self::SemanticCache => "semanticCache",
            Self::TokenMetrics => "tokenMetrics",
            Self::PromptLog => "promptLog",
        }
    }
}
