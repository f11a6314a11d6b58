//! Environments: the places where versions run.

use super::answer;
use super::assets::WorkspacePath;
use super::paging::All;
use crate::catalog::{Catalog, Environment, EnvironmentInput};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, if_match, segment};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct EnvironmentPath {
    workspace: String,
    environment: String,
}

/// Lists the environments of a workspace.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/environments", operation_id = "listEnvironments", tag = "environments",
    responses((status = 200, description = "All of them, by name.", body = All<Environment>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
) -> Result<axum::Json<All<Environment>>, Failure> {
    Ok(axum::Json(catalog.environments(&caller, &path.workspace).await?.into()))
}

/// Makes an environment.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/environments", operation_id = "createEnvironment", tag = "environments",
    responses((
        status = 201, description = "Made.", body = Environment,
        headers(("Location"), ("ETag")),
    )),
)]
pub async fn create(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    Json(new): Json<EnvironmentInput>,
) -> Result<Response, Failure> {
    let made = catalog.create_environment(&caller, &path.workspace, new).await?;
    let location = url.join(&format!("/api/v1/workspaces/{}/environments/{}", segment(&path.workspace), made.name));
    Ok(answer::created(&location, made.revision, &made))
}

/// Gives an environment.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/environments/{environment}", operation_id = "getEnvironment",
    tag = "environments",
    params(answer::IfNoneMatch), responses((status = 200, description = "The environment.", body = Environment)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<EnvironmentPath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = catalog.environment(&caller, &path.workspace, &path.environment).await?;
    Ok(answer::tagged(&headers, found.revision, &found))
}

/// Changes what the body names of an environment; its name stays.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/environments/{environment}", operation_id = "updateEnvironment",
    tag = "environments",
    params(answer::IfMatch), responses((status = 200, description = "The environment as it is now.", body = Environment)),
)]
pub async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<EnvironmentPath>,
    headers: HeaderMap,
    Json(input): Json<EnvironmentInput>,
) -> Result<Response, Failure> {
    let revision = if_match(&headers)?;
    let changed = catalog.update_environment(&caller, &path.workspace, &path.environment, input, revision).await?;
    Ok(answer::changed(changed.revision, &changed))
}

/// Takes away an environment that nothing runs in.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/environments/{environment}", operation_id = "deleteEnvironment",
    tag = "environments",
    responses((status = 204, description = "Taken away.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<EnvironmentPath>,
) -> Result<StatusCode, Failure> {
    catalog.delete_environment(&caller, &path.workspace, &path.environment).await?;
    Ok(StatusCode::NO_CONTENT)
}
