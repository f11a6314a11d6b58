//! Limits with their current use.

use crate::auth::{Permission, Scope};
use crate::door::{Caller, Failure};
use crate::gateway::limit::Measure;
use crate::gateway::policy::Services;
use axum::Json as Answer;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// A limit with its current use on the replica that answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitInUse {
    policy: String,
    /// The value of the counter key.
    counter_key: String,
    /// `tokens`, `input tokens`, `output tokens`, `requests` or `cost`.
    measure: &'static str,
    /// `a minute`, `a day`, `at once` ...
    span: String,
    used: f64,
    /// By requests under way.
    reserved: f64,
    limit: f64,
    /// Until nothing counts any more.
    reset_seconds: u64,
    /// Only tells, and refuses nothing.
    shadow: bool,
}

/// All counters that count something.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsInUse {
    /// Those with the least room first; at most 1,000.
    items: Vec<LimitInUse>,
}

/// Tells how much of each limit is used, on the replica that answers.
#[utoipa::path(
    get, path = "/api/v1/gateway/limits", operation_id = "limitsInUse", tag = "gateway",
    responses((status = 200, description = "Each counter that counts something.", body = LimitsInUse)),
)]
pub async fn limits(State(services): State<Services>, caller: Caller) -> Result<Answer<LimitsInUse>, Failure> {
    caller.require(Permission::ManageGateway, Scope::Instance)?;
    let items = services.limits.counters().into_iter().take(1_000).map(|view| {
        let unit = if view.limit.measure == Measure::Cost { 1e9 } else { 1.0 };
        LimitInUse {
            policy: view.limit.policy.to_string(),
            counter_key: view.value.to_string(),
            measure: view.limit.measure.as_str(),
            span: view.limit.span.words(),
            used: view.used as f64 / unit,
            reserved: view.reserved as f64 / unit,
            limit: view.limit.most as f64 / unit,
            reset_seconds: view.reset.as_secs(),
            shadow: view.limit.shadow,
        }
    });
    Ok(Answer(LimitsInUse { items: items.collect() }))
}
