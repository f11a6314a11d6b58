//! The gate every write passes: what is new waits to be seen, and a change of what is approved waits to be done.

use crate::audit;
use crate::auth::{Actor, Identity, Permission, Scope};
use crate::base::{ApprovalId, AssetId, VersionId, WorkspaceId};
use crate::catalog::approval::request::{self, ApprovalState, Opening, Purpose};
use crate::catalog::approval::settings::{self, ApprovalSettings};
use crate::catalog::approval::{content, step::Step};
use crate::catalog::draft::Draft;
use crate::catalog::{Asset, Catalog, Error, Version};
use crate::notify::{self, Notice};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

/// What was approved before a write, to be compared with what the write made of it. None where nothing is asked for.
pub struct Watch(Option<Before>);

struct Before {
    version: Option<VersionId>,
    content: Value,
}

impl Catalog {
    /// Whether what this actor writes in this workspace, or for this asset of it, has to be approved; and the settings.
    pub(in crate::catalog) async fn asks_approval(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        asset: Option<AssetId>,
    ) -> Result<(bool, ApprovalSettings), Error> {
        let settings = settings::find(conn, workspace).await?;
        let scope = asset.map_or(Scope::Workspace(workspace), |asset| Scope::Asset(workspace, asset));
        // What the program does by itself is nobody's own approval: it waits as well.
        let approves_himself = settings.self_approval
            && !matches!(actor.identity, Identity::System(_))
            && actor.may(Permission::ReviewAssets, scope);
        Ok((settings.required && !approves_himself, settings))
    }

    /// Begins to watch an asset, and this version of it, for a change of what is approved. Call it when the asset is held
    /// and before anything is written.
    pub(in crate::catalog) async fn watch(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        asset: &Asset,
        version: Option<&Version>,
    ) -> Result<Watch, Error> {
        let is_seen = asset.is_approved && version.is_none_or(|version| version.is_approved);
        let asks = is_seen && self.asks_approval(actor, &mut *conn, asset.workspace_id, Some(asset.asset_id)).await?.0;
        if !asks {
            return Ok(Watch(None));
        }
        self.watch_always(conn, asset, version).await
    }

    /// As [`Catalog::watch`], whatever the workspace asks for: of an upstream nobody here has seen what it sends.
    pub(in crate::catalog) async fn watch_always(
        &self,
        conn: &mut PgConnection,
        asset: &Asset,
        version: Option<&Version>,
    ) -> Result<Watch, Error> {
        if !asset.is_approved || version.is_some_and(|version| !version.is_approved) {
            return Ok(Watch(None));
        }
        let version = version.map(|version| version.version_id);
        let content = content::read(&mut *conn, asset, version).await?;
        sqlx::query("savepoint watched").execute(conn).await?;
        Ok(Watch(Some(Before { version, content })))
    }

    /// Undoes what was written since [`Catalog::watch`] when it has to be approved, and asks for that. Gives the request.
    pub(in crate::catalog) async fn held_back(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        asset: &Asset,
        watch: Watch,
        step: Step,
    ) -> Result<Option<ApprovalId>, Error> {
        let Some(before) = watch.0 else { return Ok(None) };
        let written = written(&mut *conn, asset, before.version).await?;
        if !content::needs_approval(&before.content, &written) {
            return Ok(None);
        }
        sqlx::query("rollback to savepoint watched").execute(&mut *conn).await?;
        let after = self.after_all(&mut *conn, asset, before.version, &step).await?;
        self.propose(actor, conn, asset, before, &after, step).await.map(Some)
    }

