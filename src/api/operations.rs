//! Operations of an API and tools of an MCP server: one list under both names, since both are stored alike.

use super::paging;
use super::place::Place;
use crate::auth::Actor;
use crate::base::Page;
use crate::catalog::{Catalog, NewOperation};
use crate::door::{Caller, Failure, Query};
use crate::wire;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// An operation of an API, a tool of an MCP server, or a skill of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Unique within its version.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    tags: Vec<String>,
    deprecated: bool,
    /// JSON Schema of a tool's arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
    /// Of an operation: `parameters`, `requestBody`, `responses`, `security`, `servers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

impl From<wire::Operation> for Operation {
    fn from(stored: wire::Operation) -> Self {
        let told = NewOperation::from(stored);
        Self {
            name: told.name,
            title: told.title,
            method: told.method,
            path: told.path,
            summary: told.summary,
            description: told.description,
            tags: told.tags,
            deprecated: told.deprecated,
            input_schema: told.input_schema,
            output_schema: told.output_schema,
            annotations: told.annotations,
            detail: told.detail,
        }
    }
}

/// Which version, which page, and how much of each.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// A version's name; the latest one where not said.
    #[param(min_length = 1, max_length = 255)]
    version: Option<String>,
    /// Whether each comes with its parameters and schemas.
    #[param(default = false)]
    detail: Option<bool>,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// Which version.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindQuery {
    /// A version's name; the latest one where not said.
    #[param(min_length = 1, max_length = 255)]
    version: Option<String>,
}

/// Lists the operations of a version, in the document's order.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/operations", operation_id = "listOperations",
    tag = "operations", params(ListQuery),
    responses((status = 200, description = "One page of operations.", body = Page<Operation>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<Operation>>, Failure> {
    page(&catalog, &caller, &place, query).await
}

/// Lists the tools of a version of an MCP server, in the document's order.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/tools", operation_id = "listTools",
    tag = "operations", params(ListQuery),
    responses((status = 200, description = "One page of tools.", body = Page<Operation>)),
)]
pub async fn list_tools(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<Operation>>, Failure> {
    page(&catalog, &caller, &place, query).await
}

/// Gives one operation with its parameters and schemas.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/operations/{operation}", operation_id = "getOperation",
    tag = "operations", params(FindQuery),
    responses((status = 200, description = "The operation.", body = Operation)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(query): Query<FindQuery>,
) -> Result<axum::Json<Operation>, Failure> {
    one(&catalog, &caller, &place, query).await
}

/// Gives one tool with its schemas.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/tools/{tool}", operation_id = "getTool",
    tag = "operations", params(FindQuery),
    responses((status = 200, description = "The tool.", body = Operation)),
)]
pub async fn find_tool(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    Query(query): Query<FindQuery>,
) -> Result<axum::Json<Operation>, Failure> {
    one(&catalog, &caller, &place, query).await
}

async fn page(
    catalog: &Catalog,
    actor: &Actor,
    place: &Place,
    query: ListQuery,
) -> Result<axum::Json<Page<Operation>>, Failure> {
    let (workspace, name) = place.asset();
    let version = query.version.as_deref().unwrap_or("latest");
    let limit = paging::limit(query.limit)?;
    let cursor = paging::cursor(query.cursor.as_deref());
    let detail = query.detail.unwrap_or(false);
    let (_, _, page) = catalog.operations(actor, (workspace, name, version), cursor.as_ref(), limit, detail).await?;
    let items = page.items.into_iter().map(Operation::from).collect();
    Ok(axum::Json(Page { items, total: page.total, next: page.next }))
}

async fn one(
    catalog: &Catalog,
    actor: &Actor,
    place: &Place,
    query: FindQuery,
) -> Result<axum::Json<Operation>, Failure> {
    let (workspace, name) = place.asset();
    let version = query.version.as_deref().unwrap_or("latest");
    let (_, _, found) = catalog.operation(actor, (workspace, name, version), place.part()).await?;
    Ok(axum::Json(found.into()))
}
