//! Assets: registering, listing, changing, deleting and restoring them, and their history.

use super::answer;
use super::narrowing::bounded;
use super::paging::{self, Paging};
use super::place::{Place, asset_url};
use super::registration::{RegisterQuery, Registration};
use crate::audit::Record;
use crate::base::{HttpClient, Page};
use crate::catalog::{AssetDetail, AssetPatch, Card, CardFilter, Catalog, Kind, NewAsset, Stage};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query, fetch_definitions, if_match};
use crate::wire::Finding;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An asset that was just registered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredAsset {
    #[serde(flatten)]
    asset: AssetDetail,
    /// What is odd in the document though it was accepted.
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
pub struct WorkspacePath {
    pub workspace: String,
}

/// How the list is narrowed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    kind: Option<Kind>,
    /// Of this workspace.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// With this tag.
    #[param(max_length = 200)]
    tag: Option<String>,
    /// With this owner.
    #[param(max_length = 200)]
    owner: Option<String>,
    /// Whose latest version is at this stage.
    stage: Option<Stage>,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// Lists the assets you may see, newest change first.
#[utoipa::path(
    get, path = "/api/v1/assets", operation_id = "listAssets", tag = "assets", params(ListQuery),
    responses((status = 200, description = "One page of assets.", body = Page<Card>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<Card>>, Failure> {
    let limit = paging::limit(query.limit)?;
    let cursor = paging::cursor(query.cursor.as_deref());
    for (name, value) in [("workspace", &query.workspace), ("tag", &query.tag), ("owner", &query.owner)] {
        bounded(&format!("query.{name}"), value.as_deref(), 200)?;
    }
    let filter = CardFilter {
        workspace: query.workspace,
        kind: query.kind,
        tag: query.tag,
        owner: query.owner,
        stage: query.stage,
    };
    Ok(axum::Json(catalog.list(&caller, &filter, cursor.as_ref(), limit).await?))
}

/// Registers an asset in one call.
///
/// The body is the register body; or a bare document whose words are enough: an OpenAPI description (2.0, 3.0, 3.1, 3.2)
/// in JSON or YAML, a `server.json` of the MCP registry, an A2A agent card. A bare JSON document may come as
/// `application/json` too, it is told apart by what is in it. The query says what the document does not, or says it
/// differently.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/assets", operation_id = "registerAsset", tag = "assets",
    params(RegisterQuery),
    request_body = NewAsset,
    responses((
        status = 201, description = "Registered.", body = RegisteredAsset,
        headers(("Location"), ("ETag")),
    )),
)]
pub async fn register(
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    Query(query): Query<RegisterQuery>,
    registration: Registration,
) -> Result<Response, Failure> {
    let mut new = registration.with(query)?;
    fetch_definitions(&http, &caller, &mut new).await?;
    let made = catalog.register(&caller, &path.workspace, new).await?;
    let asset = catalog.find(&caller, &path.workspace, made.asset.name.as_str()).await?;
    let location = asset_url(&url, &path.workspace, made.asset.name.as_str(), &[]);
    let revision = asset.asset.revision;
    Ok(answer::created(&location, revision, &RegisteredAsset { asset, findings: made.findings }))
}

/// Gives an asset with its latest version.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}", operation_id = "getAsset", tag = "assets",
    params(answer::IfNoneMatch), responses((status = 200, description = "The asset.", body = AssetDetail)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (workspace, name) = place.asset();
    let found = catalog.find(&caller, workspace, name).await?;
    Ok(answer::tagged(&headers, found.asset.revision, &found))
}

/// Changes what the body names of an asset; the rest stays.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/assets/{name}", operation_id = "updateAsset", tag = "assets",
    params(answer::IfMatch), responses((status = 200, description = "The asset as it is now.", body = AssetDetail)),
)]
pub async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    Json(patch): Json<AssetPatch>,
) -> Result<Response, Failure> {
    let (workspace, name) = place.asset();
    catalog.update(&caller, workspace, name, patch, if_match(&headers)?).await?;
    let found = catalog.find(&caller, workspace, name).await?;
    Ok(answer::changed(found.asset.revision, &found))
}

/// Deletes an asset; it keeps its name and can be restored.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/assets/{name}", operation_id = "deleteAsset", tag = "assets",
    params(answer::IfMatch), responses((status = 204, description = "Deleted.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    let (workspace, name) = place.asset();
    catalog.delete(&caller, workspace, name, if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Brings a deleted asset back as it was.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/assets/{name}/restore", operation_id = "restoreAsset", tag = "assets",
    responses((status = 200, description = "The asset as it is now.", body = AssetDetail)),
)]
pub async fn restore(State(catalog): State<Catalog>, caller: Caller, place: Place) -> Result<Response, Failure> {
    let (workspace, name) = place.asset();
    catalog.restore(&caller, workspace, name).await?;
    let found = catalog.find(&caller, workspace, name).await?;
    Ok(answer::changed(found.asset.revision, &found))
}

/// Tells who did what to an asset, newest first; for those who may change it.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/history", operation_id = "getAssetHistory", tag = "assets",
    params(Paging), security(("bearer" = [])),
    responses((status = 200, description = "One page of the audit log.", body = Page<Record>)),
)]
pub async fn history(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Record>>, Failure> {
    let (workspace, name) = place.asset();
    let (cursor, limit) = paging.read()?;
    Ok(axum::Json(catalog.history(&caller, workspace, name, cursor.as_ref(), limit).await?))
}
