//! Where the versions of an asset run.

use super::frame::Frame;
use super::pages::Tab;
use super::{Asked, answer};
use crate::catalog::Deployment;
use crate::door::Failure;
use crate::web::Layout;
use askama::Template;
use axum::response::Response;

/// Rows on the page; more are told of and found over the REST API.
const MOST: usize = 60;

#[derive(Template)]
#[template(path = "asset/deployments.html")]
struct Page<'a> {
    layout: Layout,
    frame: &'a Frame,
    /// Of the version shown, then of the others.
    here: Vec<Deployment>,
    elsewhere: Vec<Deployment>,
    left_out: usize,
}

pub(super) async fn show(asked: Asked) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Deployments).await?;
    let catalog = &asked.handles.catalog;
    let (_, all) =
        catalog.deployments(&asked.layout.actor, &asked.workspace, &asked.name, asked.version.as_deref()).await?;
    let left_out = all.len().saturating_sub(MOST);
    let (here, elsewhere) =
        all.into_iter().take(MOST).partition(|deployment| deployment.version == frame.version_name());
    let page = Page { here, elsewhere, left_out, frame: &frame, layout: asked.layout };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}
