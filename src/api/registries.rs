//! Registries: named views of the MCP registry API.

use super::answer;
use super::paging::All;
use crate::catalog::{Catalog, RegistryView, RegistryViewInput};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, if_match};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct RegistryPath {
    registry: String,
}

/// Lists the named registries: those read anonymously, and all for who comes with a credential.
#[utoipa::path(
    get, path = "/api/v1/registries", operation_id = "listRegistries", tag = "registries",
    responses((status = 200, description = "All of them, by name.", body = All<RegistryView>)),
)]
pub async fn list(State(catalog): State<Catalog>, caller: Caller) -> Result<axum::Json<All<RegistryView>>, Failure> {
    Ok(axum::Json(catalog.registry_views(&caller).await?.into()))
}

/// Makes a named registry; it is served at `/registries/{name}`.
#[utoipa::path(
    post, path = "/api/v1/registries", operation_id = "createRegistry", tag = "registries",
    responses((status = 201, description = "Made.", body = RegistryView, headers(("Location"), ("ETag")))),
)]
pub async fn create(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(new): Json<RegistryViewInput>,
) -> Result<Response, Failure> {
    let made = catalog.create_registry_view(&caller, new).await?;
    let location = url.join(&format!("/api/v1/registries/{}", made.name));
    Ok(answer::created(&location, made.revision, &made))
}

/// Gives a named registry.
#[utoipa::path(
    get, path = "/api/v1/registries/{registry}", operation_id = "getRegistry", tag = "registries",
    params(answer::IfNoneMatch), responses((status = 200, description = "The registry.", body = RegistryView)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<RegistryPath>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = catalog.registry_view(&caller, &path.registry).await?;
    Ok(answer::tagged(&headers, found.revision, &found))
}

/// Changes what the body names of a registry; its name stays.
#[utoipa::path(
    patch, path = "/api/v1/registries/{registry}", operation_id = "updateRegistry", tag = "registries",
    params(answer::IfMatch), responses((status = 200, description = "The registry as it is now.", body = RegistryView)),
)]
pub async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<RegistryPath>,
    headers: HeaderMap,
    Json(input): Json<RegistryViewInput>,
) -> Result<Response, Failure> {
    let changed = catalog.update_registry_view(&caller, &path.registry, input, if_match(&headers)?).await?;
    Ok(answer::changed(changed.revision, &changed))
}

/// Takes a named registry away.
#[utoipa::path(
    delete, path = "/api/v1/registries/{registry}", operation_id = "deleteRegistry", tag = "registries",
    responses((status = 204, description = "Taken away.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<RegistryPath>,
) -> Result<StatusCode, Failure> {
    catalog.delete_registry_view(&caller, &path.registry).await?;
    Ok(StatusCode::NO_CONTENT)
}
