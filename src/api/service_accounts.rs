//! Service accounts: programs that act in their own name.

use super::answer;
use super::paging::All;
use super::people::DisabledPatch;
use crate::auth::{self, Auth, NewServiceAccount};
use crate::base::{Problem, ServiceAccountId};
use crate::catalog::Catalog;
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query, segment};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// A program that acts in its own name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    #[schema(value_type = uuid::Uuid)]
    id: ServiceAccountId,
    name: String,
    description: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    disabled_at: Option<OffsetDateTime>,
}

/// A service account to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccountRequest {
    #[schema(min_length = 1, max_length = 100, example = "deploy-pipeline")]
    name: String,
    #[serde(default)]
    #[schema(max_length = 1000)]
    description: String,
    /// Whose administrators look after it; those of the instance where not said.
    #[schema(max_length = 63)]
    workspace: Option<String>,
    /// With `subject`: the tokens of a configured issuer that it may come with instead of a key.
    #[schema(max_length = 2000)]
    issuer: Option<String>,
    #[schema(max_length = 255)]
    subject: Option<String>,
}

/// Whose service accounts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ServiceAccountQuery {
    /// Of this workspace; of all where not said.
    #[param(max_length = 200)]
    workspace: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct ServiceAccountPath {
    account: String,
}

impl From<auth::ServiceAccount> for ServiceAccount {
    fn from(one: auth::ServiceAccount) -> Self {
        Self {
            id: one.service_account_id,
            name: one.name,
            description: one.description,
            created_at: one.created_at,
            disabled_at: one.disabled_at,
        }
    }
}

/// Lists service accounts; for who manages their keys.
#[utoipa::path(
    get, path = "/api/v1/service-accounts", operation_id = "listServiceAccounts", tag = "people",
    params(ServiceAccountQuery), security(("bearer" = [])),
    responses((status = 200, description = "The first thousand, by name.", body = All<ServiceAccount>)),
)]
pub async fn list_service_accounts(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    caller: Caller,
    Query(query): Query<ServiceAccountQuery>,
) -> Result<axum::Json<All<ServiceAccount>>, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Service accounts are listed for who manages their keys.")));
    }
    let workspace = match &query.workspace {
        Some(name) => Some(catalog.workspace(&caller, name).await?.workspace_id),
        None => None,
    };
    let found = auth.service_accounts(&caller, workspace).await?;
    Ok(axum::Json(found.into_iter().map(ServiceAccount::from).collect::<Vec<_>>().into()))
}

/// Makes a service account, without roles and keys; for who manages keys there.
#[utoipa::path(
    post, path = "/api/v1/service-accounts", operation_id = "createServiceAccount", tag = "people",
    responses((status = 201, description = "Made.", body = ServiceAccount, headers(("Location")))),
)]
pub async fn create_service_account(
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(request): Json<ServiceAccountRequest>,
) -> Result<Response, Failure> {
    if caller.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Service accounts are made by who manages their keys.")));
    }
    let workspace = match &request.workspace {
        Some(name) => Some(catalog.workspace(&caller, name).await?.workspace_id),
        None => None,
    };
    let subject = match (request.issuer, request.subject) {
        (Some(issuer), Some(subject)) => Some((issuer, subject)),
        (None, None) => None,
        _ => return Err(Failure(Problem::invalid_field("body.subject", "goes with issuer, and issuer with it"))),
    };
    let new = NewServiceAccount { name: request.name, description: request.description, workspace, subject };
    let made = ServiceAccount::from(auth.create_service_account(&caller, new).await?);
    Ok(answer::made(&url.join(&format!("/api/v1/service-accounts/{}", segment(&made.name))), &made))
}

/// Disables a service account, whose keys then end, or lets it work again; for who manages its keys.
#[utoipa::path(
    patch, path = "/api/v1/service-accounts/{account}", operation_id = "updateServiceAccount", tag = "people",
    responses((status = 200, description = "The account as it is now.", body = ServiceAccount)),
)]
pub async fn update_service_account(
    State(auth): State<Auth>,
    caller: Caller,
    Path(path): Path<ServiceAccountPath>,
    Json(patch): Json<DisabledPatch>,
) -> Result<axum::Json<ServiceAccount>, Failure> {
    Ok(axum::Json(auth.set_service_account_disabled(&caller, &path.account, patch.disabled).await?.into()))
}
