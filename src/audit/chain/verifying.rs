//! Verifying: the record is gone through, and the first place named at which it is not what was written.

use super::{BATCH, Finding, Head, Link, PURPOSE, Tampering, Verdict, next, signed, to_link};
use crate::audit::retention::{self, Checkpoint};
use crate::base::{KeyRing, SealError};
use sqlx::{Connection, PgConnection, PgPool};

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
    let checkpoint = retention::newest(&mut tx).await?;
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
            keys.verify(&self.key_id, retention::PURPOSE, &signed(self.position, &link), &self.signature);
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
