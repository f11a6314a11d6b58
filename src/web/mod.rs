//! Web pages: written by the server, complete without a script, quick with one.
//!
//! A page is one file here and one template of the same name in `web/templates`. It asks one verb, and shows what the
//! actor may see; the frame around it is the [`Layout`].

mod about;
mod access;
mod account;
mod admin;
mod approvals;
mod asset;
mod audit;
mod browse;
mod changes;
mod fields;
pub mod gateway;
mod home;
mod layout;
mod machines;
mod markdown;
mod problem;
mod problem_kinds;
mod register;
mod registries;
mod sign_in;
mod static_files;
mod suggest;
mod theme;
mod upstreams;
mod ways_in;
mod webhooks;
pub mod words;
mod workspace;

pub use layout::{Layout, Place, page, page_headers};
pub use markdown::is_safe_link;
pub use problem::problem_page;
pub use static_files::static_path;
pub use theme::Theme;

use crate::door::{Handles, same_origin};
use axum::Router;
use axum::routing::{get, post};

/// What the footer calls us.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The routes of all pages.
pub fn router() -> Router<Handles> {
    Router::new()
        .route("/static/{digest}/{name}", get(static_files::serve))
        .route("/favicon.svg", get(static_files::favicon))
        .route("/", get(home::show))
        .route("/browse", get(browse::show))
        .route("/search", get(browse::search))
        .route("/search/suggest", get(suggest::list))
        .route("/search/suggest.json", get(suggest::for_browsers))
        .merge(asset::router())
        .route("/register", get(register::show).post(register::submit))
        .route("/workspaces", get(workspace::list))
        .route("/workspaces/{workspace}", get(workspace::show))
        .route("/workspaces/{workspace}/webhooks", get(webhooks::show).post(webhooks::change))
        .route("/workspaces/{workspace}/upstreams", get(upstreams::show).post(upstreams::create))
        .route("/workspaces/{workspace}/upstreams/{upstream}/{deed}", post(upstreams::act))
        .route("/registries", get(registries::list).post(registries::create))
        .route("/registries/{registry}", get(registries::show).post(registries::change))
        .route("/workspaces/{workspace}/feed.atom", get(changes::feed_of_workspace))
        .route("/gateway/usage", get(gateway::show_usage))
        .route("/gateway/prompts", get(gateway::show_prompts))
        .route("/workspaces/{workspace}/approval", post(approvals::set))
        .route("/approvals", get(approvals::queue))
        .route("/approvals/{approval}", get(approvals::show).post(approvals::submit))
        .route("/access", get(access::list))
        .route("/access/new", get(access::form).post(access::ask))
        .route("/access/{request}", get(access::show))
        .route("/access/{request}/decision", post(access::decide))
        .route("/access/{request}/withdraw", post(access::withdraw))
        .route("/access/{request}/key", post(access::make_key))
        .route("/feed.atom", get(changes::feed))
        .route("/audit", get(audit::show))
        .route("/gateway", get(|| async { axum::response::Redirect::to("/gateway/usage") }))
        .route("/gateway/playground", get(gateway::show_playground).post(gateway::send_prompt))
        .route("/gateway/pools", get(gateway::show_pools))
        .route("/gateway/backends", get(gateway::show_backends))
        .route("/gateway/routes", get(gateway::show_routes))
        .route("/gateway/limits", get(gateway::show_limits))
        .route("/gateway/{section}/new", get(gateway::new_thing))
        .route("/gateway/{section}/edit", get(gateway::show_thing).post(gateway::submit_thing))
        .route("/gateway/drain", post(gateway::drain))
        .route("/gateway/purge", post(gateway::purge))
        .route("/gateway/import", post(gateway::import))
        .route("/about", get(about::about))
        .route("/status", get(about::status))
        .route("/problems", get(problem_kinds::list))
        .route("/problems/{kind}", get(problem_kinds::show))
        .route("/opensearch.xml", get(machines::open_search))
        .route("/robots.txt", get(machines::robots))
        .route("/preferences/theme", post(theme::choose))
        .route("/signin", get(sign_in::show).post(sign_in::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/auth/start/{provider}", get(sign_in::start))
        .route("/auth/callback", get(sign_in::callback))
        .route("/auth/callback/{provider}", get(sign_in::callback_of))
        .route("/auth/backchannel-logout/{provider}", post(sign_in::ended_there))
        .route("/account", get(account::show))
        .route("/account/sessions/{id}/end", post(account::end_session))
        .route("/account/sign-out-everywhere", post(account::end_sessions))
        .route("/account/keys", post(account::make_key))
        .route("/account/keys/{id}/rotate", post(account::rotate_key))
        .route("/account/keys/{id}/revoke", post(account::revoke_key))
        .route("/admin/users", get(admin::users).post(admin::invite))
        .route("/admin/users/{name}/disable", post(admin::disable))
        .route("/admin/users/{name}/enable", post(admin::enable))
        .route("/admin/users/{name}/sign-out", post(admin::sign_out))
        .route("/admin/groups", get(admin::groups).post(admin::make_group))
        .route("/admin/groups/{name}", get(admin::group))
        .route("/admin/groups/{name}/delete", post(admin::delete_group))
        .route("/admin/groups/{name}/members", post(admin::add_member))
        .route("/admin/groups/{name}/members/{member}/remove", post(admin::remove_member))
        .route("/admin/service-accounts", get(admin::service_accounts).post(admin::make_service_account))
        .route("/admin/service-accounts/{name}/key", post(admin::key_of_service_account))
        .route("/admin/service-accounts/{name}/disable", post(admin::disable_service_account))
        .route("/admin/service-accounts/{name}/enable", post(admin::enable_service_account))
        .route("/admin/roles", get(admin::roles).post(admin::give_role_everywhere))
        .route("/admin/roles/{id}/remove", post(admin::take_role_everywhere))
        .route("/workspaces/{workspace}/members", get(admin::members).post(admin::give_role))
        .route("/workspaces/{workspace}/members/{id}/remove", post(admin::take_role))
        .route("/invitation", get(sign_in::invitation).post(sign_in::accept))
}

/// The page of an asset.
#[must_use]
pub fn asset_path(workspace: &str, name: &str) -> String {
    format!("/assets/{}/{}", crate::door::segment(workspace), crate::door::segment(name))
}
