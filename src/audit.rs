//! The audit record: who did what to what, written in the same transaction as the deed.
//!
//! When the record cannot be written the transaction fails, and with it the deed.

use crate::base::WorkspaceId;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who acted, and in which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub actor: String,
    pub request_id: Option<String>,
}

/// What was acted on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub name: &'a str,
    pub id: Option<Uuid>,
    pub workspace: Option<WorkspaceId>,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditRecord)]
pub struct Record {
    pub sequence: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub actor: String,
    pub verb: String,
    pub subject: String,
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    pub request_id: Option<String>,
}

/// Writes one line. `verb` is `noun.verb`, like `asset.register`.
///
/// # Errors
/// The database's; the caller's transaction must not be committed then.
pub async fn record(
    conn: &mut PgConnection,
    at: OffsetDateTime,
    trace: &Trace,
    verb: &str,
    subject: Subject<'_>,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into audit (at, actor, verb, subject, subject_id, workspace_id, before, after, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(at)
    .bind(&trace.actor)
    .bind(verb)
    .bind(subject.name)
    .bind(subject.id)
    .bind(subject.workspace)
    .bind(before)
    .bind(after)
    .bind(&trace.request_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// The lines about one subject before the line `before`, newest first, at most `limit`.
///
/// # Errors
/// The database's.
pub async fn of_subject(
    conn: &mut PgConnection,
    subject: Uuid,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Record>, sqlx::Error> {
    sqlx::query_as(
        "select sequence, at, actor, verb, subject, before, after, request_id
         from audit
         where subject_id = $1 and ($2::bigint is null or sequence < $2)
         order by sequence desc
         limit $3",
    )
    .bind(subject)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}
