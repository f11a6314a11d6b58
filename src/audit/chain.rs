//! The chain: lines of committed transactions in their order, each linked to the one before, the end signed.
//!
//! A link is `SHA-256(link before, position, digest of the line)`; the digest covers the line's content and its sequence.
//! Whoever alters, removes or reorders a line breaks the chain there; whoever makes the chain anew from there on has no key
//! to sign its heads. The key is one of the ring that seals secrets, which is never in the database.
//!
//! What this cannot show: a change within the second before a line is sealed by somebody who also computes its digest anew,
//! and the cutting off of the newest part together with its heads, unless a later head is known elsewhere. Each replica
//! therefore keeps the last head it made in its data directory, and [`verify`] compares.

use super::retention::Checkpoint;
use crate::base::db::oldest_open_transaction;
use crate::base::{KeyRing, SealError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, PgPool};
use time::OffsetDateTime;

/// How many lines are linked in one transaction, and read at a time.
const BATCH: i64 = 5_000;
/// One sealer at a time; any number that nothing else locks.
const LOCK: i64 = 0x0061_7564;
/// What the derived key is for.
pub(super) const PURPOSE: &str = "audit head";

/// SHA-256.
pub type Link = [u8; 32];

/// The end of the chain at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AuditHead)]
pub struct Head {
    /// How many lines the chain has had.
    pub position: i64,
    /// The last link, in hexadecimal digits.
    pub link: String,
}

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditVerdict)]
pub struct Verdict {
    /// Whether everything is as it was written.
    pub intact: bool,
    /// How many lines were checked.
    pub lines: u64,
    /// Written, and linked within the next second.
    pub waiting: u64,
    /// Lines up to this position were dropped by retention.
    pub begins_after: i64,
    pub head: Head,
    /// The first place that is wrong.
    pub finding: Option<Finding>,
}

/// The first place at which the record is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditFinding)]
pub struct Finding {
    pub what: Tampering,
    /// The place in the chain.
    pub position: i64,
    /// The sequence of the line, where it is known.
    pub sequence: Option<i64>,
    /// In a sentence.
    pub detail: String,
}

/// What was done to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tampering {
    /// A line's content is not what was written.
    Altered,
    /// A line is gone.
    Removed,
    /// Lines do not stand in the order in which they were written.
    Reordered,
    /// A part of the chain was made by somebody without the key.
    Unsigned,
    /// The newest part is gone.
    Cut,
}

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

fn next(link: &Link, position: i64, digest: &[u8]) -> Link {
    Sha256::new().chain_update(link).chain_update(position.to_be_bytes()).chain_update(digest).finalize().into()
}

/// What the signature of a head covers.
pub(super) fn signed(position: i64, link: &Link) -> Vec<u8> {
    [&position.to_be_bytes()[..], link].concat()
}

