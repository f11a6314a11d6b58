//! How a request ends: decided on, taken back, run out.

use super::ApprovalState;
use crate::base::{ApprovalId, VersionId};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A decision, as it is kept.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Decided<'a> {
    pub state: ApprovalState,
    pub by: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub digest: Option<&'a [u8]>,
}

/// Moves a request that waits; whether it did wait.
pub(in crate::catalog) async fn settle(
    conn: &mut PgConnection,
    id: ApprovalId,
    decided: Decided<'_>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update approval
         set state = $2, decided_by = $3, decided_at = $4, decision_reason = $5, decided_digest = $6, updated_at = $4
         where approval_id = $1 and state in ('open', 'changes-requested')",
    )
    .bind(id)
    .bind(decided.state)
    .bind(decided.by)
    .bind(now)
    .bind(decided.reason)
    .bind(decided.digest)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks the approvals of a version that were given as run out.
pub(in crate::catalog) async fn expire(
    conn: &mut PgConnection,
    version: VersionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update approval set state = 'expired', updated_at = $2 where version_id = $1 and state = 'approved'")
        .bind(version)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends what waits about a version's drift: its server is again as it was approved.
pub(in crate::catalog) async fn withdraw_drift(
    conn: &mut PgConnection,
    version: VersionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update approval
         set state = 'withdrawn', decided_at = $2, updated_at = $2,
             decision_reason = 'The server is again as it was approved.'
         where version_id = $1 and purpose = 'drift' and state in ('open', 'changes-requested')",
    )
    .bind(version)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The changes of this version that wait and that nobody but `writer` had a hand in, taken back.
pub(in crate::catalog) async fn supersede(
    conn: &mut PgConnection,
    version: VersionId,
    (writer, by): (&str, &str),
    reason: &str,
    now: OffsetDateTime,
) -> Result<Vec<ApprovalId>, sqlx::Error> {
    sqlx::query_scalar(
        "update approval
         set state = 'withdrawn', decided_by = $3, decided_at = $5, decision_reason = $4, updated_at = $5
         where version_id = $1 and purpose = 'change' and state in ('open', 'changes-requested')
           and writers = array[$2::text]
         returning approval_id",
    )
    .bind(version)
    .bind(writer)
    .bind(by)
    .bind(reason)
    .bind(now)
    .fetch_all(conn)
    .await
}
