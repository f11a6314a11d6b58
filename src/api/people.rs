//! People and groups, for those who look after them.

use super::answer;
use super::me::{Permissions, PlaceQuery, place};
use super::paging::All;
use crate::auth::{Auth, Group, NewUser, User};
use crate::base::{Limit, Problem};
use crate::catalog::Catalog;
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query, segment};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// People of a page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// How many; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// Those whose name comes after this one: `next` of the page before.
    #[param(max_length = 200)]
    after: Option<String>,
}

/// A page of people, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserPage {
    items: Vec<User>,
    /// What to give as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A person and their groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserWithGroups {
    #[serde(flatten)]
    user: User,
    groups: Vec<String>,
}

/// Whom to invite.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvitationRequest {
    /// What owners and the audit record call them.
    #[schema(min_length = 1, max_length = 100, example = "anna.smith")]
    name: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    display_name: String,
    #[schema(max_length = 320)]
    email: Option<String>,
    /// Local groups to put them in.
    #[serde(default)]
    #[schema(max_items = 50)]
    groups: Vec<String>,
}

/// An invitation that was just made: this answer is the only one that has its link.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeInvitation {
    user: User,
    /// Works once; give it to the person and to nobody else.
    link: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// What of a person or service account is changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisabledPatch {
    /// Whether they may come in no more; every session ends with it.
    pub disabled: bool,
}

/// A local group to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    #[schema(min_length = 1, max_length = 100, example = "payments-team")]
    name: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    title: String,
}

/// A group and who is in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupWithMembers {
    #[serde(flatten)]
    group: Group,
    /// Their names; `members` is how many there are.
    #[serde(rename = "memberNames")]
    member_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct UserPath {
    user: String,
}

#[derive(Debug, Deserialize)]
pub struct GroupPath {
    group: String,
}

#[derive(Debug, Deserialize)]
pub struct MemberPath {
    group: String,
    user: String,
}

/// Lists people by name; for administrators.
#[utoipa::path(
    get, path = "/api/v1/users", operation_id = "listUsers", tag = "people", params(UserQuery), security(("bearer" = [])),
    responses((status = 200, description = "A page of them.", body = UserPage)),
)]
pub async fn list_users(
    State(auth): State<Auth>,
    caller: Caller,
    Query(query): Query<UserQuery>,
) -> Result<axum::Json<UserPage>, Failure> {
    let limit = super::paging::limit(query.limit)?;
    super::narrowing::bounded("query.after", query.after.as_deref(), 200)?;
    let mut items = auth.users(&caller, query.after.as_deref(), Limit(limit.0 + 1)).await?;
    let has_more = items.len() > limit.0;
    items.truncate(limit.0);
    let next = items.last().filter(|_| has_more).map(|user| user.name.clone());
    Ok(axum::Json(UserPage { items, next }))
}

/// Invites somebody, who chooses a password by the link; for administrators. Inviting them again replaces the link.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "inviteUser", tag = "people",
    responses((
        status = 201, description = "Invited; the link is in no later answer.", body = MadeInvitation,
        headers(("Location")),
    )),
)]
pub async fn invite_user(
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(request): Json<InvitationRequest>,
) -> Result<Response, Failure> {
    let new = NewUser {
        name: request.name,
        display_name: request.display_name,
        email: request.email,
        groups: request.groups,
    };
    let made = auth.invite(&caller, new).await?;
    let location = url.join(&format!("/api/v1/users/{}", segment(&made.user.name)));
    let link = url.join(&format!("/invitation?token={}", made.token.reveal()));
    Ok(answer::made(&location, &MadeInvitation { user: made.user, link, expires_at: made.expires_at }))
}

/// Gives a person and their groups; for administrators and for oneself.
#[utoipa::path(
    get, path = "/api/v1/users/{user}", operation_id = "getUser", tag = "people", security(("bearer" = [])),
    responses((status = 200, description = "The person.", body = UserWithGroups)),
)]
pub async fn find_user(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<UserPath>,
) -> Result<axum::Json<UserWithGroups>, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("People are shown to who is signed in.")));
    }
    let (user, groups) = auth.user(&caller, &path.user).await?;
    Ok(axum::Json(UserWithGroups { user, groups }))
}

