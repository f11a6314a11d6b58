//! How a request begins, and what joins it while it waits.

use super::{ApprovalState, Purpose};
use crate::base::{ApprovalId, AssetId, VersionId, WorkspaceId};
use crate::catalog::approval::step::Step;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;

/// A request to open.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Opening<'a> {
    pub workspace: WorkspaceId,
    pub asset: AssetId,
    pub version: Option<VersionId>,
    pub purpose: Purpose,
    pub reason: &'a str,
    pub requester: &'a str,
    pub writer: &'a str,
    pub step: Option<Step>,
    pub before: Option<&'a Value>,
    pub after: Option<&'a Value>,
}

/// Opens a request, or joins the one that waits: a step is added to its steps, or takes their place where changes were asked
/// for. Gives its id, and whether it is a new one.
pub(in crate::catalog) async fn open(
    conn: &mut PgConnection,
    opening: Opening<'_>,
    now: OffsetDateTime,
) -> Result<(ApprovalId, bool), sqlx::Error> {
    let id = ApprovalId::new();
    let steps: Vec<Step> = opening.step.into_iter().collect();
    let opened: ApprovalId = sqlx::query_scalar(
        "insert into approval as p (approval_id, workspace_id, asset_id, version_id, purpose, reason, requester, writers,
                                    steps, before, after, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, array[$8], $9, $10, $11, $12, $12)
         on conflict (asset_id, version_id, purpose) where state in ('open', 'changes-requested') do update
         set state = 'open',
             steps = case when p.state = 'open' then p.steps || excluded.steps else excluded.steps end,
             before = coalesce(excluded.before, p.before),
             after = excluded.after,
             needs_checks = true,
             writers = case when $8 = any(p.writers) then p.writers else p.writers || $8 end,
             updated_at = $12
         returning approval_id",
    )
    .bind(id)
    .bind(opening.workspace)
    .bind(opening.asset)
    .bind(opening.version)
    .bind(opening.purpose)
    .bind(opening.reason)
    .bind(opening.requester)
    .bind(opening.writer)
    .bind(Json(steps))
    .bind(opening.before)
    .bind(opening.after)
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok((opened, opened == id))
}

/// The steps of the request that waits for a change of this, if any and if they are kept when another is added.
pub(in crate::catalog) async fn steps_waiting(
    conn: &mut PgConnection,
    asset: AssetId,
    version: Option<VersionId>,
) -> Result<Vec<Step>, sqlx::Error> {
    let found: Option<Json<Vec<Step>>> = sqlx::query_scalar(
        "select steps from approval
         where asset_id = $1 and version_id is not distinct from $2 and purpose = 'change' and state = 'open'
         for update",
    )
    .bind(asset)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|steps| steps.0).unwrap_or_default())
}

/// The last request for a change of this version: where it stands, who decided on it, what it would do.
pub(in crate::catalog) async fn last_change(
    conn: &mut PgConnection,
    asset: AssetId,
    version: VersionId,
) -> Result<Option<(ApprovalState, Option<String>, Vec<Step>)>, sqlx::Error> {
    let found: Option<(ApprovalState, Option<String>, Json<Vec<Step>>)> = sqlx::query_as(
        "select state, decided_by, steps from approval
         where asset_id = $1 and version_id = $2 and purpose = 'change'
         order by approval_id desc
         limit 1
         for update",
    )
    .bind(asset)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|(state, decided_by, steps)| (state, decided_by, steps.0)))
}

/// What waits for this asset was written on: it is the writer's too from now on, where changes were asked for it waits
/// again, and the checks look again.
pub(in crate::catalog) async fn written_on(
    conn: &mut PgConnection,
    asset: AssetId,
    writer: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update approval
         set state = 'open', updated_at = $3, needs_checks = true,
             writers = case when $2 = any(writers) then writers else writers || $2 end
         where asset_id = $1 and state in ('open', 'changes-requested') and purpose = 'publication'",
    )
    .bind(asset)
    .bind(writer)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
