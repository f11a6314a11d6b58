//! A pool: backends with priority and weight, and how one of them is chosen.

use super::{Affinity, Span, is_default};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Backends that serve the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayPoolSettings)]
pub struct PoolSettings {
    /// At most 300 characters.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(max_length = 300)]
    pub title: String,
    /// 1 to 100 backends, each once.
    #[schema(min_items = 1, max_items = 100)]
    pub members: Vec<Member>,
    /// How a member is chosen within a priority group.
    #[serde(skip_serializing_if = "is_default")]
    pub strategy: Strategy,
    /// What keeps a conversation at one member; the first that has a value in a request counts.
    #[serde(skip_serializing_if = "is_default")]
    pub affinity: Vec<Affinity>,
    #[serde(skip_serializing_if = "is_default")]
    pub retries: RetryBudget,
    /// A second request to another member when the first is slow; only for calls that change nothing (embeddings, GET).
    #[serde(skip_serializing_if = "is_default")]
    pub hedging: Option<Hedging>,
    /// Of the instance: whether routes of workspaces may lead to it.
    #[serde(skip_serializing_if = "is_default")]
    pub shared: bool,
}

/// A backend in a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayPoolMember)]
pub struct Member {
    /// The backend's name.
    #[schema(max_length = 63)]
    pub backend: String,
    /// Members of the lowest number are used while one of them can; 1 unless said.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schema(maximum = 100)]
    pub priority: u32,
    /// The share within its group, for strategies that weigh; 1 unless said, 0 for none while others can.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schema(maximum = 1000)]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Member {
    /// A member of the first group with weight 1.
    #[must_use]
    pub fn new(backend: impl Into<String>) -> Self {
        Self { backend: backend.into(), priority: 1, weight: 1 }
    }
}

/// How a member is chosen within a priority group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayStrategy)]
pub enum Strategy {
    /// One after another.
    RoundRobin,
    /// At random by weight.
    #[default]
    Weighted,
    /// The one with the fewest requests under way for its weight.
    LeastBusy,
    /// The better of two drawn, by peak EWMA of the latency.
    LowestLatency,
}

impl Strategy {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
            Self::LeastBusy => "least-busy",
            Self::LowestLatency => "lowest-latency",
        }
    }
}

/// How often a failed attempt goes to the next member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayRetryBudget)]
pub struct RetryBudget {
    /// The most attempts of one request, the first included; 3 unless said.
    #[schema(minimum = 1, maximum = 20)]
    pub attempts: u32,
    /// Retries of the pool as a share of its requests over the last ten seconds, in percent; 20 unless said.
    #[schema(maximum = 100)]
    pub percentage: u8,
    /// Retries a second that are allowed whatever the share; 10 unless said.
    #[schema(maximum = 1000)]
    pub floor_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { attempts: 3, percentage: 20, floor_per_second: 10 }
    }
}

/// When a second request is sent beside a slow first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayHedging)]
pub struct Hedging {
    /// After this long without an answer.
    #[schema(value_type = String)]
    pub after: Span,
}
