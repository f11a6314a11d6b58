//! `list_versions`: the versions of an asset, latest first.

use super::super::answer::{Found, Sorry};
use super::{Asked, target};
use crate::base::{Cursor, Limit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Name of the asset, or its catalog:// address.
    name: String,
    /// Its workspace; needed only where several have an asset of this name.
    #[serde(default)]
    workspace: Option<String>,
    /// `next` of an earlier answer, for the versions after those.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Versions {
    workspace: String,
    name: String,
    /// Latest first, 30 at a time.
    items: Vec<VersionShown>,
    total: u64,
    /// Leads to the versions after these.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VersionShown {
    name: String,
    is_latest: bool,
    stage: String,
    /// `active` or `deprecated`.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    format: String,
    /// RFC 3339.
    published_at: String,
}

pub(super) async fn call(asked: &Asked<'_>, arguments: Arguments) -> Result<Found, Sorry> {
    let (workspace, name) = target::find(asked, arguments.workspace.as_deref(), &arguments.name).await?;
    let cursor = arguments.cursor.as_deref().map(Cursor::from_text);
    let catalog = &asked.handles.catalog;
    let (asset, page) = catalog.versions(&asked.actor, &workspace, &name, cursor.as_ref(), Limit::default()).await?;
    let items = page.items.into_iter().map(|version| VersionShown {
        name: version.name,
        is_latest: version.is_latest,
        stage: version.stage.to_string(),
        status: version.status.to_string(),
        status_message: version.status_message,
        format: version.format_name,
        published_at: version.published_at.format(&Rfc3339).unwrap_or_default(),
    });
    Ok(Found::new(&Versions {
        workspace: asset.workspace,
        name: asset.name.to_string(),
        items: items.collect(),
        total: page.total.unwrap_or_default(),
        next: page.next.map(|next| next.as_str().to_owned()),
    }))
}