/// Tells what somebody may do somewhere, because of which role, and which one is missing; for who governs there.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/permissions", operation_id = "explainPermissions", tag = "people",
    params(PlaceQuery), security(("bearer" = [])),
    responses((status = 200, description = "Each permission.", body = Permissions)),
)]
pub async fn explain(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    caller: Caller,
    Path(path): Path<UserPath>,
    Query(query): Query<PlaceQuery>,
) -> Result<axum::Json<Permissions>, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Permissions are explained to who governs there.")));
    }
    let (scope, at) = place(&catalog, &caller, &query).await?;
    let known = catalog.workspaces(&caller).await?;
    Ok(axum::Json(Permissions::of(at, auth.explain(&caller, &path.user, scope).await?, &known)))
}

/// Disables a person, whose sessions and keys then end, or lets them in again; for administrators.
#[utoipa::path(
    patch, path = "/api/v1/users/{user}", operation_id = "updateUser", tag = "people",
    responses((status = 200, description = "The person as they are now.", body = User)),
)]
pub async fn update_user(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<UserPath>,
    Json(patch): Json<DisabledPatch>,
) -> Result<axum::Json<User>, Failure> {
    Ok(axum::Json(auth.set_user_disabled(&caller, &path.user, patch.disabled).await?))
}

/// Ends every session of a person; for administrators.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}/sessions", operation_id = "endSessionsOfUser", tag = "people",
    responses((status = 204, description = "Ended, on every replica within a second.")),
)]
pub async fn end_sessions(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<UserPath>,
) -> Result<StatusCode, Failure> {
    auth.end_sessions_of(&caller, &path.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists groups, local ones and those of identity providers; for who is signed in.
#[utoipa::path(
    get, path = "/api/v1/groups", operation_id = "listGroups", tag = "people", security(("bearer" = [])),
    responses((status = 200, description = "The first thousand, by name.", body = All<Group>)),
)]
pub async fn list_groups(State(auth): State<Auth>, caller: Caller) -> Result<axum::Json<All<Group>>, Failure> {
    Ok(axum::Json(auth.groups(&caller).await?.into()))
}

/// Makes a local group; for administrators.
#[utoipa::path(
    post, path = "/api/v1/groups", operation_id = "createGroup", tag = "people",
    responses((status = 201, description = "Made.", body = Group, headers(("Location")))),
)]
pub async fn create_group(
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(request): Json<GroupRequest>,
) -> Result<Response, Failure> {
    let made = auth.create_group(&caller, &request.name, &request.title).await?;
    Ok(answer::made(&url.join(&format!("/api/v1/groups/{}", segment(&made.name))), &made))
}

/// Gives a group and who is in it; for administrators.
#[utoipa::path(
    get, path = "/api/v1/groups/{group}", operation_id = "getGroup", tag = "people", security(("bearer" = [])),
    responses((status = 200, description = "The group.", body = GroupWithMembers)),
)]
pub async fn find_group(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<GroupPath>,
) -> Result<axum::Json<GroupWithMembers>, Failure> {
    let (group, member_names) = auth.group(&caller, &path.group).await?;
    Ok(axum::Json(GroupWithMembers { group, member_names }))
}

/// Deletes a group with its roles and what is shared with it; its name stays taken. For administrators.
#[utoipa::path(
    delete, path = "/api/v1/groups/{group}", operation_id = "deleteGroup", tag = "people",
    responses((status = 204, description = "Deleted.")),
)]
pub async fn delete_group(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<GroupPath>,
) -> Result<StatusCode, Failure> {
    auth.delete_group(&caller, &path.group).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts somebody into a local group; for administrators.
#[utoipa::path(
    put, path = "/api/v1/groups/{group}/members/{user}", operation_id = "addGroupMember", tag = "people",
    responses((status = 204, description = "They are in it.")),
)]
pub async fn add_member(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<MemberPath>,
) -> Result<StatusCode, Failure> {
    auth.set_member(&caller, &path.group, &path.user, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes somebody out of a local group; for administrators.
#[utoipa::path(
    delete, path = "/api/v1/groups/{group}/members/{user}", operation_id = "removeGroupMember", tag = "people",
    responses((status = 204, description = "They are not in it.")),
)]
pub async fn remove_member(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<MemberPath>,
) -> Result<StatusCode, Failure> {
    auth.set_member(&caller, &path.group, &path.user, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
