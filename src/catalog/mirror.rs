//! Taking over entries of another registry: a batch in one transaction, together with where its reader stands.

use super::approval::step::Step;
use super::draft::Draft;
use super::import::entry_of_another_registry;
use super::metadata::{self, MetadataSchema};
use super::verbs::Deed;
use super::{Asset, Catalog, Error, Outcome, Status, Version, Workspace, asset, definition, version, workspace};
use crate::auth::{Actor, Permission, Scope};
use crate::base::{AssetId, Name, Problem, UpstreamId, WorkspaceId};
use serde_json::json;
use sqlx::{Connection, PgConnection, Postgres, Transaction};

/// By what the source of a version is remembered that its upstream deleted. None has this digest: what the upstream has
/// again is seen, and what somebody here deleted is told from it.
const GONE: &[u8] = &[];

/// An entry of another registry, understood.
#[derive(Clone, Debug)]
pub struct MirrorEntry {
    draft: Draft,
}

/// What came of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// A new asset.
    Registered,
    /// A new version, or new contents or another status of one that was here.
    Updated,
    /// Deleted there, and now here too.
    Deleted,
    Unchanged,
    /// Not for us: deleted there before it ever came here, or deleted here by somebody.
    PassedOver,
}

/// A batch under way; nothing of it is stored before [`MirrorBatch::commit`].
pub struct MirrorBatch<'a> {
    catalog: &'a Catalog,
    actor: &'a Actor,
    upstream: UpstreamId,
    tx: Transaction<'static, Postgres>,
    workspace: Workspace,
    schemas: Vec<MetadataSchema>,
    changed: Vec<String>,
}

impl MirrorEntry {
    /// Reads an entry, `{"server": ..., "_meta": ...}`, or a bare server.json. Pure.
    ///
    /// When the other registry last changed the entry is not taken over: who syncs from us asks when it changed here.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place and the reason.
    pub fn read(text: &[u8]) -> Result<Self, Error> {
        let mut new = entry_of_another_registry(text)?;
        if let Some(version) = &mut new.version {
            version.updated_at = None;
        }
        Ok(Self { draft: Draft::of(new)? })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.draft.name.as_str()
    }

    #[must_use]
    pub fn version(&self) -> &str {
        &self.draft.version.name
    }
}

impl Catalog {
    /// Begins a batch of entries of one upstream for one workspace.
    ///
    /// # Errors
    /// 403 for who may not write there, 404 when the workspace is gone.
    pub async fn begin_mirroring<'a>(
        &'a self,
        actor: &'a Actor,
        workspace: WorkspaceId,
        upstream: UpstreamId,
    ) -> Result<MirrorBatch<'a>, Error> {
        actor.require(Permission::WriteCatalog, Scope::Workspace(workspace))?;
        let mut tx = self.begin().await?;
        let workspace = workspace::find_by_id(&mut tx, workspace)
            .await?
            .ok_or_else(|| Error::WorkspaceNotFound(workspace.to_string()))?;
        let schemas = metadata::list(&mut tx, workspace.workspace_id).await?;
        Ok(MirrorBatch { catalog: self, actor, upstream, tx, workspace, schemas, changed: Vec::new() })
    }

    /// The versions that came from an upstream and are not deleted: names of server and version.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn mirrored_versions(&self, upstream: UpstreamId) -> Result<Vec<(String, String)>, Error> {
        let rows = sqlx::query_as(
            "select a.name, v.name
             from upstream_asset u join asset a using (asset_id) join version v using (asset_id)
             where u.upstream_id = $1 and a.deleted_at is null and v.status <> 'deleted'",
        );
        Ok(rows.bind(upstream).fetch_all(&self.db.read).await?)
    }
}

