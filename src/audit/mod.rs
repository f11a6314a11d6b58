//! The audit record: who did what to what, written in the same transaction as the deed.
//!
//! When the record cannot be written the transaction fails, and with it the deed. Lines are only ever added; the database
//! refuses to change them (`migrations/0008_audit.sql`). What was refused is noted beside the request (`refusals.rs`).
//!
//! Evidence is made in two steps, so that writers do not wait for each other: a line carries its digest from its insert on,
//! and [`chain::seal`] links the lines of committed transactions afterwards and signs the end of the chain.

pub mod chain;
mod query;
mod refusals;
pub mod retention;

pub use query::{Filter, Reach, list};
pub use refusals::{Refusal, Refusals};

use crate::base::WorkspaceId;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use std::net::IpAddr;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who acted, through what, from where, and in which request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// As people read it: `user anna with key laptop`.
    pub actor: String,
    /// For good, when names are taken by others: `user:0198...`.
    pub actor_id: Option<String>,
    /// The key or session: `key:0198...`.
    pub credential: Option<String>,
    pub address: Option<IpAddr>,
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
    /// Grows with every line; lines that were rolled back leave gaps.
    pub sequence: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `done`, or `refused` for lack of a permission.
    pub outcome: String,
    /// Who, with the key or session used.
    pub actor: String,
    /// Who, for good: names may be taken by another after a while.
    pub actor_id: Option<String>,
    /// The key or session through which it was done.
    pub credential: Option<String>,
    /// The client's address, as far as trusted proxies tell.
    pub address: Option<String>,
    pub verb: String,
    pub subject: String,
    /// The workspace it belongs to; absent for what belongs to the instance.
    pub workspace: Option<String>,
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
    insert(conn, at, "done", trace, verb, subject, (before, after)).await
}

async fn insert(
    conn: &mut PgConnection,
    at: OffsetDateTime,
    outcome: &str,
    trace: &Trace,
    verb: &str,
    subject: Subject<'_>,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into audit (at, actor, verb, subject, subject_id, workspace_id, before, after, request_id, outcome,
                            actor_id, credential, address)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
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
    .bind(outcome)
    .bind(&trace.actor_id)
    .bind(&trace.credential)
    .bind(trace.address.map(|address| address.to_string()))
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
        "select a.sequence, a.at, a.outcome, a.actor, a.actor_id, a.credential, a.address, a.verb, a.subject,
                w.name as workspace, a.before, a.after, a.request_id
         from audit a left join workspace w using (workspace_id)
         where a.subject_id = $1 and ($2::bigint is null or a.sequence < $2)
         order by a.sequence desc
         limit $3",
    )
    .bind(subject)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}
