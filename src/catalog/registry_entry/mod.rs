//! What the MCP registry API shows of the catalog: each version of each MCP server as an entry, and the registry's own
//! verbs for it (publish, edit, status).
//!
//! A server is known to that API by its registry name. In the view over all workspaces a name that several have is
//! shown once: of the workspace `default`, else of the first by name.

mod reading;
mod remotes;
mod status;
mod writing;

pub use status::StatusChange;

use super::{Error, RegistryView, Stage, Status, Visibility};
use crate::base::{AssetId, FieldError, Problem, VersionId};
use crate::wire::{Icon, Licence};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;

/// Most versions a server may have, as in the official registry.
pub const MOST_VERSIONS: i64 = 10_000;

/// A version of an MCP server, as the registry API shows it.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct RegistryEntry {
    pub asset_id: AssetId,
    pub version_id: VersionId,
    pub order_key: Vec<u8>,
    pub workspace: String,
    pub registry_name: String,
    pub version: String,
    /// The server.json as compact JSON.
    pub server: String,
    /// `deleted` also when the whole asset is.
    pub status: Status,
    pub status_message: Option<String>,
    pub status_changed_at: OffsetDateTime,
    pub published_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub is_latest: bool,
    pub stage: Stage,
    pub visibility: Visibility,
    pub title: String,
    /// Markdown.
    pub description: String,
    pub tags: Vec<String>,
    pub owners: Vec<String>,
    pub licence: Option<Json<Licence>>,
    pub icons: Json<Vec<Icon>>,
}

impl RegistryEntry {
    /// Where the entry stands in a list.
    #[must_use]
    pub fn place(&self) -> RegistryPlace {
        RegistryPlace::Entry {
            name: self.registry_name.clone(),
            order: hex::encode(&self.order_key),
            version: self.version_id,
        }
    }

    /// Where the entry stands among the versions of its server.
    #[must_use]
    pub fn version_place(&self) -> VersionPlace {
        VersionPlace { published_at: self.published_at, order: hex::encode(&self.order_key), version: self.version_id }
    }
}

/// A place in the list of entries, which goes by name, then from older to newer version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RegistryPlace {
    /// Behind this entry.
    Entry {
        #[serde(rename = "n")]
        name: String,
        /// The version's order key in hexadecimal.
        #[serde(rename = "k")]
        order: String,
        #[serde(rename = "i")]
        version: VersionId,
    },
    /// Behind the version of this name, or behind the whole server where that is absent: all that another registry's
    /// cursor tells.
    Named {
        #[serde(rename = "n")]
        name: String,
        #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
}

/// A place in the list of a server's versions, which goes from the last published to the first: behind this version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionPlace {
    #[serde(rename = "t", with = "time::serde::rfc3339")]
    pub published_at: OffsetDateTime,
    /// The version's order key in hexadecimal.
    #[serde(rename = "k")]
    pub order: String,
    #[serde(rename = "i")]
    pub version: VersionId,
}

/// Which entries to list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistryFilter<'a> {
    pub scope: RegistryScope<'a>,
    /// Part of the name, the title or the description, in whatever case.
    pub search: Option<&'a str>,
    pub version: VersionFilter<'a>,
    pub updated_after: Option<OffsetDateTime>,
    pub updated_until: Option<OffsetDateTime>,
    pub with_deleted: bool,
}

/// Of which part of the catalog; each name once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RegistryScope<'a> {
    /// All workspaces.
    #[default]
    All,
    Workspace(&'a str),
    View(&'a RegistryView),
}

impl<'a> From<Option<&'a str>> for RegistryScope<'a> {
    fn from(workspace: Option<&'a str>) -> Self {
        workspace.map_or(Self::All, Self::Workspace)
    }
}

/// Which versions of each server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionFilter<'a> {
    #[default]
    All,
    Latest,
    Named(&'a str),
}

/// Up to when a reader by time has seen every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// No write that is stamped at or before this is still open.
    pub until: OffsetDateTime,
    /// Whether writes were open, so that newer entries may already be visible.
    pub writes_open: bool,
}

/// 400 as the official registry words it: what failed, and the cause among the errors.
fn refusal(what: &'static str, cause: impl Into<String>) -> Error {
    let cause = FieldError::new("body", cause);
    Error::Problem(
        Problem::new(StatusCode::BAD_REQUEST, "registry-refused", "Bad Request", what).with_errors(vec![cause]),
    )
}
