//! Backends, pools, routes, policies, prices and credentials: the same verbs for each, described one by one.

use crate::api::answer;
use crate::api::paging::All;
use crate::base::Problem;
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query, if_match, segment};
use crate::gateway::settings::{OfSection, Thing};
use crate::gateway::{Gateway, Put, Stored};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Whose things.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnerQuery {
    /// Those of this workspace; of the instance where not said.
    #[param(max_length = 63)]
    workspace: Option<String>,
}

impl OwnerQuery {
    pub(super) fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }
}

/// One thing of the gateway's settings.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayThing)]
pub struct Shown<T> {
    name: String,
    /// Whose it is; of the instance where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    settings: T,
    /// What is most likely a slip.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl<T: OfSection> Shown<T> {
    fn of(thing: Thing, warnings: Vec<String>) -> Self {
        Self {
            workspace: thing.owner.workspace_name().map(ToString::to_string),
            name: thing.name,
            settings: T::of(thing.settings).expect("a section holds things of its own"),
            warnings,
            created_at: thing.created_at,
            updated_at: thing.updated_at,
        }
    }

    pub(super) fn of_stored(stored: Stored) -> (i64, Self) {
        let warnings = stored.warnings.into_iter().map(|one| one.message).collect();
        (stored.thing.revision, Self::of(stored.thing, warnings))
    }
}

async fn list<T: OfSection>(
    gateway: Gateway,
    caller: Caller,
    query: OwnerQuery,
) -> Result<axum::Json<All<Shown<T>>>, Failure> {
    let things = gateway.list(&caller, T::SECTION, query.workspace.as_deref()).await?;
    Ok(axum::Json(things.into_iter().map(|thing| Shown::of(thing, Vec::new())).collect::<Vec<_>>().into()))
}

async fn find<T: OfSection + Serialize>(
    gateway: Gateway,
    caller: Caller,
    query: OwnerQuery,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let found = gateway.find(&caller, T::SECTION, query.workspace.as_deref(), name).await?;
    let (revision, shown) = Shown::<T>::of_stored(found);
    Ok(answer::tagged(headers, revision, &shown))
}

async fn put<T: OfSection + Serialize>(
    gateway: Gateway,
    caller: Caller,
    url: PublicUrl,
    query: OwnerQuery,
    name: &str,
    headers: &HeaderMap,
    settings: T,
) -> Result<Response, Failure> {
    let workspace = query.workspace.as_deref();
    let put = Put { workspace, name, settings: settings.into(), if_match: if_match(headers)? };
    let stored = gateway.put(&caller, put).await.map_err(name_of_path)?;
    let is_new = stored.is_new;
    let (revision, shown) = Shown::<T>::of_stored(stored);
    if !is_new {
        return Ok(answer::changed(revision, &shown));
    }
    let owner = workspace.map(|workspace| format!("?workspace={}", segment(workspace))).unwrap_or_default();
    let location = url.join(&format!("/api/v1/gateway/{}/{}{owner}", T::SECTION.plural(), segment(name)));
    Ok(answer::created(&location, revision, &shown))
}

/// The name came in the path and not in the body.
fn name_of_path(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        if error.location == "body.name" {
            error.location = "path.name".to_owned();
        }
    }
    problem
}

