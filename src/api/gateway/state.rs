//! What backends and pools do now: their breakers, what is under way, what of their capacity is used. Each answer is of the
//! replica that gives it: breakers are not shared.

use super::things::{BackendPath, OwnerQuery, Shown};
use crate::api::answer;
use crate::base::Clock;
use crate::door::{Caller, Failure, Path, Query};
use crate::gateway::settings::{BackendSettings, Settings};
use crate::gateway::{Gateway, LiveBackend, Traffic};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A backend as it stands now, on the replica that answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayBackendState)]
pub struct BackendState {
    name: String,
    /// `closed`: in use. `open`: left alone until `openUntil`. `half-open`: one request is tried, or may be. `drained`:
    /// taken out by hand.
    #[schema(pattern = "^(closed|open|half-open|drained)$")]
    state: &'static str,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    open_until: Option<OffsetDateTime>,
    /// The latest trips of its breaker, newest first; at most 16.
    trips: Vec<Trip>,
    /// Requests under way.
    in_flight: u32,
    /// Answers that are read on although their client left.
    read_on: u32,
    /// From a request to the first byte of its answer, with the slow ones counting most; absent where nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    /// Since this replica started.
    answered: u64,
    failed: u64,
    /// Of the last minute.
    capacity: CapacityUse,
}

/// Why a breaker opened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayTrip)]
pub struct Trip {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// When the first request could be tried again.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// In our words, never a vendor's: `answered 429, asking to wait 20 s`.
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayCapacityUse)]
pub struct CapacityUse {
    tokens_per_minute: Use,
    requests_per_minute: Use,
    concurrent_requests: Use,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GatewayUse)]
pub struct Use {
    used: u64,
    /// Absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// A pool with its members as they stand now, on the replica that answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayPoolState)]
pub struct PoolState {
    name: String,
    /// How many of them may be asked now.
    usable: usize,
    members: Vec<MemberState>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayMemberState)]
pub struct MemberState {
    priority: u32,
    weight: u32,
    #[serde(flatten)]
    backend: BackendState,
}

impl BackendState {
    fn of(live: LiveBackend, now: OffsetDateTime) -> Self {
        let capacity = CapacityUse {
            tokens_per_minute: Use { used: live.used_tokens, limit: live.capacity.tokens_per_minute },
            requests_per_minute: Use { used: live.used_requests, limit: live.capacity.requests_per_minute },
            concurrent_requests: Use {
                used: live.busy.into(),
                limit: live.capacity.concurrent_requests.map(u64::from),
            },
        };
        let trip = |trip: crate::gateway::LiveTrip| {
            let at = now - trip.ago;
            Trip { at, until: at + trip.lasts, reason: trip.reason }
        };
        let latency = u64::try_from(live.latency.as_millis()).unwrap_or(u64::MAX);
        Self {
            name: live.backend,
            state: live.state,
            open_until: live.opens_in.filter(|_| live.state == "open").map(|wait| now + wait),
            trips: live.trips.into_iter().rev().map(trip).collect(),
            in_flight: live.busy,
            read_on: live.draining,
            latency_ms: (!live.latency.is_zero()).then_some(latency),
            answered: live.answered,
            failed: live.failed,
            capacity,
        }
    }
}

/// What a backend does now: its breaker with the reason and time of each trip, requests under way, use of its capacity.
#[utoipa::path(
    get, path = "/api/v1/gateway/backends/{backend}/state", operation_id = "getBackendState", tag = "gateway",
    params(OwnerQuery), security(("bearer" = [])),
    responses((status = 200, description = "As it is on this replica.", body = BackendState)),
)]
pub async fn backend(
    State(traffic): State<Traffic>,
    State(clock): State<Clock>,
    caller: Caller,
    Path(path): Path<BackendPath>,
    Query(query): Query<OwnerQuery>,
) -> Result<Json<BackendState>, Failure> {
    let (_, live) = traffic.backend_state(&caller, query.workspace(), &path.backend).await?;
    Ok(Json(BackendState::of(live, clock.now())))
}

#[derive(Debug, Deserialize)]
pub struct PoolPath {
    pool: String,
}

/// What the members of a pool do now.
#[utoipa::path(
    get, path = "/api/v1/gateway/pools/{pool}/state", operation_id = "getPoolState", tag = "gateway",
    params(OwnerQuery), security(("bearer" = [])),
    responses((status = 200, description = "As they are on this replica.", body = PoolState)),
)]
pub async fn pool(
    State(traffic): State<Traffic>,
    State(clock): State<Clock>,
    caller: Caller,
    Path(path): Path<PoolPath>,
    Query(query): Query<OwnerQuery>,
) -> Result<Json<PoolState>, Failure> {
    let (pool, live) = traffic.pool_state(&caller, query.workspace(), &path.pool).await?;
    let Settings::Pool(settings) = &pool.settings else { unreachable!("a section holds things of its own") };
    let now = clock.now();
    let members: Vec<_> = live
        .into_iter()
        .filter_map(|live| {
            let member = settings.members.iter().find(|member| member.backend == live.backend)?;
            let (priority, weight) = (member.priority, member.weight);
            Some(MemberState { priority, weight, backend: BackendState::of(live, now) })
        })
        .collect();
    let usable = members.iter().filter(|member| matches!(member.backend.state, "closed" | "half-open")).count();
    Ok(Json(PoolState { name: pool.name, usable, members }))
}

/// Takes a backend out of every pool on all replicas, within a second; requests under way finish.
#[utoipa::path(
    post, path = "/api/v1/gateway/backends/{backend}/drain", operation_id = "drainBackend", tag = "gateway",
    params(OwnerQuery),
    responses((status = 200, description = "As it is now.", body = Shown<BackendSettings>, headers(("ETag")))),
)]
pub async fn drain(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(path): Path<BackendPath>,
    Query(query): Query<OwnerQuery>,
) -> Result<Response, Failure> {
    set_drained(&gateway, &caller, &query, &path, true).await
}

/// Puts a drained backend back into its pools.
#[utoipa::path(
    post, path = "/api/v1/gateway/backends/{backend}/resume", operation_id = "resumeBackend", tag = "gateway",
    params(OwnerQuery),
    responses((status = 200, description = "As it is now.", body = Shown<BackendSettings>, headers(("ETag")))),
)]
pub async fn resume(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(path): Path<BackendPath>,
    Query(query): Query<OwnerQuery>,
) -> Result<Response, Failure> {
    set_drained(&gateway, &caller, &query, &path, false).await
}

async fn set_drained(
    gateway: &Gateway,
    caller: &Caller,
    query: &OwnerQuery,
    path: &BackendPath,
    drained: bool,
) -> Result<Response, Failure> {
    let stored = gateway.drain(caller, query.workspace(), &path.backend, drained).await?;
    let (revision, shown) = Shown::<BackendSettings>::of_stored(stored);
    Ok(answer::changed(revision, &shown))
}
