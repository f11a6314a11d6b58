//! The verbs of the catalog, one file a noun.

mod approvals;
mod assets;
mod counting;
mod deployments;
mod feed;
mod made_servers;
mod reading;
mod register;
mod telling;
mod versions;
pub(super) mod words;
mod workspaces;

pub use approvals::{ApprovalDetail, Decision, DriftReport, Orphan, UnknownOwner, Verdict};
pub use counting::Counts;
pub(super) use counting::{Counted, counted};
pub use reading::{AssetDetail, DefinitionContent, VersionDetail};
pub use register::{Outcome, Registered};
pub(super) use register::{held, insert_version, replace_version};
pub use telling::ToldAsset;

use super::namespace::permit_by_key;
use super::{Asset, Catalog, Error, Version, Workspace, approval, asset, change, version, workspace};
use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::notify::{self, Notice};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

impl Catalog {
    /// The workspace of this name, if the actor may know of it.
    pub(super) async fn known_workspace(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        name: &str,
    ) -> Result<Workspace, Error> {
        let found = workspace::find_known(conn, actor.sight(), name).await?;
        found.ok_or_else(|| Error::WorkspaceNotFound(name.to_owned()))
    }

    /// The workspace of this name, in which the actor may do this.
    pub(super) async fn workspace_for(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        name: &str,
        permission: Permission,
    ) -> Result<Workspace, Error> {
        // Without any credential the answer is the same for every name: nothing is told about which exist.
        if actor.is_anonymous() {
            actor.require(permission, Scope::Instance)?;
        }
        let found = self.known_workspace(actor, conn, name).await?;
        actor.require(permission, Scope::Workspace(found.workspace_id))?;
        Ok(found)
    }

    /// The asset of this name that the actor may see, held for writing, with the right to write it.
    pub(super) async fn asset_for_writing(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        workspace: &str,
        name: &str,
        with_deleted: bool,
    ) -> Result<Asset, Error> {
        if actor.is_anonymous() {
            actor.require(Permission::WriteCatalog, Scope::Instance)?;
        }
        let missing = || Error::AssetNotFound { workspace: workspace.to_owned(), name: name.to_owned() };
        let seen = asset::find(&mut *conn, actor.sight(), workspace, name, with_deleted).await?.ok_or_else(missing)?;
        actor.require(Permission::WriteCatalog, seen.scope())?;
        permit_by_key(actor, &seen.registry_name)?;
        let held = asset::lock(conn, seen.workspace_id, &seen.name).await?.ok_or_else(missing)?;
        if held.deleted_at.is_some() && !with_deleted { Err(missing()) } else { Ok(held) }
    }

    /// A transaction with its number assigned.
    ///
    /// The number must be older than the times the transaction writes: who reads by time asks which numbered
    /// transactions are open to know what can still come (`Catalog::registry_settled`).
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        Ok(self.db.write.begin_with("begin; select pg_current_xact_id()").await?)
    }

    /// Ends a write: the audit record, the change line with what follows from it, the commit, the counters.
    pub(super) async fn commit(&self, mut tx: Transaction<'static, Postgres>, deed: Deed<'_>) -> Result<(), Error> {
        self.note(&mut tx, &deed).await?;
        tx.commit().await?;
        self.generations.changed(&deed.asset.registry_name);
        Ok(())
    }

    /// The audit record and the change line of a write to an asset.
    pub(super) async fn note(&self, conn: &mut PgConnection, deed: &Deed<'_>) -> Result<(), Error> {
        let subject = audit::Subject {
            name: &deed.asset.registry_name,
            id: Some(deed.asset.asset_id.0),
            workspace: Some(deed.asset.workspace_id),
        };
        let verb = format!("asset.{}", deed.verb);
        audit::record(
            &mut *conn,
            deed.at,
            &deed.actor.trace(),
            &verb,
            subject,
            deed.before.clone(),
            deed.after.clone(),
        )
        .await?;
        change::record(
            &mut *conn,
            deed.at,
            deed.asset.workspace_id,
            deed.asset.asset_id,
            &deed.asset.registry_name,
            deed.verb,
        )
        .await?;
        if !matches!(deed.verb, "approve" | "drift" | "expire") {
            let writer = approvals::writer_of(deed.actor);
            approval::request::written_on(&mut *conn, deed.asset.asset_id, &writer, deed.at).await?;
        }
        notify::publish(
            conn,
            Notice::new(deed.kind(), deed.at, &deed.asset.registry_name)
                .of_asset(deed.asset.workspace_id, deed.asset.asset_id)
                .with(json!({ "change": deed.verb })),
        )
        .await?;
        Ok(())
    }
}

/// A write to an asset, as it is recorded.
pub(super) struct Deed<'a> {
    pub actor: &'a Actor,
    pub asset: &'a Asset,
    /// `register`, `update`, `publish-version` ...
    pub verb: &'a str,
    pub at: OffsetDateTime,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Deed<'_> {
    /// As those are told who subscribed.
    fn kind(&self) -> notify::Kind {
        match self.verb {
            "register" => notify::Kind::AssetRegistered,
            "deprecate" => notify::Kind::AssetDeprecated,
            "delete" => notify::Kind::AssetDeleted,
            "restore" => notify::Kind::AssetRestored,
            _ => notify::Kind::AssetChanged,
        }
    }
}

/// Refuses when the sender has read an older revision than is stored.
pub(super) fn if_match(sent: Option<i64>, current: i64) -> Result<(), Error> {
    match sent {
        Some(sent) if sent != current => Err(Error::Stale { current, sent }),
        _ => Ok(()),
    }
}

/// The version of this name, `latest` for the latest one; what waits for approval too when seen from `inside`.
pub(in crate::catalog) async fn version_of(
    conn: &mut PgConnection,
    asset: &Asset,
    name: &str,
    inside: bool,
) -> Result<Version, Error> {
    let wanted = Some(name).filter(|name| *name != "latest");
    version::find(conn, asset.asset_id, wanted, inside)
        .await?
        .ok_or_else(|| Error::VersionNotFound { asset: asset.name.to_string(), version: name.to_owned() })
}
