//! Keys: the credentials of programs, shown once.

use super::answer;
use super::paging::All;
use crate::auth::{Actor, ApiKey, Auth, NewKey, Role};
use crate::base::{KeyId, Problem, WorkspaceId};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// A key to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRequest {
    /// What it is for; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S", example = "deploy pipeline")]
    name: String,
    role: Role,
    /// Where the role holds; needed for readers and publishers, out of place for administrators.
    #[schema(max_length = 63)]
    workspace: Option<String>,
    /// When the key ends by itself; never where not said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A key, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    #[schema(value_type = uuid::Uuid)]
    id: KeyId,
    name: String,
    role: Role,
    /// Where the role holds; everywhere where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    revoked_at: Option<OffsetDateTime>,
}

/// A key that was just made, with its text: this answer is the only one that has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NewKeyText {
    #[serde(flatten)]
    key: Key,
    /// `whf_...`, for `Authorization: Bearer`.
    text: String,
}

impl Key {
    fn of(key: ApiKey, workspaces: &[Workspace]) -> Self {
        let workspace = key.workspace_id.and_then(|id| workspaces.iter().find(|one| one.workspace_id == id));
        Self {
            id: key.key_id,
            name: key.name,
            role: key.role,
            workspace: workspace.map(|one| one.name.to_string()),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Whose keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeyQuery {
    /// Of this workspace; of all where not said.
    #[param(max_length = 200)]
    workspace: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct KeyPath {
    key: String,
}

/// Lists keys without their texts, newest first; for administrators.
#[utoipa::path(
    get, path = "/api/v1/keys", operation_id = "listKeys", tag = "keys", params(KeyQuery), security(("bearer" = [])),
    responses((status = 200, description = "The newest thousand.", body = All<Key>)),
)]
pub async fn list(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<KeyQuery>,
) -> Result<axum::Json<All<Key>>, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Keys are listed for administrators.")));
    }
    let workspace = workspace(&catalog, &caller, query.workspace.as_deref()).await?;
    let keys = auth.keys(&caller, workspace).await?;
    let workspaces = catalog.workspaces(&caller).await?;
    Ok(axum::Json(keys.into_iter().map(|key| Key::of(key, &workspaces)).collect::<Vec<_>>().into()))
}

/// Makes a key and shows its text, once; for administrators.
#[utoipa::path(
    post, path = "/api/v1/keys", operation_id = "createKey", tag = "keys",
    responses((
        status = 201, description = "Made; the text is in no later answer.", body = NewKeyText,
        headers(("Location")),
    )),
)]
pub async fn create(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(request): Json<KeyRequest>,
) -> Result<Response, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Keys are made by administrators.")));
    }
    let new = checked(request, &catalog, &caller).await?;
    let (key, secret) = auth.create_key(&caller, new).await?;
    let location = url.join(&format!("/api/v1/keys/{}", key.key_id));
    let key = Key::of(key, &catalog.workspaces(&caller).await?);
    Ok(answer::made(&location, &NewKeyText { key, text: secret.reveal().to_owned() }))
}

/// Ends a key at once.
#[utoipa::path(
    delete, path = "/api/v1/keys/{key}", operation_id = "revokeKey", tag = "keys",
    responses((status = 204, description = "Ended.")),
)]
pub async fn revoke(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<KeyPath>,
) -> Result<StatusCode, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Keys are ended by administrators.")));
    }
    let id = path.key.parse().map_err(|_| Problem::not_found("There is no live key of this id."))?;
    auth.revoke_key(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn workspace(catalog: &Catalog, actor: &Actor, name: Option<&str>) -> Result<Option<WorkspaceId>, Failure> {
    match name {
        None => Ok(None),
        Some(name) => Ok(Some(catalog.workspace(actor, name).await?.workspace_id)),
    }
}

async fn checked(request: KeyRequest, catalog: &Catalog, actor: &Actor) -> Result<NewKey, Failure> {
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(Failure(Problem::invalid_field("body.name", "must have 1 to 200 characters")));
    }
    match (request.role, &request.workspace) {
        (Role::Administrator, Some(_)) => {
            let problem = Problem::invalid_field("body.workspace", "an administrator's role holds everywhere");
            return Err(Failure(problem.with_help("Leave the workspace out, or choose reader or publisher.")));
        }
        (Role::Reader | Role::Publisher, None) => {
            return Err(Failure(Problem::invalid_field("body.workspace", "say in which workspace the role holds")));
        }
        _ => {}
    }
    if request.expires_at.is_some_and(|end| end <= catalog.clock().now()) {
        return Err(Failure(Problem::invalid_field("body.expiresAt", "must lie ahead")));
    }
    let workspace = workspace(catalog, actor, request.workspace.as_deref()).await?;
    Ok(NewKey { name, role: request.role, workspace, expires_at: request.expires_at })
}