    /// As [`Catalog::held_back`], of a transaction: it goes on when the write passes; else the request is committed and
    /// told.
    ///
    /// # Errors
    /// [`Error::Proposed`] when the write waits for approval.
    pub(in crate::catalog) async fn pass_or_propose(
        &self,
        actor: &Actor,
        mut tx: Transaction<'static, Postgres>,
        asset: &Asset,
        watch: Watch,
        step: Step,
    ) -> Result<Transaction<'static, Postgres>, Error> {
        match self.held_back(actor, &mut tx, asset, watch, step).await? {
            None => Ok(tx),
            Some(approval) => {
                tx.commit().await?;
                Err(Error::Proposed(approval))
            }
        }
    }

    /// Whether these contents of a version were asked for already: they wait, or somebody turned them down. What the actor
    /// itself took back, because it has other contents by then, may be asked for again.
    pub(in crate::catalog) async fn is_proposed_or_refused(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        stored: &Version,
        draft: &Draft,
    ) -> Result<bool, Error> {
        let last = request::last_change(conn, stored.asset_id, stored.version_id).await?;
        let Some((state, decided_by, steps)) = last else { return Ok(false) };
        let own = decided_by == Some(actor.to_string());
        let stands = state.waits() || state == ApprovalState::Rejected || (state == ApprovalState::Withdrawn && !own);
        let digest = &draft.version.source_digest;
        let is_same = |step: &Step| matches!(step, Step::Replace { draft } if draft.version.source_digest == *digest);
        Ok(stands && steps.last().is_some_and(is_same))
    }

    /// What is there once the steps that wait already and this one are done: tried, and undone.
    async fn after_all(
        &self,
        conn: &mut PgConnection,
        asset: &Asset,
        version: Option<VersionId>,
        step: &Step,
    ) -> Result<Value, Error> {
        let mut steps = request::steps_waiting(&mut *conn, asset.asset_id, version).await?;
        steps.push(step.clone());
        sqlx::query("savepoint tried").execute(&mut *conn).await?;
        let now = self.clock.now();
        for step in &steps {
            self.take_step(&mut *conn, asset.asset_id, step, now).await?;
        }
        let after = written(&mut *conn, asset, version).await?;
        sqlx::query("rollback to savepoint tried").execute(conn).await?;
        Ok(after)
    }

    async fn propose(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        asset: &Asset,
        before: Before,
        after: &Value,
        step: Step,
    ) -> Result<ApprovalId, Error> {
        let opening = Opening {
            workspace: asset.workspace_id,
            asset: asset.asset_id,
            version: before.version,
            purpose: Purpose::Change,
            reason: "",
            requester: &actor.to_string(),
            writer: &writer_of(actor),
            before: Some(&before.content),
            after: Some(after),
            step: Some(step.clone()),
        };
        self.ask(actor, conn, asset, opening, json!({"change": step.told()})).await
    }

    /// Asks that a version be seen, which was just stored and is not.
    pub(in crate::catalog) async fn ask_publication(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        asset: &Asset,
        version: &Version,
        step: Option<Step>,
    ) -> Result<ApprovalId, Error> {
        let opening = Opening {
            workspace: asset.workspace_id,
            asset: asset.asset_id,
            version: Some(version.version_id),
            purpose: Purpose::Publication,
            reason: "",
            requester: &actor.to_string(),
            writer: &writer_of(actor),
            before: None,
            after: None,
            step,
        };
        self.ask(actor, conn, asset, opening, json!({"version": version.name})).await
    }

    /// Opens or joins a request, with all that goes with it: the audit record, the notice, the checks that follow.
    pub(in crate::catalog) async fn ask(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        asset: &Asset,
        opening: Opening<'_>,
        told: Value,
    ) -> Result<ApprovalId, Error> {
        let now = self.clock.now();
        let purpose = opening.purpose;
        let (id, is_new) = request::open(&mut *conn, opening, now).await?;
        let after = json!({"approval": id, "purpose": purpose, "what": told});
        record(&mut *conn, actor, asset, "approval.request", after.clone(), now).await?;
        if is_new {
            let kind =
                if purpose == Purpose::Drift { notify::Kind::AssetDrifted } else { notify::Kind::ApprovalRequested };
            tell(&mut *conn, kind, asset, after, now).await?;
        }
        Ok(id)
    }
}

/// What is there now of an asset, read anew.
async fn written(conn: &mut PgConnection, asset: &Asset, version: Option<VersionId>) -> Result<Value, Error> {
    let now = crate::catalog::asset::by_id(&mut *conn, asset.asset_id).await?;
    content::read(conn, now.as_ref().unwrap_or(asset), version).await
}

/// Who had a hand in something, for good and whatever key was used.
pub fn writer_of(actor: &Actor) -> String {
    let id = actor.stable_id();
    match (&actor.identity, id.split_once("/key:")) {
        (Identity::User { .. } | Identity::ServiceAccount { .. }, Some((own, _))) => own.to_owned(),
        _ => id,
    }
}

pub(super) async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    asset: &Asset,
    verb: &str,
    after: Value,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let subject =
        audit::Subject { name: &asset.registry_name, id: Some(asset.asset_id.0), workspace: Some(asset.workspace_id) };
    audit::record(conn, now, &actor.trace(), verb, subject, None, Some(after)).await?;
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    kind: notify::Kind,
    asset: &Asset,
    data: Value,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let notice = Notice::new(kind, now, &asset.registry_name).of_asset(asset.workspace_id, asset.asset_id).with(data);
    notify::publish(conn, notice).await?;
    Ok(())
}
