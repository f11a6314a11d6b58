//! The registry's verbs for the status of a version, or of all versions of a server.

use super::writing::{deed, no_version, refuse_unfit};
use super::{MOST_VERSIONS, RegistryEntry, refusal, remotes};
use crate::auth::Actor;
use crate::catalog::verbs::{Deed, words};
use crate::catalog::{Asset, Catalog, Error, Status, Version, version};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A wish to set the status of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    pub status: Status,
    /// At most 500 characters; none goes with `active`.
    pub message: Option<String>,
}

impl Catalog {
    /// Sets the status of one version; deleted ones can be restored.
    ///
    /// # Errors
    /// 401, 403; 404 without such a version; 400 when nothing would change, for a message with `active`, or when a
    /// restored version's remote is another server's by now.
    pub async fn registry_set_status(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        (server, version): (&str, &str),
        change: &StatusChange,
    ) -> Result<RegistryEntry, Error> {
        let mut tx = self.begin().await?;
        let asset = self.server_for_writing(actor, &mut tx, workspace, server).await?;
        let stored = version::find_any(&mut tx, asset.asset_id, version).await?.ok_or_else(no_version)?;
        refuse_unfit(&asset)?;
        change.check()?;
        if change.changes_nothing_of(&stored) {
            return Err(refusal(
                "Failed to update server status",
                "No changes to apply: status and message are already set to the provided values",
            ));
        }

        let now = self.clock.now();
        let led = words::led(&mut tx, &asset).await?;
        set_status(&mut tx, &asset, &stored, change, now).await?;
        version::choose_latest(&mut tx, asset.asset_id, now).await?;
        words::follow(&mut tx, &asset, &led, now).await?;
        let verb = match change.status {
            Status::Deleted => "delete-version",
            Status::Deprecated if stored.status != Status::Deprecated => "deprecate",
            _ => "update-version",
        };
        let before = Some(json!({"version": stored.name, "status": stored.status}));
        self.commit(tx, Deed { before, ..deed(actor, &asset, verb, now, version) }).await?;
        self.entry_of(actor, &asset, version).await
    }

    /// Sets the status of all versions at once, and gives them all as they are then.
    ///
    /// # Errors
    /// As [`Catalog::registry_set_status`]; 400 only when no version at all would change.
    pub async fn registry_set_status_of_all(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        server: &str,
        change: &StatusChange,
    ) -> Result<Vec<RegistryEntry>, Error> {
        let mut tx = self.begin().await?;
        let asset = self.server_for_writing(actor, &mut tx, workspace, server).await?;
        refuse_unfit(&asset)?;
        change.check()?;
        let versions = version::list(&mut tx, asset.asset_id, (true, true), 0, MOST_VERSIONS).await?;
        let to_change: Vec<&Version> = versions.iter().filter(|stored| !change.changes_nothing_of(stored)).collect();
        if to_change.is_empty() {
            return Err(refusal(
                "Failed to update server status",
                "No changes to apply: all versions already have the requested status and message",
            ));
        }

        let now = self.clock.now();
        let led = words::led(&mut tx, &asset).await?;
        for stored in &to_change {
            set_status(&mut tx, &asset, stored, change, now).await?;
        }
        version::choose_latest(&mut tx, asset.asset_id, now).await?;
        words::follow(&mut tx, &asset, &led, now).await?;
        let after = Some(json!({"versions": to_change.len(), "status": change.status}));
        let verb = if change.status == Status::Deprecated { "deprecate" } else { "update-versions" };
        self.commit(tx, Deed { after, ..deed(actor, &asset, verb, now, "") }).await?;
        let workspace = Some(asset.workspace.as_str());
        self.registry_versions(actor, workspace, &asset.registry_name, true, None, MOST_VERSIONS).await
    }
}

impl StatusChange {
    fn check(&self) -> Result<(), Error> {
        if self.status == Status::Active && self.message.is_some() {
            let message = "status_message cannot be provided when setting status to active";
            return Err(refusal("Failed to update server status", message));
        }
        Ok(())
    }

    fn changes_nothing_of(&self, stored: &Version) -> bool {
        stored.status == self.status && (self.message.is_none() || stored.status_message == self.message)
    }
}

async fn set_status(
    conn: &mut PgConnection,
    asset: &Asset,
    stored: &Version,
    change: &StatusChange,
    now: OffsetDateTime,
) -> Result<(), Error> {
    if stored.status == Status::Deleted && change.status != Status::Deleted {
        let urls = remotes::of_version(&mut *conn, stored.version_id).await?;
        remotes::refuse_taken_by_others(conn, asset, &urls, "Failed to update server status").await?;
    }
    let message = match change.status {
        Status::Active => None,
        _ if change.message.is_some() => change.message.as_deref(),
        _ if change.status == stored.status => stored.status_message.as_deref(),
        _ => None,
    };
    let stage = stored.stage.after(change.status);
    version::set_state(conn, stored.version_id, stage, change.status, message, now).await?;
    Ok(())
}
