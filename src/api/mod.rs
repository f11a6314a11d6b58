//! The REST door: each handler reads a request, calls one verb and tells the answer.
//!
//! Routes and their description stand together: what [`router`] serves is what [`document()`] tells. Names of assets may
//! hold a slash; each route of an asset answers to the encoded form, which is described, and to the bare one.

#![expect(unused_qualifications, reason = "the macro that describes a handler repeats its types in full")]

mod access;
mod answer;
mod approvals;
mod assets;
mod audit;
mod definitions;
mod deployments;
mod docs;
mod document;
mod environments;
mod export;
mod gateway;
mod import;
mod keys;
mod me;
mod metadata;
mod namespaces;
mod narrowing;
mod operations;
mod paging;
mod people;
mod place;
mod prompts;
mod registration;
mod registries;
mod reindex;
mod roles;
mod search;
mod service_accounts;
mod similar;
mod upstreams;
mod usage;
mod versions;
mod webhooks;
mod workspaces;

use crate::door::{Handles, guarded_writes};
use axum::Router;
use axum::routing::MethodRouter;
use bytes::Bytes;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

/// The routes below `/api`.
pub fn router(handles: &Handles) -> Router<Handles> {
    let handles = Arc::new(handles.clone());
    build(|route| guarded_writes(route, &handles)).router.merge(docs::router())
}

/// The JSON Schema of the gateway's file; `id` is its address.
#[must_use]
pub fn gateway_schema(id: &str) -> Value {
    gateway::file::schema_document(id)
}

/// The OpenAPI document of `/api/v1`; `url` is the address clients use.
#[must_use]
pub fn document(url: &str) -> Value {
    let mut document = DOCUMENT.clone();
    document["servers"] = serde_json::json!([{ "url": url }]);
    document
}

/// What the name of an asset looks like.
const NAME_PATTERN: &str = "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$";

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document::complete(build(|route| route).openapi));

struct Built {
    router: Router<Handles>,
    openapi: utoipa::openapi::OpenApi,
}

/// One line a path; `guard` is put around what each serves.
fn build(guard: impl Fn(MethodRouter<Handles>) -> MethodRouter<Handles>) -> Built {
    let plain: Vec<UtoipaMethodRouter<Handles>> = vec![
        routes!(workspaces::list, workspaces::create),
        routes!(workspaces::find, workspaces::update),
        routes!(environments::list, environments::create),
        routes!(environments::find, environments::update, environments::delete),
        routes!(metadata::list),
        routes!(metadata::find, metadata::put, metadata::delete),
        routes!(assets::list),
        routes!(assets::register),
        routes!(search::find),
        routes!(search::suggest),
        routes!(import::import),
        routes!(export::export),
        routes!(keys::list, keys::create),
        routes!(keys::revoke),
        routes!(keys::rotate),
        routes!(me::find),
        routes!(me::permissions),
        routes!(webhooks::list, webhooks::create),
        routes!(webhooks::find, webhooks::update, webhooks::delete),
        routes!(webhooks::rotate),
        routes!(webhooks::test),
        routes!(webhooks::deliveries),
        routes!(webhooks::replay),
        routes!(audit::list),
        routes!(audit::export),
        routes!(audit::verify),
        routes!(roles::sessions, roles::end_sessions),
        routes!(roles::end_session),
        routes!(people::list_users, people::invite_user),
        routes!(people::find_user, people::update_user),
        routes!(people::end_sessions),
        routes!(people::explain),
        routes!(people::list_groups, people::create_group),
        routes!(people::find_group, people::delete_group),
        routes!(people::add_member, people::remove_member),
        routes!(service_accounts::list_service_accounts, service_accounts::create_service_account),
        routes!(service_accounts::update_service_account),
        routes!(roles::list, roles::assign),
        routes!(roles::remove),
        routes!(upstreams::list, upstreams::create),
        routes!(upstreams::find, upstreams::update, upstreams::delete),
        routes!(upstreams::sync),
        routes!(upstreams::runs),
        routes!(registries::list, registries::create),
        routes!(registries::find, registries::update, registries::delete),
        routes!(namespaces::list),
        routes!(namespaces::put, namespaces::delete),
        routes!(approvals::settings, approvals::set),
        routes!(approvals::list, approvals::request),
        routes!(approvals::find),
        routes!(approvals::comment),
        routes!(approvals::decide),
        routes!(approvals::withdraw),
        routes!(approvals::orphans),
        routes!(access::list, access::request),
        routes!(access::find),
        routes!(access::decide),
        routes!(access::withdraw),
        routes!(access::make_key),
        routes!(reindex::reindex),
        routes!(gateway::credential::list),
        routes!(gateway::credential::find, gateway::credential::put, gateway::credential::delete),
        routes!(gateway::backend::list),
        routes!(gateway::backend::find, gateway::backend::put, gateway::backend::delete),
        routes!(gateway::state::backend),
        routes!(gateway::state::drain),
        routes!(gateway::state::resume),
        routes!(gateway::state::pool),
        routes!(gateway::pool::list),
        routes!(gateway::pool::find, gateway::pool::put, gateway::pool::delete),
        routes!(gateway::route::list),
        routes!(gateway::route::find, gateway::route::put, gateway::route::delete),
        routes!(gateway::policy::list),
        routes!(gateway::policy::find, gateway::policy::put, gateway::policy::delete),
        routes!(gateway::price::list),
        routes!(gateway::price::find, gateway::price::put, gateway::price::delete),
        routes!(gateway::import::import),
        routes!(gateway::file::apply),
        routes!(gateway::file::export),
        routes!(gateway::file::rewrap),
        routes!(gateway::file::schema),
        routes!(usage::report),
        routes!(usage::chargeback),
        routes!(prompts::list),
        routes!(prompts::export),
        routes!(gateway::limits::limits),
        routes!(gateway::cache::purge),
    ];
    let of_assets: Vec<UtoipaMethodRouter<Handles>> = vec![
        routes!(assets::find, assets::update, assets::delete),
        routes!(assets::restore),
        routes!(assets::history),
        routes!(approvals::check),
        routes!(versions::list, versions::publish),
        routes!(versions::find, versions::update, versions::delete),
        routes!(versions::diff),
        routes!(definitions::list, definitions::attach),
        routes!(definitions::find, definitions::remove),
        routes!(definitions::content),
        routes!(deployments::list, deployments::create),
        routes!(deployments::find, deployments::update, deployments::delete),
        routes!(operations::list),
        routes!(operations::find),
        routes!(operations::list_tools),
        routes!(operations::find_tool),
        routes!(similar::list),
    ];
    let mut described = OpenApiRouter::with_openapi(document::head());
    for (schemas, paths, route) in plain {
        described = described.routes((schemas, paths, guard(route)));
    }
    let mut bare = Router::new();
    for (schemas, paths, route) in of_assets {
        let route = guard(route);
        for path in paths.paths.keys() {
            bare = bare.route(&path.replace("{name}", "{namespace}/{slug}"), route.clone());
        }
        described = described.routes((schemas, paths, route));
    }
    let (router, openapi) = described.split_for_parts();
    Built { router: router.merge(bare), openapi }
}

/// The document as compact JSON, for one address.
fn document_bytes(url: &str) -> Bytes {
    serde_json::to_vec(&document(url)).expect("a JSON value serialises").into()
}
