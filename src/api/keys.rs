//! Keys: the credentials of programs, shown once.

use super::answer;
use super::paging::All;
use crate::auth::{Actor, ApiKey, Auth, KeyHolder, KeyScope, NewKey, ROTATION_OVERLAP, Role};
use crate::base::{KeyId, Problem, WorkspaceId};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Caller, Failure, Json, OptionalJson, Path, PublicUrl, Query};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// A key to make: one of your own, of a service account, or one that belongs to nobody and has a role itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRequest {
    /// What it is for; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S", example = "deploy pipeline")]
    name: String,
    /// For a key that belongs to nobody: the role it has. For administrators.
    role: Option<Role>,
    /// Where that role holds; everywhere where not said.
    #[schema(max_length = 63)]
    workspace: Option<String>,
    /// Of this service account; for those who manage it.
    #[schema(max_length = 200)]
    service_account: Option<String>,
    /// What it may be used for: `catalog:read`, `catalog:publish` or `catalog:publish:WORKSPACE`, `gateway:call` or
    /// `gateway:call:ROUTE`, `mcp:discover`. None: for everything its holder may do.
    #[serde(default)]
    #[schema(max_items = 50)]
    scopes: Vec<String>,
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
    /// Of a key that belongs to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// Where that role holds; everywhere where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    /// The person or service account it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    /// What it may be used for; empty for everything its holder may do.
    scopes: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    revoked_at: Option<OffsetDateTime>,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    last_used_at: Option<OffsetDateTime>,
    /// How many texts work now: two while the key is being rotated.
    live_secrets: i64,
}

impl NewKeyText {
    /// A key of a person's own.
    pub(super) fn own(key: ApiKey, text: &str) -> Self {
        Self { key: Key::of(key, &[]), text: text.to_owned() }
    }
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
            holder: key.holder,
            scopes: scopes_told(key.scopes.into_iter(), workspaces),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            live_secrets: key.live_secrets,
        }
    }
}

/// Scopes with the names of workspaces in place of their ids.
pub(super) fn scopes_told(scopes: impl Iterator<Item = String>, workspaces: &[Workspace]) -> Vec<String> {
    let told = |scope: String| match KeyScope::parse(&scope) {
        Some(KeyScope::Publish(Some(id))) => match workspaces.iter().find(|one| one.workspace_id == id) {
            Some(workspace) => format!("catalog:publish:{}", workspace.name),
            None => scope,
        },
        _ => scope,
    };
    scopes.map(told).collect()
}

/// Whose keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeyQuery {
    /// Of this workspace; of all where not said.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// Only your own.
    #[serde(default)]
    own: bool,
}

#[derive(Debug, Deserialize)]
pub struct KeyPath {
    key: String,
}

/// How a key is rotated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rotation {
    /// How long the older text works on, in seconds; a day where not said, 0 to end it at once.
    #[schema(maximum = 31536000)]
    overlap_seconds: Option<u32>,
}

/// Lists keys without their texts, newest first: your own, or those you manage.
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
        return Err(Failure(Problem::unauthenticated("Keys are listed for those who own or manage them.")));
    }
    let keys = if query.own {
        auth.own_keys(&caller).await?
    } else {
        let workspace = workspace(&catalog, &caller, query.workspace.as_deref()).await?;
        auth.keys(&caller, workspace).await?
    };
    let workspaces = catalog.workspaces(&caller).await?;
    Ok(axum::Json(keys.into_iter().map(|key| Key::of(key, &workspaces)).collect::<Vec<_>>().into()))
}

/// Makes a key and shows its text, once.
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
        return Err(Failure(Problem::unauthenticated("Keys are made by those who own or manage them.")));
    }
    let new = checked(request, &auth, &catalog, &caller).await?;
    let (key, secret) = auth.create_key(&caller, new).await?;
    let location = url.join(&format!("/api/v1/keys/{}", key.key_id));
    let key = Key::of(key, &catalog.workspaces(&caller).await?);
    Ok(answer::made(&location, &NewKeyText { key, text: secret.reveal().to_owned() }))
}

/// Gives a key another text, shown once; the older one works on for a while.
#[utoipa::path(
    post, path = "/api/v1/keys/{key}/rotate", operation_id = "rotateKey", tag = "keys",
    request_body = Option<Rotation>,
    responses((status = 200, description = "Rotated; the text is in no later answer.", body = NewKeyText)),
)]
pub async fn rotate(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<KeyPath>,
    OptionalJson(rotation): OptionalJson<Rotation>,
) -> Result<axum::Json<NewKeyText>, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Keys are rotated by those who own or manage them.")));
    }
    let overlap = rotation.overlap_seconds.map_or(ROTATION_OVERLAP, |seconds| Duration::from_secs(seconds.into()));
    if overlap > Duration::from_secs(365 * 24 * 3600) {
        return Err(Failure(Problem::invalid_field("body.overlapSeconds", "must be a year at most")));
    }
    let (key, secret) = auth.rotate_key(&caller, key_id(&path)?, overlap).await?;
    let key = Key::of(key, &catalog.workspaces(&caller).await?);
    Ok(axum::Json(NewKeyText { key, text: secret.reveal().to_owned() }))
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
        return Err(Failure(Problem::unauthenticated("Keys are ended by those who own or manage them.")));
    }
    auth.revoke_key(&caller, key_id(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn key_id(path: &KeyPath) -> Result<KeyId, Failure> {
    path.key.parse().map_err(|_| Failure(Problem::not_found("There is no live key of this id.")))
}

async fn workspace(catalog: &Catalog, actor: &Actor, name: Option<&str>) -> Result<Option<WorkspaceId>, Failure> {
    match name {
        None => Ok(None),
        Some(name) => Ok(Some(catalog.workspace(actor, name).await?.workspace_id)),
    }
}

async fn checked(request: KeyRequest, auth: &Auth, catalog: &Catalog, actor: &Actor) -> Result<NewKey, Failure> {
    let wrong = |field: &str, message: &str| Failure(Problem::invalid_field(format!("body.{field}"), message));
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(wrong("name", "must have 1 to 200 characters"));
    }
    if request.expires_at.is_some_and(|end| end <= catalog.clock().now()) {
        return Err(wrong("expiresAt", "must lie ahead"));
    }
    let place = workspace(catalog, actor, request.workspace.as_deref()).await?;
    let holder = match (request.role, &request.service_account) {
        (Some(_), Some(_)) => return Err(wrong("serviceAccount", "a service account has its roles already")),
        (Some(role), None) if place.is_none() && role != Role::Administrator => {
            return Err(wrong("workspace", "say in which workspace the role holds"));
        }
        (Some(role), None) => KeyHolder::Role(role, place),
        (None, _) if place.is_some() => {
            return Err(wrong("workspace", "a workspace belongs to a role; name one, or use scopes"));
        }
        (None, Some(account)) => {
            KeyHolder::ServiceAccount(auth.service_account(actor, account).await?.service_account_id)
        }
        (None, None) => KeyHolder::Own,
    };
    if request.scopes.len() > 50 {
        return Err(wrong("scopes", "must be 50 at most"));
    }
    let mut scopes = Vec::with_capacity(request.scopes.len());
    for scope in request.scopes {
        scopes.push(match scope.strip_prefix("catalog:publish:") {
            Some(name) => KeyScope::Publish(workspace(catalog, actor, Some(name)).await?).to_string(),
            None => scope,
        });
    }
    Ok(NewKey { name, holder, scopes, expires_at: request.expires_at })
}
