//! Web pages: written by the server, complete without a script, quick with one.
//!
//! A page is one file here and one template of the same name in `web/templates`. It asks one verb, and shows what the
//! actor may see; the frame around it is the [`Layout`].

mod asset;
mod browse;
mod layout;
mod markdown;
mod problem;
mod same_origin;
mod static_files;
mod theme;
pub mod words;

pub use layout::{Layout, Place, page, page_headers};
pub use problem::problem_page;
pub use static_files::static_path;
pub use theme::Theme;

use crate::catalog::Kind;
use crate::door::Handles;
use axum::Router;
use axum::routing::{get, post};

/// What the footer calls us.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The routes of all pages.
pub fn router() -> Router<Handles> {
    Router::new()
        .route("/static/{digest}/{name}", get(static_files::serve))
        .route("/favicon.svg", get(static_files::favicon))
        .route("/browse", get(browse::show))
        .route("/search", get(browse::search))
        .merge(asset::router())
        .route("/preferences/theme", post(theme::choose))
}

/// The icon of a kind in the sprite.
#[must_use]
pub fn kind_icon(kind: Kind) -> &'static str {
    match kind {
        Kind::Websocket => "webhook",
        other => other.as_str(),
    }
}

/// The page of an asset.
#[must_use]
pub fn asset_path(workspace: &str, name: &str) -> String {
    format!("/assets/{}/{}", crate::door::segment(workspace), crate::door::segment(name))
}
