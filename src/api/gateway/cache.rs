//! The cache of answers, as far as people empty it.

use crate::api::narrowing::bounded;
use crate::auth::{Permission, Scope};
use crate::base::{Clock, Problem};
use crate::door::{Caller, Failure, Json};
use crate::gateway::cache::Purge;
use crate::gateway::policy::Services;
use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which answers are to go; what is not said fits all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeRequest {
    /// The name of a route.
    #[schema(max_length = 200)]
    route: Option<String>,
    /// `workspace/name`.
    #[schema(max_length = 300)]
    asset: Option<String>,
    /// The name of a key.
    #[schema(max_length = 200)]
    key: Option<String>,
}

/// What went.
#[derive(Debug, Serialize, ToSchema)]
pub struct Purged {
    removed: usize,
}

/// Removes answers from the cache by route, asset, key, or all: of all replicas where they share Redis, else of the one that
/// answers.
#[utoipa::path(
    post, path = "/api/v1/gateway/cache/purge", operation_id = "purgeCache", tag = "gateway", request_body = PurgeRequest,
    responses((status = 200, description = "How many answers went.", body = Purged)),
)]
pub async fn purge(
    State(services): State<Services>,
    State(clock): State<Clock>,
    caller: Caller,
    Json(request): Json<PurgeRequest>,
) -> Result<Answer<Purged>, Failure> {
    caller.require(Permission::ManageGateway, Scope::Instance)?;
    let PurgeRequest { route, asset, key } = request;
    for (name, text, most) in [("route", &route, 200), ("asset", &asset, 300), ("key", &key, 200)] {
        bounded(&format!("body.{name}"), text.as_deref(), most)?;
    }
    let removed = services.cache.purge(&Purge { route, asset, key }, clock.monotonic()).await;
    let removed = removed.ok_or_else(|| {
        Problem::unavailable("The cache that replicas share cannot be reached; not all may have gone.")
            .with_help("Try again when Redis answers.")
    })?;
    Ok(Answer(Purged { removed }))
}