pub(super) fn to_link(bytes: &[u8]) -> Link {
    bytes.try_into().unwrap_or([0; 32])
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
    let checkpoint = super::retention::newest(conn).await?;
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

#[derive(sqlx::FromRow)]
struct Checked {
    position: i64,
    sequence: i64,
    link: Vec<u8>,
    stored: Option<Vec<u8>>,
    computed: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct SignedHead {
    position: i64,
    link: Vec<u8>,
    key_id: String,
    signature: Vec<u8>,
}

/// Goes through the whole record and tells the first place that is wrong.
///
/// `known` is a head that was kept elsewhere: the chain must hold it still.
///
/// # Errors
/// The database's.
pub async fn verify(db: &PgPool, keys: &KeyRing, known: Option<&Head>) -> Result<Verdict, sqlx::Error> {
    let mut conn = db.acquire().await?;
    // All pages and the last head in one snapshot: sealing and dropping go on meanwhile.
    let mut tx = conn.begin_with("begin isolation level repeatable read read only").await?;
    let checkpoint = super::retention::newest(&mut tx).await?;
    let mut check = Check::from(checkpoint.as_ref());
    let mut finding = checkpoint.as_ref().and_then(|one| one.wrong(keys));
    let begins_after = check.position;
    let mut lines = 0;
    while finding.is_none() {
        let page = links_after(&mut tx, check.position).await?;
        let Some(end) = page.last().map(|line| line.position) else { break };
        let heads = heads_between(&mut tx, check.position, end).await?;
        let mut heads = heads.iter().peekable();
        for line in &page {
            finding = check.line(line);
            while finding.is_none() && heads.peek().is_some_and(|head| head.position <= line.position) {
                finding = heads.next().and_then(|head| check.head(head, keys));
            }
            if finding.is_some() {
                break;
            }
            lines += 1;
        }
    }
    if finding.is_none() {
        finding = check.end(&mut tx, known).await?;
    }
    let (waiting, bent): (i64, Option<i64>) = sqlx::query_as(
        "select count(*), min(sequence) filter (where a.digest is distinct from audit_digest(a))
         from audit a
         where not exists (select from audit_link l where l.sequence = a.sequence)",
    )
    .fetch_one(&mut *tx)
    .await?;
    if finding.is_none()
        && let Some(sequence) = bent
    {
        finding = Some(altered(check.position + 1, sequence));
    }
    tx.rollback().await?;
    Ok(Verdict {
        intact: finding.is_none(),
        lines,
        waiting: u64::try_from(waiting).unwrap_or(0),
        begins_after,
        head: Head { position: check.position, link: hex::encode(check.link) },
        finding,
    })
}

/// Where the check stands: everything up to here is as it was written.
struct Check {
    position: i64,
    link: Link,
    /// Of the last head that was right.
    signed_up_to: i64,
}

impl Check {
    fn from(checkpoint: Option<&Checkpoint>) -> Self {
        let position = checkpoint.map_or(0, |one| one.position);
        Self { position, link: checkpoint.map_or([0; 32], |one| to_link(&one.link)), signed_up_to: position }
    }

    fn line(&mut self, line: &Checked) -> Option<Finding> {
        let position = self.position + 1;
        if line.position != position {
            return Some(Finding {
                what: Tampering::Removed,
                position,
                sequence: None,
                detail: format!("The lines at the positions {position} to {} are gone.", line.position - 1),
            });
        }
        let (Some(stored), Some(computed)) = (&line.stored, &line.computed) else {
            return Some(Finding {
                what: Tampering::Removed,
                position,
                sequence: Some(line.sequence),
                detail: format!("The line with the sequence {} is gone.", line.sequence),
            });
        };
        if stored != computed {
            return Some(altered(position, line.sequence));
        }
        let link = next(&self.link, position, computed);
        if link.as_slice() != line.link {
            return Some(Finding {
                what: Tampering::Reordered,
                position,
                sequence: Some(line.sequence),
                detail: format!(
                    "The line with the sequence {} is not the one that was written at this place.",
                    line.sequence
                ),
            });
        }
        (self.position, self.link) = (position, link);
        None
    }

    fn head(&mut self, head: &SignedHead, keys: &KeyRing) -> Option<Finding> {
        let message = signed(self.position, &self.link);
        match keys.verify(&head.key_id, PURPOSE, &message, &head.signature) {
            Ok(true) if head.position == self.position && head.link == self.link => {
                self.signed_up_to = head.position;
                None
            }
            Ok(_) => Some(self.unsigned(head.position, "the signature is of another chain")),
            Err(error) => Some(self.unsigned(head.position, &error.to_string())),
        }
    }

    fn unsigned(&self, position: i64, why: &str) -> Finding {
        let from = self.signed_up_to + 1;
        Finding {
            what: Tampering::Unsigned,
            position: from,
            sequence: None,
            detail: format!("The positions {from} to {position} do not carry our signature: {why}."),
        }
    }

    async fn end(&self, conn: &mut PgConnection, known: Option<&Head>) -> Result<Option<Finding>, sqlx::Error> {
        let newest: i64 =
            sqlx::query_scalar("select coalesce(max(position), 0) from audit_head").fetch_one(&mut *conn).await?;
        let expected = newest.max(known.map_or(0, |head| head.position));
        if expected > self.position {
            return Ok(Some(Finding {
                what: Tampering::Cut,
                position: self.position + 1,
                sequence: None,
                detail: format!("The chain ends at {}, and went on to {expected}.", self.position),
            }));
        }
        if self.signed_up_to < self.position {
            return Ok(Some(self.unsigned(self.position, "there is no head after them")));
        }
        let Some(known) = known else { return Ok(None) };
        let there: Option<Vec<u8>> = sqlx::query_scalar("select link from audit_link where position = $1")
            .bind(known.position)
            .fetch_optional(&mut *conn)
            .await?;
        // One that retention dropped cannot be compared any more.
        let differs = there.is_some_and(|link| hex::encode(link) != known.link);
        Ok(differs.then(|| self.unsigned(known.position, "the head that was kept outside of the database is another")))
    }
}

fn altered(position: i64, sequence: i64) -> Finding {
    Finding {
        what: Tampering::Altered,
        position,
        sequence: Some(sequence),
        detail: format!("The line with the sequence {sequence} is not what was written."),
    }
}

async fn links_after(conn: &mut PgConnection, position: i64) -> Result<Vec<Checked>, sqlx::Error> {
    sqlx::query_as(
        "select l.position, l.sequence, l.link, a.digest as stored, case when a.sequence is not null then audit_digest(a) end as computed
         from audit_link l left join audit a using (sequence)
         where l.position > $1
         order by l.position
         limit $2",
    )
    .bind(position)
    .bind(BATCH)
    .fetch_all(conn)
    .await
}

async fn heads_between(conn: &mut PgConnection, after: i64, up_to: i64) -> Result<Vec<SignedHead>, sqlx::Error> {
    sqlx::query_as(
        "select position, link, key_id, signature
         from audit_head
         where position > $1 and position <= $2
         order by position",
    )
    .bind(after)
    .bind(up_to)
    .fetch_all(conn)
    .await
}

impl Checkpoint {
    /// What is wrong with it.
    fn wrong(&self, keys: &KeyRing) -> Option<Finding> {
        let link = to_link(&self.link);
        let verdict: Result<bool, SealError> =
            keys.verify(&self.key_id, super::retention::PURPOSE, &signed(self.position, &link), &self.signature);
        let why = match verdict {
            Ok(true) => return None,
            Ok(false) => "its signature is of another chain".to_owned(),
            Err(error) => error.to_string(),
        };
        Some(Finding {
            what: Tampering::Unsigned,
            position: self.position,
            sequence: None,
            detail: format!("The lines up to {} were not dropped by us: {why}.", self.position),
        })
    }
}