async fn delete<T: OfSection>(
    gateway: Gateway,
    caller: Caller,
    query: OwnerQuery,
    name: &str,
    headers: &HeaderMap,
) -> Result<StatusCode, Failure> {
    gateway.delete(&caller, T::SECTION, query.workspace.as_deref(), name, if_match(headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The handlers of one section, in a module of its name.
macro_rules! section {
    (
        $module:ident, $settings:ident, $parameter:ident, $all:literal, $one:literal,
        $list:literal, $find:literal, $put:literal, $delete:literal,
        $list_doc:literal, $find_doc:literal, $put_doc:literal, $delete_doc:literal
    ) => {
        pub mod $module {
            use super::*;
            use crate::gateway::settings::$settings;

            #[derive(Debug, Deserialize)]
            pub struct Named {
                $parameter: String,
            }

            #[doc = $list_doc]
            #[utoipa::path(
                get, path = $all, operation_id = $list, tag = "gateway", params(OwnerQuery), security(("bearer" = [])),
                responses((status = 200, description = "All of them, oldest first.", body = All<Shown<$settings>>)),
            )]
            pub async fn list(
                State(gateway): State<Gateway>,
                caller: Caller,
                Query(query): Query<OwnerQuery>,
            ) -> Result<axum::Json<All<Shown<$settings>>>, Failure> {
                super::list(gateway, caller, query).await
            }

            #[doc = $find_doc]
            #[utoipa::path(
                get, path = $one, operation_id = $find, tag = "gateway", params(OwnerQuery, answer::IfNoneMatch),
                security(("bearer" = [])),
                responses((status = 200, description = "It, with its warnings.", body = Shown<$settings>, headers(("ETag")))),
            )]
            pub async fn find(
                State(gateway): State<Gateway>,
                caller: Caller,
                Path(path): Path<Named>,
                Query(query): Query<OwnerQuery>,
                headers: HeaderMap,
            ) -> Result<Response, Failure> {
                super::find::<$settings>(gateway, caller, query, &path.$parameter, &headers).await
            }

            #[doc = $put_doc]
            #[utoipa::path(
                put, path = $one, operation_id = $put, tag = "gateway", params(OwnerQuery, answer::IfMatch),
                responses(
                    (status = 200, description = "Set anew.", body = Shown<$settings>, headers(("ETag"))),
                    (status = 201, description = "Made.", body = Shown<$settings>, headers(("Location"), ("ETag"))),
                ),
            )]
            pub async fn put(
                State(gateway): State<Gateway>,
                State(url): State<PublicUrl>,
                caller: Caller,
                Path(path): Path<Named>,
                Query(query): Query<OwnerQuery>,
                headers: HeaderMap,
                Json(settings): Json<$settings>,
            ) -> Result<Response, Failure> {
                super::put(gateway, caller, url, query, &path.$parameter, &headers, settings).await
            }

            #[doc = $delete_doc]
            #[utoipa::path(
                delete, path = $one, operation_id = $delete, tag = "gateway", params(OwnerQuery, answer::IfMatch),
                responses((status = 204, description = "Taken away.")),
            )]
            pub async fn delete(
                State(gateway): State<Gateway>,
                caller: Caller,
                Path(path): Path<Named>,
                Query(query): Query<OwnerQuery>,
                headers: HeaderMap,
            ) -> Result<StatusCode, Failure> {
                super::delete::<$settings>(gateway, caller, query, &path.$parameter, &headers).await
            }
        }
    };
}

#[derive(Debug, Deserialize)]
pub struct BackendPath {
    pub(super) backend: String,
}

section!(
    credential,
    CredentialSettings,
    credential,
    "/api/v1/gateway/credentials",
    "/api/v1/gateway/credentials/{credential}",
    "listCredentials",
    "getCredential",
    "putCredential",
    "deleteCredential",
    "Lists the credentials for backends, without their secrets.",
    "Gives a credential without its secret.",
    "Makes a credential, or sets it anew; with `${NAME}` in the secret's place the stored secret stays.",
    "Takes away a credential that no backend names."
);
section!(
    backend,
    BackendSettings,
    backend,
    "/api/v1/gateway/backends",
    "/api/v1/gateway/backends/{backend}",
    "listBackends",
    "getBackend",
    "putBackend",
    "deleteBackend",
    "Lists the backends.",
    "Gives a backend.",
    "Makes a backend, or sets it anew.",
    "Takes away a backend that no pool holds."
);
section!(
    pool,
    PoolSettings,
    pool,
    "/api/v1/gateway/pools",
    "/api/v1/gateway/pools/{pool}",
    "listPools",
    "getPool",
    "putPool",
    "deletePool",
    "Lists the pools.",
    "Gives a pool.",
    "Makes a pool, or sets it anew.",
    "Takes away a pool that no route leads to."
);
section!(
    route,
    RouteSettings,
    route,
    "/api/v1/gateway/routes",
    "/api/v1/gateway/routes/{route}",
    "listRoutes",
    "getRoute",
    "putRoute",
    "deleteRoute",
    "Lists the routes.",
    "Gives a route.",
    "Makes a route, or sets it anew.",
    "Takes away a route."
);
section!(
    policy,
    PolicySettings,
    policy,
    "/api/v1/gateway/policies",
    "/api/v1/gateway/policies/{policy}",
    "listPolicies",
    "getPolicy",
    "putPolicy",
    "deletePolicy",
    "Lists the policies: limits, budgets, caches and the rest.",
    "Gives a policy.",
    "Makes a policy, or sets it anew.",
    "Takes away a policy that no route names."
);
section!(
    price,
    PriceSettings,
    model,
    "/api/v1/gateway/prices",
    "/api/v1/gateway/prices/{model}",
    "listPrices",
    "getPrice",
    "putPrice",
    "deletePrice",
    "Lists the prices of models, per million tokens.",
    "Gives the price of a model.",
    "Sets the price of a model.",
    "Takes away the price of a model."
);
