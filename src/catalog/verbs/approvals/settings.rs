//! Which approval a workspace asks for: reading and setting it.

use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::base::WorkspaceId;
use crate::catalog::approval::request;
use crate::catalog::approval::settings::{self, ApprovalSettings, ApprovalSettingsPatch};
use crate::catalog::verbs::if_match;
use crate::catalog::{Catalog, Error};
use serde_json::json;

impl Catalog {
    /// Which approval a workspace asks for; whoever knows the workspace may know it.
    ///
    /// # Errors
    /// 404 when there is no such workspace the actor may know of.
    pub async fn approval_settings(&self, actor: &Actor, workspace: &str) -> Result<ApprovalSettings, Error> {
        let mut conn = self.db.read.acquire().await?;
        let found = self.known_workspace(actor, &mut conn, workspace).await?;
        Ok(settings::find(&mut conn, found.workspace_id).await?)
    }

    /// Says which approval a workspace asks for. What is approved stays so; what waits goes on waiting until it is decided:
    /// nobody has looked at it, and its writers were told that somebody would. The answer tells how much that is.
    ///
    /// # Errors
    /// 404, 403 for those who do not govern the workspace, 412, 422.
    pub async fn set_approval_settings(
        &self,
        actor: &Actor,
        workspace: &str,
        patch: ApprovalSettingsPatch,
        revision: Option<i64>,
    ) -> Result<ApprovalSettings, Error> {
        let mut tx = self.begin().await?;
        let found = self.workspace_for(actor, &mut tx, workspace, Permission::GovernWorkspace).await?;
        let before = settings::find(&mut tx, found.workspace_id).await?;
        if_match(revision, before.revision)?;
        for (field, value, range) in
            [("validDays", patch.valid_days, 0..=3650), ("graceDays", patch.grace_days, 0..=365)]
        {
            if value.is_some_and(|days| !range.contains(&days)) {
                let message = format!("must be {} to {} days", range.start(), range.end());
                return Err(Error::invalid_at(format!("body.{field}"), message));
            }
        }
        let after = ApprovalSettings {
            required: patch.required.unwrap_or(before.required),
            self_approval: patch.self_approval.unwrap_or(before.self_approval),
            valid_days: patch.valid_days.map_or(before.valid_days, |days| Some(days).filter(|days| *days > 0)),
            grace_days: patch.grace_days.unwrap_or(before.grace_days),
            hides_drifted: patch.hides_drifted.unwrap_or(before.hides_drifted),
            revision: before.revision + 1,
            waiting: None,
        };
        let now = self.clock.now();
        settings::put(&mut tx, found.workspace_id, &after, now).await?;
        let subject = audit::Subject {
            name: found.name.as_str(),
            id: Some(found.workspace_id.0),
            workspace: Some(found.workspace_id),
        };
        let (was, is) = (Some(json!(before)), Some(json!(after)));
        audit::record(&mut tx, now, &actor.trace(), "workspace.set-approval", subject, was, is).await?;
        let waiting = request::count_in(&mut tx, found.workspace_id).await?;
        tx.commit().await?;
        Ok(ApprovalSettings { waiting: Some(waiting), ..after })
    }

    /// How many requests wait in a workspace; 0 for who does not know it from within.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn approvals_waiting_in(&self, actor: &Actor, workspace: WorkspaceId) -> Result<i64, Error> {
        if !actor.may(Permission::ReadCatalog, Scope::Workspace(workspace)) {
            return Ok(0);
        }
        Ok(request::count_in(&mut *self.db.read.acquire().await?, workspace).await?)
    }
}
