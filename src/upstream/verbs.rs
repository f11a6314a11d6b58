//! What people do with upstreams: list, make, change, take away, sync now, read the runs.

use super::Upstreams;
use super::run::{self, Run};
use super::source::{self, Upstream, UpstreamInput};
use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{Limit, Problem, WorkspaceId};
use crate::catalog::Workspace;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;

/// Most upstreams of a workspace.
const MOST: usize = 50;

/// What a run that people ask for reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SyncRequest {
    /// Ask for everything again, and not only for what changed.
    pub everything: bool,
    /// Ask for everything again, and delete up to so many versions that are no longer there, though they are more than a run
    /// deletes by itself: the upstream's `missing`, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1000000)]
    pub max_deletions: Option<u32>,
}

impl Upstreams {
    /// The upstreams of a workspace, by name, each with its last run.
    ///
    /// # Errors
    /// 401, 403, 404 for who does not govern the workspace.
    pub async fn list(&self, actor: &Actor, workspace: &str) -> Result<Vec<(Upstream, Option<Run>)>, Problem> {
        let workspace = self.governed(actor, workspace).await?;
        let mut conn = self.db.read.acquire().await?;
        let mut listed = Vec::new();
        for upstream in source::list(&mut conn, workspace.workspace_id).await? {
            let last = run::list(&mut conn, upstream.upstream_id, 1).await?.pop();
            listed.push((upstream, last));
        }
        Ok(listed)
    }

    /// One of them.
    ///
    /// # Errors
    /// As [`Upstreams::list`]; 404 without such an upstream.
    pub async fn find(&self, actor: &Actor, workspace: &str, name: &str) -> Result<Upstream, Problem> {
        let workspace = self.governed(actor, workspace).await?;
        let mut conn = self.db.read.acquire().await?;
        source::find(&mut conn, workspace.workspace_id, name).await?.ok_or_else(missing)
    }

    /// The runs of an upstream, newest first.
    ///
    /// # Errors
    /// As [`Upstreams::find`].
    pub async fn runs(&self, actor: &Actor, workspace: &str, name: &str, limit: Limit) -> Result<Vec<Run>, Problem> {
        let upstream = self.find(actor, workspace, name).await?;
        let limit = i64::try_from(limit.0).unwrap_or(i64::MAX);
        Ok(run::list(&mut *self.db.read.acquire().await?, upstream.upstream_id, limit).await?)
    }

    /// Makes an upstream; its first run is due at once.
    ///
    /// # Errors
    /// As [`Upstreams::list`]; 409 when the name is taken, 422, also for an address that may not be reached.
    pub async fn create(&self, actor: &Actor, workspace: &str, input: UpstreamInput) -> Result<Upstream, Problem> {
        let workspace = self.governed(actor, workspace).await?;
        let made = Upstream::of(workspace.workspace_id, input, self.clock.now())?;
        self.http.check(&made.url, "body.url").await?;
        let mut tx = self.db.write.begin().await?;
        if source::list(&mut tx, workspace.workspace_id).await?.len() >= MOST {
            return Err(Problem::invalid(format!("A workspace has at most {MOST} upstreams.")));
        }
        if !source::insert(&mut tx, &made).await? {
            let detail = format!("The upstream {} is there already; choose another name.", made.name);
            return Err(Problem::conflict("name-taken", detail));
        }
        self.note(&mut tx, actor, "upstream.create", &made, None, Some(json!(made))).await?;
        tx.commit().await?;
        self.wake.notify_one();
        Ok(made)
    }

    /// Changes what `input` names. A change of what is read or taken begins with everything again.
    ///
    /// # Errors
    /// As [`Upstreams::find`]; 412 when `revision` is not the upstream's, 422.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        input: UpstreamInput,
        revision: Option<i64>,
    ) -> Result<Upstream, Problem> {
        if let Some(url) = &input.url {
            // A name is asked for here, so before the row is held.
            self.find(actor, workspace, name).await?;
            self.http.check(url, "body.url").await?;
        }
        let (mut tx, before) = self.held(actor, workspace, name).await?;
        if let Some(sent) = revision.filter(|sent| *sent != before.revision) {
            let detail = format!(
                "Somebody else changed this meanwhile: it is at revision {}, you sent {sent}.",
                before.revision
            );
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale", "Changed meanwhile", detail));
        }
        let now = self.clock.now();
        let mut after = before.clone().patched(input, now)?;
        after.updated_at = now;
        after.revision += 1;
        source::update(&mut tx, &after).await?;
        self.note(&mut tx, actor, "upstream.update", &after, Some(json!(before)), Some(json!(after))).await?;
        tx.commit().await?;
        self.wake.notify_one();
        Ok(after)
    }

    /// Takes an upstream away; what came from it stays, and is the workspace's own from then on.
    ///
    /// # Errors
    /// As [`Upstreams::find`].
    pub async fn delete(&self, actor: &Actor, workspace: &str, name: &str) -> Result<(), Problem> {
        let (mut tx, found) = self.held(actor, workspace, name).await?;
        source::delete(&mut tx, found.upstream_id).await?;
        self.note(&mut tx, actor, "upstream.delete", &found, Some(json!(found)), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Makes a run due at once. A paused one goes on.
    ///
    /// # Errors
    /// As [`Upstreams::find`].
    pub async fn sync_now(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        wanted: SyncRequest,
    ) -> Result<Upstream, Problem> {
        let (mut tx, mut upstream) = self.held(actor, workspace, name).await?;
        let now = self.clock.now();
        if wanted.everything || wanted.max_deletions.is_some() {
            upstream.begin_anew(now);
        }
        if let Some(most) = wanted.max_deletions {
            upstream.may_delete = i32::try_from(most).unwrap_or(i32::MAX);
        }
        upstream.next_run_at = now;
        upstream.is_paused = false;
        upstream.updated_at = now;
        upstream.revision += 1;
        source::update(&mut tx, &upstream).await?;
        let after = Some(json!(wanted));
        self.note(&mut tx, actor, "upstream.sync", &upstream, None, after).await?;
        tx.commit().await?;
        self.wake.notify_one();
        Ok(upstream)
    }

    async fn held(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
    ) -> Result<(sqlx::Transaction<'static, sqlx::Postgres>, Upstream), Problem> {
        let workspace = self.governed(actor, workspace).await?;
        let mut tx = self.db.write.begin().await?;
        let found = source::find(&mut tx, workspace.workspace_id, name).await?.ok_or_else(missing)?;
        let held = source::find_by_id(&mut tx, found.upstream_id).await?.ok_or_else(missing)?;
        Ok((tx, held))
    }

    /// The workspace, when the actor may say what is taken over into it.
    async fn governed(&self, actor: &Actor, workspace: &str) -> Result<Workspace, Problem> {
        if actor.is_anonymous() {
            actor.require(Permission::GovernWorkspace, Scope::Instance)?;
        }
        let workspace = self.catalog.workspace(actor, workspace).await?;
        actor.require(Permission::GovernWorkspace, Scope::Workspace(workspace.workspace_id))?;
        Ok(workspace)
    }

    async fn note(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        verb: &str,
        upstream: &Upstream,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), sqlx::Error> {
        let workspace: Option<WorkspaceId> = Some(upstream.workspace_id);
        let subject = audit::Subject { name: upstream.name.as_str(), id: Some(upstream.upstream_id.0), workspace };
        audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, before, after).await
    }
}

fn missing() -> Problem {
    Problem::not_found("There is no such upstream in this workspace.")
}
