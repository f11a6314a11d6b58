//! What the checks found of a request, and which requests they still have to look at.

use crate::base::ApprovalId;
use crate::catalog::governance::Check;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;

/// Takes some requests whose evidence is to be gathered; whoever took them and died lets go of them after two minutes.
pub(in crate::catalog) async fn claim_unchecked(
    conn: &mut PgConnection,
    now: OffsetDateTime,
) -> Result<Vec<ApprovalId>, sqlx::Error> {
    sqlx::query_scalar(
        "update approval set needs_checks = false, claimed_at = $1
         where approval_id in (
             select approval_id from approval
             where (needs_checks or claimed_at is not null) and state in ('open', 'changes-requested')
               and (claimed_at is null or claimed_at < $2)
             order by approval_id
             limit 8
             for update skip locked)
         returning approval_id",
    )
    .bind(now)
    .bind(now - time::Duration::minutes(2))
    .fetch_all(conn)
    .await
}

/// Keeps what the checks found.
pub(in crate::catalog) async fn keep_evidence(
    conn: &mut PgConnection,
    id: ApprovalId,
    checks: &[Check],
    tools: Option<&Value>,
    digest: &[u8],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update approval set evidence = $2, tools = $3, evidence_digest = $4, examined_at = $5, claimed_at = null
         where approval_id = $1",
    )
    .bind(id)
    .bind(Json(checks))
    .bind(tools)
    .bind(digest)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