impl MirrorBatch<'_> {
    /// The transaction of the batch, for what must be stored with it or not at all.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Takes one entry over. `approved` says whether its contents need nobody's approval.
    ///
    /// # Errors
    /// What is wrong with the entry; the batch goes on without it. [`Error::Database`] with 503 when the database went
    /// away: the batch is lost.
    pub async fn take(&mut self, entry: &MirrorEntry, approved: bool) -> Result<(Mirrored, bool), Error> {
        let mut part = Connection::begin(&mut *self.tx).await?;
        let place = (self.workspace.clone(), self.schemas.as_slice());
        match take(self.catalog, self.actor, &mut part, place, self.upstream, &entry.draft, approved).await {
            Ok((mirrored, waits, changed)) => {
                part.commit().await?;
                self.changed.extend(changed);
                Ok((mirrored, waits))
            }
            Err(error) => {
                part.rollback().await?;
                Err(error)
            }
        }
    }

    /// Takes a version out of sight that the upstream no longer has; gives whether it was there to be taken.
    ///
    /// # Errors
    /// 503 when the database does not answer: the batch is lost.
    pub async fn drop_missing(&mut self, name: &str, version: &str) -> Result<bool, Error> {
        let Ok(name) = Name::parse(name) else { return Ok(false) };
        let Some(asset) = asset::lock(&mut self.tx, self.workspace.workspace_id, &name).await? else {
            return Ok(false);
        };
        let is_ours = origin(&mut self.tx, asset.asset_id).await? == Some(self.upstream);
        let stored = version::find_any(&mut self.tx, asset.asset_id, version).await?;
        let Some(stored) = stored.filter(|stored| is_ours && stored.status != Status::Deleted) else {
            return Ok(false);
        };
        delete(self.catalog, self.actor, &mut self.tx, (&asset, &stored), None).await?;
        self.changed.push(asset.registry_name);
        Ok(true)
    }

    /// Stores the batch.
    ///
    /// # Errors
    /// 503 when the database does not answer; then none of it is stored.
    pub async fn commit(self) -> Result<(), Error> {
        self.tx.commit().await?;
        self.changed.iter().for_each(|name| self.catalog.generations.changed(name));
        Ok(())
    }
}

/// What came of an entry, whether it waits for approval, and the name of which answers are no longer true.
type Taken = (Mirrored, bool, Option<String>);

async fn take(
    catalog: &Catalog,
    actor: &Actor,
    conn: &mut PgConnection,
    (workspace, schemas): (Workspace, &[MetadataSchema]),
    upstream: UpstreamId,
    draft: &Draft,
    approved: bool,
) -> Result<Taken, Error> {
    let passed = Ok((Mirrored::PassedOver, false, None));
    let is_deleted = draft.version.status == Status::Deleted;
    let mut known = asset::lock(&mut *conn, workspace.workspace_id, &draft.name).await?;
    let mut stored = None;
    match &known {
        None if is_deleted => return passed,
        None => {}
        Some(asset) if origin(&mut *conn, asset.asset_id).await? != Some(upstream) => {
            let detail =
                format!("{} is registered here by others than this upstream; it is not overwritten", draft.name);
            return Err(Error::Problem(Problem::conflict("name-taken", detail)));
        }
        Some(asset) if asset.deleted_at.is_some() => return passed,
        Some(asset) => {
            stored = version::find_any(&mut *conn, asset.asset_id, &draft.version.name).await?;
            if stored.is_none() && is_deleted {
                return passed;
            }
        }
    }
    if let (Some(asset), Some(found)) = (&known, &stored)
        && (is_deleted || found.status == Status::Deleted)
    {
        if let Some(done) = gone_or_back(catalog, actor, conn, (asset, found), draft).await? {
            return Ok(done);
        }
        // Back with other contents than were approved: nothing of it is shown until they are.
        if !approved {
            let now = catalog.clock.now();
            version::set_approved(&mut *conn, found.version_id, (false, None), now).await?;
            asset::follow_approvals(&mut *conn, asset.asset_id).await?;
            stored = version::by_id(&mut *conn, found.version_id).await?;
            known = asset::by_id(&mut *conn, asset.asset_id).await?;
        }
    }
    if let (Some(asset), Some(stored)) = (&known, &stored)
        && (approved || stored.source_digest == draft.version.source_digest)
    {
        // What waits is neither what it has now nor what a rule approves.
        catalog.supersede(actor, &mut *conn, asset, stored.version_id).await?;
    }

    let must_ask = !approved;
    let (outcome, registry_name) = catalog.put(actor, &mut *conn, &workspace, schemas, draft, must_ask).await?;
    if approved
        && outcome != Outcome::Unchanged
        && let Some(held) = asset::lock(&mut *conn, workspace.workspace_id, &draft.name).await?
    {
        catalog.grant_by_rule(actor, &mut *conn, held.asset_id, "A rule of the upstream approves it.").await?;
    }
    let mirrored = match outcome {
        Outcome::Unchanged => return Ok((Mirrored::Unchanged, false, None)),
        Outcome::Registered => {
            let asset = asset::lock(&mut *conn, workspace.workspace_id, &draft.name).await?;
            let asset = asset.ok_or_else(|| Error::WorkspaceNotFound(workspace.name.to_string()))?;
            sqlx::query("insert into upstream_asset (asset_id, upstream_id, since) values ($1, $2, $3)")
                .bind(asset.asset_id)
                .bind(upstream)
                .bind(catalog.clock.now())
                .execute(&mut *conn)
                .await?;
            Mirrored::Registered
        }
        _ => Mirrored::Updated,
    };
    let waits = match (&known, &stored) {
        _ if !must_ask => false,
        // A change of what is approved waits, and what is approved stays as it is and is seen meanwhile.
        _ if outcome == Outcome::Proposed => true,
        // Other contents of what was never approved: what waits already is of them now, what was turned down is asked anew.
        (Some(asset), Some(stored)) if !stored.is_approved => {
            // The asset keeps the words of what is approved until this version is.
            let words = asset.is_approved.then(|| Step::Words { draft: Box::new(draft.clone()) });
            catalog.ask_publication(actor, &mut *conn, asset, stored, words).await?;
            true
        }
        (_, Some(_)) => false,
        (_, None) => true,
    };
    Ok((mirrored, waits, Some(registry_name)))
}

