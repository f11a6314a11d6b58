//! The versions of an asset, latest first, and the way to what changed between two of them.

use super::frame::Frame;
use super::pages::Tab;
use super::{Asked, answer};
use crate::base::{Cursor, Limit};
use crate::catalog::Version;
use crate::door::Failure;
use crate::web::{Layout, words};
use askama::Template;
use axum::response::Response;

const PAGE: usize = 30;
/// Versions offered for comparing; others are reached by their address.
const CHOICES: usize = 100;

#[derive(Template)]
#[template(path = "asset/versions.html")]
struct Page<'a> {
    layout: Layout,
    frame: &'a Frame,
    versions: Vec<Row>,
    choices: Vec<String>,
    /// `1 to 30 of 33`.
    span: String,
    next: Option<String>,
}

struct Row {
    version: Version,
    changes: Option<Changes>,
}

/// The way to what changed since the version before.
struct Changes {
    from: String,
    href: String,
}

pub(super) async fn show(asked: Asked) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Versions).await?;
    let (catalog, actor) = (&asked.handles.catalog, &asked.layout.actor);
    let from = asked.number("from");
    // One more than is shown: the last row, too, leads to its changes.
    let cursor = Cursor::of(&from);
    let asset = (asked.workspace.as_str(), asked.name.as_str());
    let (_, found) = catalog.versions(actor, asset.0, asset.1, Some(&cursor), Limit(PAGE + 1)).await?;
    let (_, choices) = catalog.versions(actor, asset.0, asset.1, None, Limit(CHOICES)).await?;

    let before: Vec<_> = found.items.iter().skip(1).map(|version| version.name.clone()).collect();
    let pages = &frame.pages;
    let versions: Vec<_> = found
        .items
        .into_iter()
        .take(PAGE)
        .enumerate()
        .map(|(at, version)| Row {
            changes: before.get(at).map(|from| Changes { href: pages.diff(from, &version.name), from: from.clone() }),
            version,
        })
        .collect();
    let next = from + versions.len();
    let page = Page {
        next: (found.total.is_some_and(|total| (next as u64) < total) && !versions.is_empty())
            .then(|| format!("{}/versions?from={next}", pages.asset())),
        span: words::span(from, versions.len(), found.total),
        versions,
        choices: choices.items.into_iter().map(|version| version.name).collect(),
        frame: &frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}
