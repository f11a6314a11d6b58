//! Upstreams: the registries and files whose servers a workspace takes over.

use super::answer;
use super::assets::WorkspacePath;
use super::paging::{All, limit};
use crate::door::{Caller, Failure, Json, OptionalJson, Path, PublicUrl, Query, if_match, segment};
use crate::upstream::{Run, SyncRequest, Upstream, UpstreamInput, Upstreams};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize)]
pub struct UpstreamPath {
    workspace: String,
    upstream: String,
}

/// An upstream and how its last run went.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamListed {
    #[serde(flatten)]
    upstream: Upstream,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<Run>,
}

/// How many runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
}

/// Lists the upstreams of a workspace, each with its last run.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/upstreams", operation_id = "listUpstreams", tag = "upstreams",
    responses((status = 200, description = "All of them, by name.", body = All<UpstreamListed>)),
)]
pub async fn list(
    State(upstreams): State<Upstreams>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
) -> Result<axum::Json<All<UpstreamListed>>, Failure> {
    let listed = upstreams.list(&caller, &path.workspace).await?;
    let items: Vec<_> = listed.into_iter().map(|(upstream, last_run)| UpstreamListed { upstream, last_run }).collect();
    Ok(axum::Json(items.into()))
}

/// Makes an upstream; its first run is due at once.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/upstreams", operation_id = "createUpstream", tag = "upstreams",
    responses((status = 201, description = "Made.", body = Upstream, headers(("Location"), ("ETag")))),
)]
pub async fn create(
    State(upstreams): State<Upstreams>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    Json(new): Json<UpstreamInput>,
) -> Result<Response, Failure> {
    let made = upstreams.create(&caller, &path.workspace, new).await?;
    let location = url.join(&format!("/api/v1/workspaces/{}/upstreams/{}", segment(&path.workspace), made.name));
    Ok(answer::created(&location, made.revision, &made))
}

/// Gives an upstream.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/upstreams/{upstream}", operation_id = "getUpstream", tag = "upstreams",
    params(answer::IfNoneMatch), responses((status = 200, description = "The upstream.", body = Upstream)),
)]
pub async fn find(
    State(upstreams): State<Upstreams>,
    caller: Caller,
    Path(path): Path<UpstreamPath>,
) -> Result<Response, Failure> {
    let found = upstreams.find(&caller, &path.workspace, &path.upstream).await?;
    // How far it is moves without the revision: never 304.
    Ok(answer::changed(found.revision, &found))
}

/// Changes what the body names of an upstream. A change of what is read or taken begins with everything again.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/upstreams/{upstream}", operation_id = "updateUpstream",
    tag = "upstreams",
    params(answer::IfMatch), responses((status = 200, description = "The upstream as it is now.", body = Upstream)),
)]
pub async fn update(
    State(upstreams): State<Upstreams>,
    caller: Caller,
    Path(path): Path<UpstreamPath>,
    headers: HeaderMap,
    Json(input): Json<UpstreamInput>,
) -> Result<Response, Failure> {
    let revision = if_match(&headers)?;
    let changed = upstreams.update(&caller, &path.workspace, &path.upstream, input, revision).await?;
    Ok(answer::changed(changed.revision, &changed))
}

/// Takes an upstream away; what came from it stays.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/upstreams/{upstream}", operation_id = "deleteUpstream",
    tag = "upstreams",
    responses((status = 204, description = "Taken away.")),
)]
pub async fn delete(
    State(upstreams): State<Upstreams>,
    caller: Caller,
    Path(path): Path<UpstreamPath>,
) -> Result<StatusCode, Failure> {
    upstreams.delete(&caller, &path.workspace, &path.upstream).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a run due at once; the answer does not wait for it. A paused upstream goes on.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/upstreams/{upstream}/sync", operation_id = "syncUpstream",
    tag = "upstreams", request_body = Option<SyncRequest>,
    responses((status = 202, description = "Due; its runs tell what came of it.", body = Upstream)),
)]
pub async fn sync(
    State(upstreams): State<Upstreams>,
    caller: Caller,
    Path(path): Path<UpstreamPath>,
    OptionalJson(wanted): OptionalJson<SyncRequest>,
) -> Result<(StatusCode, axum::Json<Upstream>), Failure> {
    let due = upstreams.sync_now(&caller, &path.workspace, &path.upstream, wanted).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(due)))
}

/// Lists the last runs of an upstream, newest first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/upstreams/{upstream}/runs", operation_id = "listUpstreamRuns",
    tag = "upstreams",
    params(RunsQuery), responses((status = 200, description = "The last runs.", body = All<Run>)),
)]
pub async fn runs(
    State(upstreams): State<Upstreams>,
    caller: Caller,
    Path(path): Path<UpstreamPath>,
    Query(query): Query<RunsQuery>,
) -> Result<axum::Json<All<Run>>, Failure> {
    let limit = limit(query.limit)?;
    Ok(axum::Json(upstreams.runs(&caller, &path.workspace, &path.upstream, limit).await?.into()))
}
