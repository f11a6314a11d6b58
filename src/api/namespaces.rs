//! Namespaces: which workspace may publish which names of the MCP registry.

use super::answer;
use super::paging::All;
use crate::catalog::{Catalog, Namespace, NamespaceInput};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, segment};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct NamespacePath {
    namespace: String,
}

/// Lists the namespaces your workspaces may publish; administrators see all.
#[utoipa::path(
    get, path = "/api/v1/namespaces", operation_id = "listNamespaces", tag = "registries",
    responses((status = 200, description = "All of them, by name.", body = All<Namespace>)),
)]
pub async fn list(State(catalog): State<Catalog>, caller: Caller) -> Result<axum::Json<All<Namespace>>, Failure> {
    Ok(axum::Json(catalog.namespaces(&caller).await?.into()))
}

/// Gives a namespace to a workspace: only it may publish names there from then on.
#[utoipa::path(
    put, path = "/api/v1/namespaces/{namespace}", operation_id = "putNamespace", tag = "registries",
    responses(
        (status = 200, description = "Given to the workspace anew.", body = Namespace),
        (status = 201, description = "Registered.", body = Namespace, headers(("Location"))),
    ),
)]
pub async fn put(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<NamespacePath>,
    Json(input): Json<NamespaceInput>,
) -> Result<Response, Failure> {
    let (stored, is_new) = catalog.put_namespace(&caller, &path.namespace, &input).await?;
    if !is_new {
        return Ok(axum::Json(stored).into_response());
    }
    Ok(answer::made(&url.join(&format!("/api/v1/namespaces/{}", segment(&stored.name))), &stored))
}

/// Lets go of a namespace.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}", operation_id = "deleteNamespace", tag = "registries",
    responses((status = 204, description = "Let go.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<NamespacePath>,
) -> Result<StatusCode, Failure> {
    catalog.delete_namespace(&caller, &path.namespace).await?;
    Ok(StatusCode::NO_CONTENT)
}
