//! Making the index of words again while the service runs.

use crate::door::{Caller, Failure};
use crate::search::Search;
use axum::extract::State;
use http::StatusCode;

/// Makes the search index again on every replica, from the catalog; the one before answers until then. Queued work that
/// never succeeded and was laid aside, like vectors that could not be made, is tried again too.
#[utoipa::path(
    post, path = "/api/v1/reindex", operation_id = "reindex", tag = "search",
    responses((status = 202, description = "It is being made; /readyz tells when it is done.")),
)]
pub async fn reindex(State(search): State<Search>, caller: Caller) -> Result<StatusCode, Failure> {
    search.reindex(&caller).await?;
    Ok(StatusCode::ACCEPTED)
}
