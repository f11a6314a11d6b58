//! Dropping old lines: only a whole part of the chain from its beginning, up to a signed head, and the chain verifies on.

use super::chain::{Link, signed, to_link};
use crate::base::KeyRing;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

/// What the derived key is for.
pub(super) const PURPOSE: &str = "audit checkpoint";

/// Where the chain begins.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Checkpoint {
    pub position: i64,
    pub link: Vec<u8>,
    pub key_id: String,
    pub signature: Vec<u8>,
}

pub(super) async fn newest(conn: &mut PgConnection) -> Result<Option<Checkpoint>, sqlx::Error> {
    sqlx::query_as("select position, link, key_id, signature from audit_checkpoint order by position desc limit 1")
        .fetch_optional(conn)
        .await
}

/// Drops the lines that were sealed before `before`, up to the last head made by then; gives how many.
///
/// # Errors
/// The database's; then nothing was dropped.
pub async fn drop_before(
    db: &PgPool,
    keys: &KeyRing,
    before: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let mut tx = db.begin().await?;
    // A month's lines may take longer than the statement of a request.
    sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
    let head: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select position, link from audit_head where at < $1 order by position desc limit 1")
            .bind(before)
            .fetch_optional(&mut *tx)
            .await?;
    let Some((position, link)) = head else { return Ok(0) };
    if newest(&mut tx).await?.is_some_and(|checkpoint| checkpoint.position >= position) {
        return Ok(0);
    }
    let link: Link = to_link(&link);
    let (key_id, signature) = keys.sign(PURPOSE, &signed(position, &link));
    sqlx::query("insert into audit_checkpoint (position, at, link, key_id, signature) values ($1, $2, $3, $4, $5)")
        .bind(position)
        .bind(now)
        .bind(link.as_slice())
        .bind(key_id)
        .bind(signature.as_slice())
        .execute(&mut *tx)
        .await?;
    let dropped =
        sqlx::query("delete from audit a using audit_link l where l.sequence = a.sequence and l.position <= $1")
            .bind(position)
            .execute(&mut *tx)
            .await?;
    for statement in ["delete from audit_link where position <= $1", "delete from audit_head where position <= $1"] {
        sqlx::query(statement).bind(position).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(dropped.rows_affected())
}
