//! The change log: every write to an asset leaves a line in its own transaction; readers follow it in commit order.

use super::Sight;
use crate::auth::BindSight;
use crate::base::db::oldest_open_transaction;
use crate::base::{AssetId, WorkspaceId};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The channel on which a commit tells all replicas which asset changed; the payload is the asset's registry name.
pub const CHANNEL: &str = "wharfinger_change";

/// A place in the log. Sequence order is not commit order, so the transaction comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    pub transaction: i64,
    pub sequence: i64,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Change {
    #[sqlx(flatten)]
    #[serde(skip)]
    pub mark: Mark,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub asset_id: AssetId,
    pub verb: String,
}

impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Mark {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row;
        Ok(Self { transaction: row.try_get("transaction")?, sequence: row.try_get("sequence")? })
    }
}

/// Tells all replicas, with the commit, that answers about this name are no longer true.
pub(super) async fn tell(conn: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(name).execute(conn).await?;
    Ok(())
}

/// Writes a line, queues what follows from it, and tells the replicas at commit.
///
/// # Errors
/// The database's.
pub(super) async fn record(
    conn: &mut PgConnection,
    at: OffsetDateTime,
    workspace: WorkspaceId,
    asset: AssetId,
    registry_name: &str,
    verb: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with line as (insert into change (at, workspace_id, asset_id, verb) values ($1, $2, $3, $4))
         select pg_notify($5, $6)",
    )
    .bind(at)
    .bind(workspace)
    .bind(asset)
    .bind(verb)
    .bind(CHANNEL)
    .bind(registry_name)
    .execute(&mut *conn)
    .await?;
    crate::queue::publish(conn, crate::queue::Event::AssetChanged(asset), at).await
}

/// The lines after `mark` that no open transaction can still come before, oldest first, at most `limit`.
///
/// Rows of transactions at or above the snapshot's end come from a restored dump of another cluster; they are old.
///
/// # Errors
/// The database's.
pub async fn after(conn: &mut PgConnection, mark: Mark, limit: i64) -> Result<Vec<Change>, sqlx::Error> {
    let horizon = oldest_open_transaction(&mut *conn).await?;
    sqlx::query_as(
        "select transaction, sequence, at, asset_id, verb
         from change
         where (transaction, sequence) > ($1, $2)
           and (transaction < $3 or transaction >= (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint)
         order by transaction, sequence
         limit $4",
    )
    .bind(mark.transaction)
    .bind(mark.sequence)
    .bind(horizon)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The newest place in the log that [`after`] would give now.
///
/// # Errors
/// The database's.
pub async fn newest(conn: &mut PgConnection) -> Result<Mark, sqlx::Error> {
    let horizon = oldest_open_transaction(&mut *conn).await?;
    let mark = sqlx::query_as(
        "select transaction, sequence
         from change
         where transaction < $1 or transaction >= (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint
         order by transaction desc, sequence desc
         limit 1",
    )
    .bind(horizon)
    .fetch_optional(conn)
    .await?;
    Ok(mark.unwrap_or_default())
}

/// A line of the log with what a reader needs to say what changed.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NamedChange {
    #[sqlx(flatten)]
    pub mark: Mark,
    pub at: OffsetDateTime,
    pub verb: String,
    pub asset_id: AssetId,
    pub workspace: String,
    pub name: String,
    pub registry_name: String,
    pub kind: super::Kind,
    pub title: String,
    pub summary: String,
}

/// As [`after`], of assets within `sight` only; a deleted asset's lines stay in the log for those who could see it.
///
/// # Errors
/// The database's.
pub async fn visible_after(
    conn: &mut PgConnection,
    sight: &Sight,
    mark: Mark,
    limit: i64,
) -> Result<Vec<NamedChange>, sqlx::Error> {
    let horizon = oldest_open_transaction(&mut *conn).await?;
    sqlx::query_as(
        "select c.transaction, c.sequence, c.at, c.verb, c.asset_id, w.name as workspace, a.name, a.registry_name,
                a.kind, a.title, a.summary
         from change c join asset a using (asset_id) join workspace w on w.workspace_id = a.workspace_id
         where (c.transaction, c.sequence) > ($6, $7)
           and (c.transaction < $9 or c.transaction >= (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint)
           and asset_visible(a, $1, $2, $3, $4, $5)
         order by c.transaction, c.sequence
         limit $8",
    )
    .bind_sight(sight)
    .bind(mark.transaction)
    .bind(mark.sequence)
    .bind(limit)
    .bind(horizon)
    .fetch_all(conn)
    .await
}

/// The newest lines of assets within `sight` that are not deleted, newest first; what a feed shows. `workspace` narrows
/// it to the one of this name.
///
/// # Errors
/// The database's.
pub async fn visible_newest(
    conn: &mut PgConnection,
    sight: &Sight,
    workspace: Option<&str>,
    limit: i64,
) -> Result<Vec<NamedChange>, sqlx::Error> {
    sqlx::query_as(
        "select c.transaction, c.sequence, c.at, c.verb, c.asset_id, w.name as workspace, a.name, a.registry_name,
                a.kind, a.title, a.summary
         from change c join asset a using (asset_id) join workspace w on w.workspace_id = a.workspace_id
         where a.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)
           and ($6::text is null or w.name = $6)
         order by c.sequence desc
         limit $7",
    )
    .bind_sight(sight)
    .bind(workspace)
    .bind(limit)
    .fetch_all(conn)
    .await
}
