//! Sealing: lines that were committed are linked, and the new end is signed.

use super::{BATCH, Head, PURPOSE, next, signed, to_link};
use crate::audit::retention;
use crate::base::KeyRing;
use crate::base::db::oldest_open_transaction;
use sqlx::{Connection, PgConnection, PgPool};
use time::OffsetDateTime;

/// One sealer at a time; any number that nothing else locks.
const LOCK: i64 = 0x0061_7564;
/// A place in the order of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
struct Place {
    transaction: i64,
    sequence: i64,
}

#[derive(sqlx::FromRow)]
struct Last {
    position: i64,
    link: Vec<u8>,
    transaction: i64,
    sequence: i64,
}

/// Links what was committed since the last time, at most some thousand lines, and signs the new head; none when there was
/// nothing to do, or another replica is at it.
///
/// # Errors
/// The database's.
pub async fn seal(db: &PgPool, keys: &KeyRing, now: OffsetDateTime) -> Result<Option<Head>, sqlx::Error> {
    let mut conn = db.acquire().await?;
    // Asked before the transaction, in a snapshot older than the one that reads the lines.
    let horizon = oldest_open_transaction(&mut conn).await?;
    let mut tx = conn.begin().await?;
    if !sqlx::query_scalar::<_, bool>("select pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut *tx).await? {
        return Ok(None);
    }
    let last = last(&mut tx).await?;
    let lines = unlinked(&mut tx, &last, horizon).await?;
    if lines.is_empty() {
        return Ok(None);
    }
    let (mut position, mut link) = (last.position, to_link(&last.link));
    let (mut positions, mut links) = (Vec::with_capacity(lines.len()), Vec::with_capacity(lines.len()));
    for (_, _, digest) in &lines {
        position += 1;
        link = next(&link, position, digest);
        positions.push(position);
        links.push(link.to_vec());
    }
    sqlx::query(
        "insert into audit_link (position, sequence, transaction, link)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])",
    )
    .bind(&positions)
    .bind(lines.iter().map(|line| line.1).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.0).collect::<Vec<_>>())
    .bind(&links)
    .execute(&mut *tx)
    .await?;
    let (key_id, signature) = keys.sign(PURPOSE, &signed(position, &link));
    sqlx::query("insert into audit_head (position, at, link, key_id, signature) values ($1, $2, $3, $4, $5)")
        .bind(position)
        .bind(now)
        .bind(link.as_slice())
        .bind(key_id)
        .bind(signature.as_slice())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Some(Head { position, link: hex::encode(link) }))
}

async fn last(conn: &mut PgConnection) -> Result<Last, sqlx::Error> {
    let last: Option<Last> =
        sqlx::query_as("select position, link, transaction, sequence from audit_link order by position desc limit 1")
            .fetch_optional(&mut *conn)
            .await?;
    if let Some(last) = last {
        return Ok(last);
    }
    // Everything may have been dropped; the chain goes on from there.
    let checkpoint = retention::newest(conn).await?;
    Ok(Last {
        position: checkpoint.as_ref().map_or(0, |one| one.position),
        link: checkpoint.map_or_else(|| vec![0; 32], |one| one.link),
        transaction: 0,
        sequence: 0,
    })
}

/// Transaction, sequence and digest of the lines that come next.
///
/// A database that was restored from a dump counts its transactions anew: the last link's number lies ahead then, and
/// everything without a link comes next, the lines of the dump first.
async fn unlinked(conn: &mut PgConnection, last: &Last, horizon: i64) -> Result<Vec<(i64, i64, Vec<u8>)>, sqlx::Error> {
    let next_number: i64 = sqlx::query_scalar("select (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint")
        .fetch_one(&mut *conn)
        .await?;
    let restored = last.transaction >= next_number;
    let after =
        if restored { Place::default() } else { Place { transaction: last.transaction, sequence: last.sequence } };
    sqlx::query_as(
        "select a.transaction, a.sequence, a.digest
         from audit a
         where (a.transaction, a.sequence) > ($1, $2)
           and (a.transaction < $3 or ($4 and a.transaction >= $5))
           and not exists (select from audit_link l where l.sequence = a.sequence)
         order by a.transaction >= $5 desc, a.transaction, a.sequence
         limit $6",
    )
    .bind(after.transaction)
    .bind(after.sequence)
    .bind(horizon)
    .bind(restored)
    .bind(next_number)
    .bind(BATCH)
    .fetch_all(conn)
    .await
}
