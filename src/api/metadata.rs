//! Metadata schemas: the fields a workspace adds to what it registers.

use super::answer;
use super::assets::WorkspacePath;
use super::paging::All;
use crate::base::{Problem, Slug};
use crate::catalog::{Carrier, Catalog, MetadataSchema, MetadataSchemaInput};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, segment};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Debug, Deserialize)]
pub struct FieldPath {
    workspace: String,
    field: String,
}

/// What a metadata field is to be; its name stands in the path.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataField {
    #[schema(max_length = 300)]
    title: Option<String>,
    #[schema(max_length = 20000)]
    description: Option<String>,
    /// JSON Schema (2020-12); references over the network are not followed.
    #[schema(value_type = Object)]
    schema: Value,
    #[schema(min_items = 1, max_items = 3)]
    assigned_to: Vec<Carrier>,
    /// Those of `assignedTo` that must have a value.
    #[serde(default)]
    #[schema(max_items = 3)]
    required_for: Vec<Carrier>,
    /// Whether search counts and filters by its values.
    #[serde(default)]
    facet: bool,
}

/// Lists the metadata fields of a workspace.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/metadata-schemas", operation_id = "listMetadataSchemas", tag = "metadata",
    responses((status = 200, description = "All of them, by name.", body = All<MetadataSchema>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
) -> Result<axum::Json<All<MetadataSchema>>, Failure> {
    Ok(axum::Json(catalog.metadata_schemas(&caller, &path.workspace).await?.into()))
}

/// Gives a metadata field.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/metadata-schemas/{field}", operation_id = "getMetadataSchema",
    tag = "metadata",
    responses((status = 200, description = "The field.", body = MetadataSchema)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<FieldPath>,
) -> Result<axum::Json<MetadataSchema>, Failure> {
    let all = catalog.metadata_schemas(&caller, &path.workspace).await?;
    let found = all.into_iter().find(|one| one.name.as_str() == path.field);
    let missing = || Problem::not_found(format!("There is no metadata field {:?} here.", path.field));
    Ok(axum::Json(found.ok_or_else(missing)?))
}

/// Makes a metadata field, or sets it anew; what is stored already is checked when it is next written.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{workspace}/metadata-schemas/{field}", operation_id = "putMetadataSchema",
    tag = "metadata",
    responses(
        (status = 200, description = "Set anew.", body = MetadataSchema),
        (status = 201, description = "Made.", body = MetadataSchema, headers(("Location"))),
    ),
)]
pub async fn put(
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<FieldPath>,
    Json(field): Json<MetadataField>,
) -> Result<Response, Failure> {
    let name = Slug::parse(&path.field)
        .map_err(|bad| Problem::not_found(format!("There can be no metadata field {:?}: {bad}.", path.field)))?;
    let input = MetadataSchemaInput {
        name,
        title: field.title,
        description: field.description,
        schema: field.schema,
        assigned_to: field.assigned_to,
        required_for: field.required_for,
        facet: field.facet,
    };
    let (stored, is_new) = catalog.put_metadata_schema(&caller, &path.workspace, input).await?;
    if !is_new {
        return Ok(axum::Json(stored).into_response());
    }
    let location = url.join(&format!(
        "/api/v1/workspaces/{}/metadata-schemas/{}",
        segment(&path.workspace),
        segment(stored.name.as_str())
    ));
    Ok(answer::made(&location, &stored))
}

/// Takes a metadata field away; values that are stored stay until they are written again.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/metadata-schemas/{field}", operation_id = "deleteMetadataSchema",
    tag = "metadata",
    responses((status = 204, description = "Taken away.")),
)]
pub async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<FieldPath>,
) -> Result<StatusCode, Failure> {
    catalog.delete_metadata_schema(&caller, &path.workspace, &path.field).await?;
    Ok(StatusCode::NO_CONTENT)
}
