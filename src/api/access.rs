//! Access to what the gateway leads to: asked for, decided, and the key that comes of it.

use super::answer;
use super::keys::NewKeyText;
use super::narrowing::bounded;
use super::paging;
use crate::auth::Auth;
use crate::base::{AccessRequestId, Page, Problem};
use crate::catalog::Catalog;
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query};
use crate::gateway::Gateway;
use crate::gateway::access::{AccessDecision, AccessFilter, AccessRequest, AccessState, NewAccess};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize)]
pub struct RequestPath {
    request: String,
}

/// How the list is narrowed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccessQuery {
    state: Option<AccessState>,
    /// Of this workspace.
    #[param(max_length = 200)]
    workspace: Option<String>,
    /// For the asset of this name.
    #[param(max_length = 200)]
    asset: Option<String>,
    /// Your own only.
    #[serde(default)]
    own: bool,
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// The key to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// What it is called; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
}

/// Lists your requests for access, and those you decide on; the newest first.
#[utoipa::path(
    get, path = "/api/v1/access-requests", operation_id = "listAccessRequests", tag = "access", params(AccessQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "One page of requests.", body = Page<AccessRequest>)),
)]
pub async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(query): Query<AccessQuery>,
) -> Result<axum::Json<Page<AccessRequest>>, Failure> {
    for (name, value) in [("workspace", &query.workspace), ("asset", &query.asset)] {
        bounded(&format!("query.{name}"), value.as_deref(), 200)?;
    }
    let (limit, cursor) = (paging::limit(query.limit)?, paging::cursor(query.cursor.as_deref()));
    let filter = AccessFilter { state: query.state, workspace: query.workspace, asset: query.asset, own: query.own };
    Ok(axum::Json(gateway.access_requests(&caller, &filter, cursor.as_ref(), limit).await?))
}

/// Asks to call an asset through the gateway; for people.
#[utoipa::path(
    post, path = "/api/v1/access-requests", operation_id = "requestAccess", tag = "access",
    responses((status = 201, description = "Asked.", body = AccessRequest, headers(("Location")))),
)]
pub async fn request(
    State(gateway): State<Gateway>,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(new): Json<NewAccess>,
) -> Result<Response, Failure> {
    let made = gateway.request_access(&caller, (&auth, &catalog), &new).await?;
    Ok(answer::made(&url.join(&format!("/api/v1/access-requests/{}", made.access_request_id)), &made))
}

/// Gives a request, for who made it and who decides on it.
#[utoipa::path(
    get, path = "/api/v1/access-requests/{request}", operation_id = "getAccessRequest", tag = "access",
    security(("bearer" = [])),
    responses((status = 200, description = "The request.", body = AccessRequest)),
)]
pub async fn find(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(path): Path<RequestPath>,
) -> Result<axum::Json<AccessRequest>, Failure> {
    Ok(axum::Json(gateway.access_request(&caller, id(&caller, &path)?).await?.0))
}

/// Approves or declines; for those who govern the workspace of the asset.
///
/// Approved, the asker holds the role consumer for this asset, until it ends or is taken back.
#[utoipa::path(
    post, path = "/api/v1/access-requests/{request}/decision", operation_id = "decideOnAccess", tag = "access",
    responses((status = 200, description = "The request as it is now.", body = AccessRequest)),
)]
pub async fn decide(
    State(gateway): State<Gateway>,
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<RequestPath>,
    Json(decision): Json<AccessDecision>,
) -> Result<axum::Json<AccessRequest>, Failure> {
    Ok(axum::Json(gateway.decide_access(&caller, &auth, id(&caller, &path)?, &decision).await?))
}

/// Takes a request back; for who made it.
#[utoipa::path(
    post, path = "/api/v1/access-requests/{request}/withdraw", operation_id = "withdrawAccessRequest", tag = "access",
    responses((status = 200, description = "The request as it is now.", body = AccessRequest)),
)]
pub async fn withdraw(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(path): Path<RequestPath>,
) -> Result<axum::Json<AccessRequest>, Failure> {
    Ok(axum::Json(gateway.withdraw_access(&caller, id(&caller, &path)?).await?))
}

/// Makes the key of an approved request, once: your own, for calling this asset and nothing else.
#[utoipa::path(
    post, path = "/api/v1/access-requests/{request}/key", operation_id = "makeAccessKey", tag = "access",
    responses((
        status = 201, description = "The key; its text is in no later answer.", body = NewKeyText,
        headers(("Location")),
    )),
)]
pub async fn make_key(
    State(gateway): State<Gateway>,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<RequestPath>,
    Json(new): Json<AccessKey>,
) -> Result<Response, Failure> {
    let (key, secret) = gateway.make_access_key(&caller, &auth, id(&caller, &path)?, &new.name).await?;
    let location = url.join(&format!("/api/v1/keys/{}", key.key_id));
    Ok(answer::made(&location, &NewKeyText::own(key, secret.reveal())))
}

fn id(caller: &Caller, path: &RequestPath) -> Result<AccessRequestId, Problem> {
    if caller.is_anonymous() {
        return Err(Problem::unauthenticated("Requests for access are shown to who made them and who decides."));
    }
    path.request.parse().map_err(|_| Problem::not_found("There is no such request for access here."))
}