/// What comes of an entry whose version is deleted there, or was here; nothing when it is back with other contents.
async fn gone_or_back(
    catalog: &Catalog,
    actor: &Actor,
    conn: &mut PgConnection,
    (asset, stored): (&Asset, &Version),
    draft: &Draft,
) -> Result<Option<Taken>, Error> {
    let changed = Some(asset.registry_name.clone());
    let (is_gone, was_gone) = (draft.version.status == Status::Deleted, stored.status == Status::Deleted);
    if is_gone && was_gone {
        return Ok(Some((Mirrored::Unchanged, false, None)));
    }
    if is_gone {
        delete(catalog, actor, conn, (asset, stored), draft.version.status_message.as_deref()).await?;
        return Ok(Some((Mirrored::Deleted, false, changed)));
    }
    if stored.source_digest != GONE {
        // Somebody here did not want it.
        return Ok(Some((Mirrored::PassedOver, false, None)));
    }
    if has_document_of(&mut *conn, stored, draft).await? {
        restore(catalog, actor, conn, (asset, stored), draft).await?;
        return Ok(Some((Mirrored::Updated, false, changed)));
    }
    Ok(None)
}

/// Takes a version out of sight because its upstream did. It counts at once: nobody has to approve that less is seen.
async fn delete(
    catalog: &Catalog,
    actor: &Actor,
    conn: &mut PgConnection,
    (asset, stored): (&Asset, &Version),
    message: Option<&str>,
) -> Result<(), Error> {
    // Approved later, it would change what is gone.
    catalog.supersede(actor, &mut *conn, asset, stored.version_id).await?;
    let now = catalog.clock.now();
    catalog.move_version(&mut *conn, asset, stored, (Status::Deleted, message, GONE), now).await?;
    let before = Some(json!({"version": stored.name, "status": stored.status}));
    let after = Some(json!({"version": stored.name}));
    catalog.note(conn, &Deed { actor, asset, verb: "delete-version", at: now, before, after }).await
}

/// Shows a version again that its upstream has again as it was; approved then, it is now.
async fn restore(
    catalog: &Catalog,
    actor: &Actor,
    conn: &mut PgConnection,
    (asset, stored): (&Asset, &Version),
    draft: &Draft,
) -> Result<(), Error> {
    let (now, said) = (catalog.clock.now(), &draft.version);
    let again = (said.status, said.status_message.as_deref(), said.source_digest.as_slice());
    catalog.move_version(&mut *conn, asset, stored, again, now).await?;
    let before = Some(json!({"version": stored.name, "status": stored.status}));
    let after = Some(json!({"version": stored.name, "status": said.status}));
    catalog.note(conn, &Deed { actor, asset, verb: "update-version", at: now, before, after }).await
}

/// Whether the version has the draft's document, byte for byte.
async fn has_document_of(conn: &mut PgConnection, stored: &Version, draft: &Draft) -> Result<bool, Error> {
    let Some(wanted) = &draft.version.definition else { return Ok(false) };
    let documents = definition::list(conn, stored.version_id).await?;
    Ok(documents.iter().any(|one| one.name == wanted.name.as_str() && one.digest == wanted.digest()))
}

/// Which upstream an asset came from; none when people registered it.
async fn origin(conn: &mut PgConnection, asset: AssetId) -> Result<Option<UpstreamId>, sqlx::Error> {
    sqlx::query_scalar("select upstream_id from upstream_asset where asset_id = $1")
        .bind(asset)
        .fetch_optional(conn)
        .await
}
