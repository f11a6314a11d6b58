//! Exporting: everything the asker may see as JSON lines, which an import takes back.

use crate::catalog::{Catalog, Error};
use crate::door::{Caller, Failure, Query};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;

/// What is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Of this workspace; of all where not said.
    #[param(max_length = 200)]
    workspace: Option<String>,
}

/// Gives everything you may see as JSON lines.
///
/// Each line is one version of an asset as the register body, with its `workspace`, documents and deployments; the
/// versions of an asset come latest first. `POST /api/v1/import` takes the lines back.
#[utoipa::path(
    get, path = "/api/v1/export", operation_id = "exportAssets", tag = "import and export", params(ExportQuery),
    responses((status = 200, description = "One version of an asset a line.", content((String = "application/x-ndjson")))),
)]
pub async fn export(
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Failure> {
    if let Some(workspace) = &query.workspace {
        catalog.workspace(&caller, workspace).await?;
    }
    // The first page before the head of the answer: a database that is away is told as a status, not by a broken body.
    let first = catalog.export(&caller, query.workspace.as_deref(), None).await?;
    let asked = (catalog, caller, query.workspace);
    let pages = stream::try_unfold((Some(first), asked), |(page, (catalog, caller, workspace))| async move {
        let Some(page) = page else { return Ok(None) };
        let next = match page.last {
            Some(last) => Some(catalog.export(&caller, workspace.as_deref(), Some(last)).await?),
            None => None,
        };
        Ok::<_, Error>(Some((Bytes::from(page.lines), (next, (catalog, caller, workspace)))))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response())
}
