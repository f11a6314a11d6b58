//! Approval: which is asked for, what waits for it, and what is decided; and what belongs to nobody any more.

use super::answer;
use super::narrowing::bounded;
use super::paging::{self, Paging};
use super::place::Place;
use crate::base::{ApprovalId, HttpClient, Page, Problem};
use crate::catalog::{
    Approval, ApprovalDetail, ApprovalFilter, ApprovalSettings, ApprovalSettingsPatch, ApprovalState, Catalog, Comment,
    Decision, DriftReport, Orphan, Purpose,
};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query, if_match};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize)]
pub struct WorkspacePath {
    workspace: String,
}

#[derive(Debug, Deserialize)]
pub struct ApprovalPath {
    approval: String,
}

/// How the list is narrowed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApprovalQuery {
    /// Those that wait where not said.
    state: Option<ApprovalState>,
    purpose: Option<Purpose>,
    /// Of this workspace.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// Of the asset of this name.
    #[param(max_length = 200)]
    asset: Option<String>,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// What approval is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApproval {
    #[schema(max_length = 63)]
    workspace: String,
    #[schema(max_length = 200)]
    asset: String,
    /// The latest one where not said.
    #[schema(max_length = 255)]
    version: Option<String>,
    /// What a reviewer should know.
    #[serde(default)]
    #[schema(max_length = 5000)]
    reason: String,
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    body: String,
}

/// Whose orphans.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrphanQuery {
    /// Of this workspace; of all where not said.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// Tells which approval a workspace asks for before others see what is registered in it.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/approval-settings", operation_id = "getApprovalSettings",
    tag = "approvals", params(answer::IfNoneMatch),
    responses((status = 200, description = "The settings.", body = ApprovalSettings)),
)]
pub async fn settings(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = catalog.approval_settings(&caller, &path.workspace).await?;
    Ok(answer::tagged(&headers, found.revision, &found))
}

/// Says which approval a workspace asks for; for those who govern it.
///
/// What is approved stays approved, and what waits goes on waiting until it is decided; `waiting` tells how much that is.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/approval-settings", operation_id = "updateApprovalSettings",
    tag = "approvals", params(answer::IfMatch),
    responses((status = 200, description = "The settings as they are now.", body = ApprovalSettings)),
)]
pub async fn set(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    headers: HeaderMap,
    Json(patch): Json<ApprovalSettingsPatch>,
) -> Result<Response, Failure> {
    let changed = catalog.set_approval_settings(&caller, &path.workspace, patch, if_match(&headers)?).await?;
    Ok(answer::changed(changed.revision, &changed))
}

/// Lists requests for approval of the workspaces you know from within: those that wait, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/approvals", operation_id = "listApprovals", tag = "approvals", params(ApprovalQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "One page of requests.", body = Page<Approval>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<ApprovalQuery>,
) -> Result<axum::Json<Page<Approval>>, Failure> {
    for (name, value) in [("workspace", &query.workspace), ("asset", &query.asset)] {
        bounded(&format!("query.{name}"), value.as_deref(), 200)?;
    }
    let (limit, cursor) = (paging::limit(query.limit)?, paging::cursor(query.cursor.as_deref()));
    let filter =
        ApprovalFilter { workspace: query.workspace, asset: query.asset, state: query.state, purpose: query.purpose };
    Ok(axum::Json(catalog.approvals(&caller, &filter, cursor.as_ref(), limit).await?))
}

/// Asks that a version which is not seen be approved: after a rejection or a withdrawal.
///
/// Whoever registers or publishes where approval is needed asks by that already.
#[utoipa::path(
    post, path = "/api/v1/approvals", operation_id = "requestApproval", tag = "approvals",
    responses((status = 201, description = "Asked.", body = ApprovalDetail, headers(("Location")))),
)]
pub async fn request(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(new): Json<NewApproval>,
) -> Result<Response, Failure> {
    let path = (new.workspace.as_str(), new.asset.as_str(), new.version.as_deref());
    let id = catalog.request_approval(&caller, path, &new.reason).await?;
    let location = url.join(&format!("/api/v1/approvals/{id}"));
    Ok(answer::made(&location, &catalog.approval(&caller, id).await?))
}

