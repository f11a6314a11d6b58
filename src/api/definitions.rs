//! Definitions: the documents of a version, and their bytes.

use super::answer;
use super::paging::All;
use super::place::Place;
use super::registration::MediaType;
use crate::base::{HttpClient, Name, Problem, Slug, parse_strict};
use crate::catalog::{Catalog, Definition, NewDefinition};
use crate::door::{Body, Caller, Failure, PublicUrl, Query, fetch_definition, if_match, is_fresh, read_json};
use crate::wire::{Finding, Format};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A document that was just attached.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachedDefinition {
    #[serde(flatten)]
    definition: Definition,
    /// What is odd in the document though it was accepted.
    findings: Vec<Finding>,
}

/// What the query says of a bare document.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttachQuery {
    /// Tells several documents of a version apart; the format's name where not said.
    #[param(value_type = Option<String>, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    name: Option<Slug>,
    /// The document's format; found out where it is not said.
    #[param(inline)]
    format: Option<Format>,
}

/// Lists the documents of a version.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions",
    operation_id = "listDefinitions", tag = "definitions",
    responses((status = 200, description = "All documents, oldest first.", body = All<Definition>)),
)]
pub async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
) -> Result<axum::Json<All<Definition>>, Failure> {
    Ok(axum::Json(catalog.version(&caller, place.version()).await?.definitions.into()))
}

/// Attaches a document to a version, in place of one of the same name; what it says replaces what was read before.
///
/// The body is the document itself, or JSON that carries it in `value`, `base64` or `url`.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions",
    operation_id = "attachDefinition", tag = "definitions", params(answer::IfMatch, AttachQuery),
    request_body = NewDefinition,
    responses((
        status = 201, description = "Attached.", body = AttachedDefinition,
        headers(("Location"), ("ETag")),
    )),
)]
pub async fn attach(
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    State(url): State<PublicUrl>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    Query(query): Query<AttachQuery>,
    attachment: Attachment,
) -> Result<Response, Failure> {
    let mut new = attachment.with(query);
    fetch_definition(&http, &caller, &mut new, "body.url").await?;
    let revision = if_match(&headers)?;
    let attached = catalog.attach_definition(&caller, place.version(), &new, revision).await?;
    let (workspace, name) = place.asset();
    let version = catalog.version(&caller, (workspace, name, &attached.version.name)).await?;
    let newest = version.definitions.into_iter().max_by_key(|one| one.definition_id);
    let definition = newest.ok_or_else(|| Problem::not_found("The document was taken away again meanwhile."))?;
    let location = place.url(&url, &["versions", &attached.version.name, "definitions", &definition.name]);
    let revision = version.asset.revision;
    Ok(answer::created(&location, revision, &AttachedDefinition { definition, findings: attached.findings }))
}

/// Tells about a document: its format, size and digest.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions/{definition}",
    operation_id = "getDefinition", tag = "definitions",
    params(answer::IfNoneMatch), responses((status = 200, description = "The document without its content.", body = Definition)),
)]
pub async fn find(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let version = catalog.version(&caller, place.version()).await?;
    let found = version.definitions.iter().find(|one| one.name == place.part());
    let found = found.ok_or_else(|| Problem::not_found(format!("There is no definition {:?} here.", place.part())))?;
    Ok(answer::tagged(&headers, version.asset.revision, found))
}

/// Takes a document off a version; what was read from it stays.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions/{definition}",
    operation_id = "removeDefinition", tag = "definitions",
    params(answer::IfMatch), responses((status = 204, description = "Taken off.")),
)]
pub async fn remove(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    catalog.remove_definition(&caller, place.version(), place.part(), if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a document byte for byte as it came, under its media type.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions/{definition}/content",
    operation_id = "getDefinitionContent", tag = "definitions",
    params(answer::IfNoneMatch), responses((
        status = 200, description = "The document.",
        content((Value = "*/*")),
        headers(
            ("ETag"),
            ("Content-Disposition"),
        ),
    )),
)]
pub async fn content(
    State(catalog): State<Catalog>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = catalog.definition(&caller, place.version(), Some(place.part())).await?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", hex::encode(&found.definition.digest)))
        .expect("hexadecimal digits are legal in a header");
    if is_fresh(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let media_type = HeaderValue::from_str(&found.definition.media_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let file =
        format!("attachment; filename=\"{}\"", file_name(&found.asset.name, &found.version.name, &found.definition));
    Ok((
        [
            (header::CONTENT_TYPE, media_type),
            (header::ETAG, tag),
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
            // A document is somebody else's: no browser shall take it for a page of ours.
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
            (header::CONTENT_DISPOSITION, HeaderValue::from_str(&file).expect("the name is plain ASCII")),
        ],
        found.content,
    )
        .into_response())
}

/// `payments-1.0.0-openapi.yaml`: letters, digits, dots and hyphens only.
fn file_name(asset: &Name, version: &str, definition: &Definition) -> String {
    let ending = match definition.media_type.as_str() {
        media if media.contains("json") => "json",
        media if media.contains("yaml") => "yaml",
        media if media.contains("xml") || media.contains("wsdl") => "xml",
        media if media.contains("markdown") => "md",
        media if media.contains("graphql") => "graphql",
        media if media.contains("protobuf") => "proto",
        _ => "txt",
    };
    let plain: String = format!("{}-{version}-{}", asset.slug(), definition.name)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' })
        .take(150)
        .collect();
    format!("{plain}.{ending}")
}

/// A document to attach, as it came.
pub struct Attachment(NewDefinition);

impl Attachment {
    fn with(self, query: AttachQuery) -> NewDefinition {
        let mut new = self.0;
        new.name = query.name.or(new.name);
        new.format = query.format.map(|format| format.as_str().to_owned()).or(new.format);
        new
    }
}

impl<S: Send + Sync> FromRequest<S> for Attachment {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let media = MediaType::of(&request)?;
        let Body(bytes) = Body::from_request(request, state).await?;
        match media {
            MediaType::Json if carries_a_document(&bytes) => Ok(Self(read_json(&bytes)?)),
            MediaType::Json => Ok(Self(super::registration::definition(&bytes, None))),
            MediaType::Document(format) => Ok(Self(super::registration::definition(&bytes, format))),
        }
    }
}

/// Whether a JSON body is about a document rather than one.
fn carries_a_document(bytes: &[u8]) -> bool {
    match parse_strict(bytes) {
        Ok(Value::Object(map)) => {
            map.is_empty()
                || (["value", "base64", "url"].iter().any(|member| map.contains_key(*member))
                    && map.keys().all(|key| ["value", "base64", "url", "name", "format"].contains(&key.as_str())))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_carries_a_document_is_told_from_one() {
        for (body, carries) in [
            (r#"{"value": {"openapi": "3.1.0"}}"#, true),
            (r#"{"url": "https://example.com/a.yaml", "name": "guide"}"#, true),
            (r#"{"openapi": "3.1.0"}"#, false),
            (r#"{"name": "Agent", "url": "https://example.com", "skills": []}"#, false),
            ("[]", false),
        ] {
            assert_eq!(carries_a_document(body.as_bytes()), carries, "{body}");
        }
    }
}
