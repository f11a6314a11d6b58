//! Versions of an asset: publishing, moving through their stages, taking away, and comparing.

use super::answer;
use super::paging::Paging;
use super::place::Place;
use super::registration::{RegisterQuery, Registration};
use crate::base::{HttpClient, Page, Problem};
use crate::catalog::diff::VersionDiff;
use crate::catalog::{Catalog, NewAsset, Version, VersionDetail, VersionPatch};
use crate::door::{Caller, Failure, Json, PublicUrl, Query, fetch_definitions, if_match};
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

/// Lists the versions of an asset, latest first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions", operation_id = "listVersions", tag = "versions",
    params(Paging),
    responses((status = 200, description = "One page of versions.", body = Page<Version>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Version>>, Failure> {
    let (workspace, name) = place.asset();
    let (cursor, limit) = paging.read()?;
    let (_, page) = catalog.versions(&caller, workspace, name, cursor.as_ref(), limit).await?;
    Ok(axum::Json(page))
}

/// Publishes a further version of an asset.
///
/// The body is the register body, of which `version`, `definition`, `deployments`, `operations` and `tools` count; or a
/// bare document, as when an asset is registered.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions", operation_id = "publishVersion",
    tag = "versions", params(RegisterQuery),
    request_body = NewAsset,
    responses((
        status = 201, description = "Published.", body = VersionDetail,
        headers(("Location"), ("ETag")),
    )),
)]
pub async fn publish(
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    State(url): State<PublicUrl>,
    caller: Caller,
    place: Place,
    Query(query): Query<RegisterQuery>,
    registration: Registration,
) -> Result<Response, Failure> {
    let (workspace, name) = place.asset();
    let mut new = registration.with(query)?;
    fetch_definitions(&http, &caller, &mut new).await?;
    if let Some(other) = new.name.as_ref().filter(|other| other.as_str() != name) {
        return Err(Failure(Problem::invalid_field("body.name", format!("this is {name}, the body is about {other}"))));
    }
    let made = catalog.publish_version(&caller, workspace, name, new).await?;
    let found = catalog.version(&caller, (workspace, name, &made.version.name)).await?;
    let location = place.url(&url, &["versions", &made.version.name]);
    Ok(answer::created(&location, found.asset.revision, &found))
}

/// Gives a version with its documents and deployments; `latest` is the latest one.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}", operation_id = "getVersion",
    tag = "versions",
    params(answer::IfNoneMatch), responses((status = 200, description = "The version.", body = VersionDetail)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = catalog.version(&caller, place.version()).await?;
    Ok(answer::tagged(&headers, found.asset.revision, &found))
}

/// Moves a version to another stage of its life, or says why it is where it is.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}", operation_id = "updateVersion",
    tag = "versions",
    params(answer::IfMatch), responses((status = 200, description = "The version as it is now.", body = VersionDetail)),
)]
pub async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    Json(patch): Json<VersionPatch>,
) -> Result<Response, Failure> {
    let changed = catalog.update_version(&caller, place.version(), patch, if_match(&headers)?).await?;
    let (workspace, name) = place.asset();
    let found = catalog.version(&caller, (workspace, name, &changed.name)).await?;
    Ok(answer::changed(found.asset.revision, &found))
}

/// Takes a version out of sight.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}", operation_id = "deleteVersion",
    tag = "versions",
    params(answer::IfMatch), responses((status = 204, description = "Deleted.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    catalog.delete_version(&caller, place.version(), if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The two versions of a comparison.
pub struct Pair {
    from: String,
    to: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Pair {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let params = parts
            .extract::<RawPathParams>()
            .await
            .map_err(|_| Problem::bad_request("The path is no UTF-8 once its escapes are read."))?;
        let of = |wanted: &str| {
            params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        Ok(Self { from: of("from"), to: of("to") })
    }
}

/// Tells what changed from one version to another, and what breaks callers.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{from}/diff/{to}", operation_id = "diffVersions",
    tag = "versions",
    responses((status = 200, description = "The differences.", body = VersionDiff)),
)]
pub async fn diff(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    pair: Pair,
) -> Result<axum::Json<VersionDiff>, Failure> {
    Ok(axum::Json(catalog.diff(&caller, place.asset(), &pair.from, &pair.to).await?))
}
