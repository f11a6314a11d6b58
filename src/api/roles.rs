//! Who holds which role where, and one's own sessions.

use super::answer;
use super::paging::All;
use crate::auth::{Auth, HolderName, Role, RoleAssignment, Scope, Session};
use crate::base::{Problem, RoleAssignmentId, SessionId};
use crate::catalog::Catalog;
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Whose roles.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoleQuery {
    /// In this workspace and for its assets; for everything where not said.
    #[param(max_length = 200)]
    workspace: Option<String>,
}

/// What a role is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HolderKind {
    User,
    Group,
    ServiceAccount,
}

/// A role to give.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleRequest {
    role: Role,
    holder_kind: HolderKind,
    /// The name of the person, group or service account.
    #[schema(max_length = 200)]
    holder: String,
    /// Where it holds; everywhere where not said.
    #[schema(max_length = 63)]
    workspace: Option<String>,
    /// For this asset of the workspace only.
    #[schema(max_length = 200)]
    asset: Option<String>,
    /// When it ends by itself; never where not said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A role that somebody holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignedRole {
    #[schema(value_type = uuid::Uuid)]
    id: RoleAssignmentId,
    role: Role,
    /// `user`, `group` or `service-account`.
    holder_kind: String,
    holder: String,
    /// The asset, where it holds for one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    asset: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    created_by: String,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<OffsetDateTime>,
}

/// A browser that is signed in as you.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnSession {
    #[schema(value_type = uuid::Uuid)]
    id: SessionId,
    user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The identity provider it was begun with.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Debug, Deserialize)]
pub struct RolePath {
    assignment: String,
}

#[derive(Debug, Deserialize)]
pub struct SessionPath {
    session: String,
}

impl From<RoleAssignment> for AssignedRole {
    fn from(one: RoleAssignment) -> Self {
        Self {
            id: one.role_assignment_id,
            role: one.role,
            holder_kind: one.holder_kind,
            holder: one.holder,
            asset: one.asset,
            created_at: one.created_at,
            created_by: one.created_by,
            expires_at: one.expires_at,
        }
    }
}

impl From<Session> for OwnSession {
    fn from(one: Session) -> Self {
        Self {
            id: one.session_id,
            user_agent: one.user_agent,
            address: one.address,
            provider: one.provider,
            created_at: one.created_at,
            last_seen_at: one.last_seen_at,
            expires_at: one.expires_at,
        }
    }
}

/// Lists who holds which role; for who governs there.
#[utoipa::path(
    get, path = "/api/v1/role-assignments", operation_id = "listRoleAssignments", tag = "people", params(RoleQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "The first five thousand.", body = All<AssignedRole>)),
)]
pub async fn list(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<RoleQuery>,
) -> Result<axum::Json<All<AssignedRole>>, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Roles are listed for who governs there.")));
    }
    let workspace = match &query.workspace {
        Some(name) => Some(catalog.workspace(&caller, name).await?.workspace_id),
        None => None,
    };
    let held = auth.roles(&caller, workspace).await?;
    Ok(axum::Json(held.into_iter().map(AssignedRole::from).collect::<Vec<_>>().into()))
}

/// Gives a role to a person, a group or a service account; given already, its end is set anew.
#[utoipa::path(
    post, path = "/api/v1/role-assignments", operation_id = "assignRole", tag = "people",
    responses((status = 201, description = "Given.", body = AssignedRole, headers(("Location")))),
)]
pub async fn assign(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(request): Json<RoleRequest>,
) -> Result<Response, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Roles are given by who governs there.")));
    }
    let scope = match (&request.workspace, &request.asset) {
        (None, None) => Scope::Instance,
        (Some(workspace), None) => Scope::Workspace(catalog.workspace(&caller, workspace).await?.workspace_id),
        (Some(workspace), Some(asset)) => catalog.find(&caller, workspace, asset).await?.asset.scope(),
        (None, Some(_)) => {
            return Err(Failure(Problem::invalid_field("body.workspace", "say in which workspace the asset is")));
        }
    };
    let holder = match request.holder_kind {
        HolderKind::User => HolderName::User(request.holder),
        HolderKind::Group => HolderName::Group(request.holder),
        HolderKind::ServiceAccount => HolderName::ServiceAccount(request.holder),
    };
    let made = AssignedRole::from(auth.assign_role(&caller, request.role, &holder, scope, request.expires_at).await?);
    Ok(answer::made(&url.join(&format!("/api/v1/role-assignments/{}", made.id)), &made))
}

/// Takes a role back.
#[utoipa::path(
    delete, path = "/api/v1/role-assignments/{assignment}", operation_id = "removeRole", tag = "people",
    responses((status = 204, description = "Taken back; it counts at once.")),
)]
pub async fn remove(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<RolePath>,
) -> Result<StatusCode, Failure> {
    let id = path.assignment.parse().map_err(|_| Problem::not_found("There is no such role assignment."))?;
    auth.remove_role(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists your own sessions, last seen first.
#[utoipa::path(
    get, path = "/api/v1/me/sessions", operation_id = "listOwnSessions", tag = "people", security(("bearer" = [])),
    responses((status = 200, description = "Those in force.", body = All<OwnSession>)),
)]
pub async fn sessions(State(auth): State<Auth>, caller: Caller) -> Result<axum::Json<All<OwnSession>>, Failure> {
    let found = auth.own_sessions(&caller).await?;
    Ok(axum::Json(found.into_iter().map(OwnSession::from).collect::<Vec<_>>().into()))
}

/// Signs you out everywhere.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions", operation_id = "endOwnSessions", tag = "people",
    responses((status = 204, description = "Ended, on every replica within a second.")),
)]
pub async fn end_sessions(State(auth): State<Auth>, caller: Caller) -> Result<StatusCode, Failure> {
    auth.end_own_sessions(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of your sessions.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions/{session}", operation_id = "endOwnSession", tag = "people",
    responses((status = 204, description = "Ended, on every replica within a second.")),
)]
pub async fn end_session(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<SessionPath>,
) -> Result<StatusCode, Failure> {
    let id = path.session.parse().map_err(|_| Problem::not_found("You have no such session."))?;
    auth.end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
