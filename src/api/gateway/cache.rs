//! The cache of answers, as far as people empty it.

use crate::door::{Caller, Failure, Json};
use crate::gateway::Gateway;
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

/// Removes answers from the cache by route, asset, key, or all. Replicas that keep answers of their own follow within a second.
#[utoipa::path(
    post, path = "/api/v1/gateway/cache/purge", operation_id = "purgeCache", tag = "gateway", request_body = PurgeRequest,
    responses((status = 200, description = "How many answers went: from the cache that replicas share, else on the one that answers.", body = Purged)),
)]
pub async fn purge(
    State(gateway): State<Gateway>,
    State(services): State<Services>,
    caller: Caller,
    Json(request): Json<PurgeRequest>,
) -> Result<Answer<Purged>, Failure> {
    let PurgeRequest { route, asset, key } = request;
    let removed = gateway.purge(&caller, &services.cache, &Purge { route, asset, key }).await?;
    Ok(Answer(Purged { removed }))
}
