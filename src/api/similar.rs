//! What is like an asset.

use super::paging;
use super::place::Place;
use super::search::SearchHit;
use crate::catalog::Catalog;
use crate::door::{Caller, Failure, Query};
use crate::search::{Degraded, Search};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SimilarQuery {
    /// How many assets; 5 where not said.
    #[param(minimum = 1, maximum = 20, default = 5)]
    limit: Option<u32>,
}

/// Assets that are like another.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimilarAssets {
    /// Most alike first.
    items: Vec<SearchHit>,
    /// Which evidence was missing: with `semantic` the words in common decided.
    degraded: Vec<Degraded>,
}

/// Lists what is like an asset, of what you may see.
///
/// By meaning, each with its operation or tool that is nearest to the asset; by words in common where the asset has no
/// vectors. An asset that is like no other has an empty list.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/similar", operation_id = "listSimilarAssets",
    tag = "search", params(SimilarQuery),
    responses((status = 200, description = "What is like it.", body = SimilarAssets)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    State(search): State<Search>,
    caller: Caller,
    place: Place,
    Query(query): Query<SimilarQuery>,
) -> Result<axum::Json<SimilarAssets>, Failure> {
    let limit = paging::number(query.limit, 5, 20)?;
    let (workspace, name) = place.asset();
    let found = catalog.find(&caller, workspace, name).await?;
    let similar = search.similar(&caller, &found.asset, limit).await?;
    Ok(axum::Json(SimilarAssets {
        items: similar.items.into_iter().map(SearchHit::from).collect(),
        degraded: similar.degraded,
    }))
}