/// Gives a request with its evidence, its difference, and what was said about it.
#[utoipa::path(
    get, path = "/api/v1/approvals/{approval}", operation_id = "getApproval", tag = "approvals",
    security(("bearer" = [])),
    responses((status = 200, description = "The request.", body = ApprovalDetail)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<ApprovalPath>,
) -> Result<axum::Json<ApprovalDetail>, Failure> {
    Ok(axum::Json(catalog.approval(&caller, id(&caller, &path)?).await?))
}

/// Says something about a request; for reviewers and for those who may write the asset.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval}/comments", operation_id = "commentOnApproval", tag = "approvals",
    responses((status = 201, description = "Said.", body = Comment, headers(("Location")))),
)]
pub async fn comment(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<ApprovalPath>,
    Json(new): Json<NewComment>,
) -> Result<Response, Failure> {
    let id = id(&caller, &path)?;
    let made = catalog.comment_on_approval(&caller, id, &new.body).await?;
    Ok(answer::made(&url.join(&format!("/api/v1/approvals/{id}")), &made))
}

/// Approves, rejects, or asks for changes; for reviewers who had no hand in it.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval}/decision", operation_id = "decideOnApproval", tag = "approvals",
    responses((status = 200, description = "The request as it is now.", body = ApprovalDetail)),
)]
pub async fn decide(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<ApprovalPath>,
    Json(decision): Json<Decision>,
) -> Result<axum::Json<ApprovalDetail>, Failure> {
    let id = id(&caller, &path)?;
    catalog.decide(&caller, id, &decision).await?;
    Ok(axum::Json(catalog.approval(&caller, id).await?))
}

/// Takes a request back.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval}/withdraw", operation_id = "withdrawApproval", tag = "approvals",
    responses((status = 200, description = "The request as it is now.", body = ApprovalDetail)),
)]
pub async fn withdraw(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<ApprovalPath>,
) -> Result<axum::Json<ApprovalDetail>, Failure> {
    let id = id(&caller, &path)?;
    catalog.withdraw_approval(&caller, id).await?;
    Ok(axum::Json(catalog.approval(&caller, id).await?))
}

/// Asks the running MCP server of the latest version for its tools and compares them with those that were approved.
///
/// When they differ the version is quarantined and its approval is asked for again.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/assets/{name}/check", operation_id = "checkAsset", tag = "approvals",
    responses((status = 200, description = "What came of it.", body = DriftReport)),
)]
pub async fn check(
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    caller: Caller,
    place: Place,
) -> Result<axum::Json<DriftReport>, Failure> {
    let (workspace, name) = place.asset();
    Ok(axum::Json(catalog.check_drift(&caller, &http, (workspace, name, None)).await?))
}

/// Lists the assets for which nobody answers any more: whose owners all are unknown or disabled.
#[utoipa::path(
    get, path = "/api/v1/orphans", operation_id = "listOrphans", tag = "assets", params(OrphanQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "One page of them.", body = Page<Orphan>)),
)]
pub async fn orphans(
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<OrphanQuery>,
) -> Result<axum::Json<Page<Orphan>>, Failure> {
    bounded("query.workspace", query.workspace.as_deref(), 200)?;
    let (cursor, limit) = Paging { limit: query.limit, cursor: query.cursor }.read()?;
    Ok(axum::Json(catalog.orphans(&caller, query.workspace.as_deref(), cursor.as_ref(), limit).await?))
}

fn id(caller: &Caller, path: &ApprovalPath) -> Result<ApprovalId, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Requests are shown to those who know a workspace from within.")));
    }
    let missing =
        || Failure(Problem::not_found(format!("There is no request for approval \"{}\" here.", path.approval)));
    path.approval.parse().map_err(|_| missing())
}
