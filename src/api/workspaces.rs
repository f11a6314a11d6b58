//! Workspaces: a team's part of the catalog.

use super::answer;
use super::assets::WorkspacePath;
use super::paging::All;
use crate::catalog::{Catalog, NewWorkspace, Workspace, WorkspacePatch};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, if_match, segment};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

/// Lists the workspaces you belong to or may see an asset of.
#[utoipa::path(
    get, path = "/api/v1/workspaces", operation_id = "listWorkspaces", tag = "workspaces",
    responses((status = 200, description = "All of them, by name.", body = All<Workspace>)),
)]
pub async fn list(State(catalog): State<Catalog>, caller: Caller) -> Result<axum::Json<All<Workspace>>, Failure> {
    Ok(axum::Json(catalog.workspaces(&caller).await?.into()))
}

/// Makes a workspace; for administrators.
#[utoipa::path(
    post, path = "/api/v1/workspaces", operation_id = "createWorkspace", tag = "workspaces",
    responses((
        status = 201, description = "Made.", body = Workspace,
        headers(("Location"), ("ETag")),
    )),
)]
pub async fn create(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(new): Json<NewWorkspace>,
) -> Result<Response, Failure> {
    let made = catalog.create_workspace(&caller, new).await?;
    let location = url.join(&format!("/api/v1/workspaces/{}", segment(made.name.as_str())));
    Ok(answer::created(&location, made.revision, &made))
}

/// Gives a workspace.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}", operation_id = "getWorkspace", tag = "workspaces",
    params(answer::IfNoneMatch), responses((status = 200, description = "The workspace.", body = Workspace)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = catalog.workspace(&caller, &path.workspace).await?;
    Ok(answer::tagged(&headers, found.revision, &found))
}

/// Changes what the body names of a workspace.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}", operation_id = "updateWorkspace", tag = "workspaces",
    params(answer::IfMatch), responses((status = 200, description = "The workspace as it is now.", body = Workspace)),
)]
pub async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    headers: HeaderMap,
    Json(patch): Json<WorkspacePatch>,
) -> Result<Response, Failure> {
    let changed = catalog.update_workspace(&caller, &path.workspace, patch, if_match(&headers)?).await?;
    Ok(answer::changed(changed.revision, &changed))
}
