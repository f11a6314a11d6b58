//! Deployments: where the versions of an asset run.

use super::answer;
use super::paging::All;
use super::place::Place;
use crate::auth::Actor;
use crate::base::{DeploymentId, Problem};
use crate::catalog::{Asset, Catalog, Deployment, NewDeployment};
use crate::door::{Caller, Failure, Json, PublicUrl, Query, if_match};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which version is meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionQuery {
    /// A version's name, or `latest`.
    #[param(min_length = 1, max_length = 255)]
    version: Option<String>,
}

/// Lists where an asset runs: all its versions, or one of them.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/deployments", operation_id = "listDeployments",
    tag = "deployments", params(VersionQuery),
    responses((status = 200, description = "All deployments, of the latest version first.", body = All<Deployment>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(query): Query<VersionQuery>,
) -> Result<axum::Json<All<Deployment>>, Failure> {
    let (workspace, name) = place.asset();
    let (_, found) = catalog.deployments(&caller, workspace, name, query.version.as_deref()).await?;
    Ok(axum::Json(found.into()))
}

/// Says that a version runs somewhere; the latest one where the query names none.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/assets/{name}/deployments", operation_id = "createDeployment",
    tag = "deployments", params(answer::IfMatch, VersionQuery),
    responses((
        status = 201, description = "Noted.", body = Deployment,
        headers(("Location"), ("ETag")),
    )),
)]
pub async fn create(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    Query(query): Query<VersionQuery>,
    Json(new): Json<NewDeployment>,
) -> Result<Response, Failure> {
    let (workspace, name) = place.asset();
    let version = query.version.as_deref().unwrap_or("latest");
    let made = catalog.deploy(&caller, (workspace, name, version), new, if_match(&headers)?).await?;
    let location = place.url(&url, &["deployments", &made.deployment_id.to_string()]);
    let (asset, made) = read(&catalog, &caller, &place, made.deployment_id).await?;
    Ok(answer::created(&location, asset.revision, &made))
}

/// Gives one deployment.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/deployments/{deployment}", operation_id = "getDeployment",
    tag = "deployments",
    params(answer::IfNoneMatch), responses((status = 200, description = "The deployment.", body = Deployment)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (asset, found) = read(&catalog, &caller, &place, id(&place)?).await?;
    Ok(answer::tagged(&headers, asset.revision, &found))
}

/// Sets a deployment anew; its version stays.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{workspace}/assets/{name}/deployments/{deployment}",
    operation_id = "updateDeployment", tag = "deployments",
    params(answer::IfMatch), responses((status = 200, description = "The deployment as it is now.", body = Deployment)),
)]
pub async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    Json(new): Json<NewDeployment>,
) -> Result<Response, Failure> {
    let id = id(&place)?;
    catalog.update_deployment(&caller, place.asset(), id, new, if_match(&headers)?).await?;
    let (asset, found) = read(&catalog, &caller, &place, id).await?;
    Ok(answer::changed(asset.revision, &found))
}

/// Says that the version no longer runs there.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/assets/{name}/deployments/{deployment}",
    operation_id = "deleteDeployment", tag = "deployments",
    params(answer::IfMatch), responses((status = 204, description = "Taken away.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    catalog.undeploy(&caller, place.asset(), id(&place)?, if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn id(place: &Place) -> Result<DeploymentId, Problem> {
    place.part().parse().map_err(|_| missing(place))
}

async fn read(
    catalog: &Catalog,
    actor: &Actor,
    place: &Place,
    id: DeploymentId,
) -> Result<(Asset, Deployment), Failure> {
    let (workspace, name) = place.asset();
    let (asset, all) = catalog.deployments(actor, workspace, name, None).await?;
    let found = all.into_iter().find(|one| one.deployment_id == id).ok_or_else(|| missing(place))?;
    Ok((asset, found))
}

fn missing(place: &Place) -> Problem {
    Problem::not_found(format!("There is no deployment {:?} here.", place.part()))
}
