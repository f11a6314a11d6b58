//! The audit trail for those who read it: who may, filters, pages, and whether it is whole; and what tends it.
//!
//! Writing stands below (`audit/`), in the transaction of each deed. This is the handle above the actors: it asks for
//! [`Permission::ReadAudit`], at the instance for everything or in a workspace for its lines.

use crate::audit::{self, Filter, Record, Refusal, Refusals, chain};
use crate::auth::{Actor, Permission, Scope};
use crate::base::{Clock, Cursor, Database, KeyRing, Limit, Page, Problem};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often lines are linked and refusals written.
const TURN: Duration = Duration::from_secs(1);
/// How often old lines are looked for.
const RETENTION_TURN: Duration = Duration::from_secs(60 * 60);
/// How many lines an export takes at a time.
const EXPORTED: i64 = 1_000;

/// The verbs of the audit trail; cheap to clone.
#[derive(Clone)]
pub struct AuditTrail {
    db: Database,
    clock: Clock,
    keys: KeyRing,
    refusals: Refusals,
    /// Where the last head we made is kept, outside of the database.
    head_file: Arc<PathBuf>,
    /// How long lines are kept; for ever where not said.
    kept: Option<Duration>,
}

impl AuditTrail {
    #[must_use]
    pub fn new(db: Database, clock: Clock, keys: KeyRing, data_dir: &std::path::Path, kept: Option<Duration>) -> Self {
        let head_file = Arc::new(data_dir.join("audit-head.json"));
        Self { db, clock, keys, refusals: Refusals::default(), head_file, kept }
    }

    /// The lines that `filter` asks for and the actor may read, newest first.
    ///
    /// # Errors
    /// 401 or 403 for those who may read no line at all; 422 for a cursor that is none.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<Record>, Problem> {
        let reach = actor.audit_reach()?;
        let before: Option<i64> = match cursor {
            None => None,
            Some(cursor) => {
                Some(cursor.place().map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?)
            }
        };
        let most = i64::try_from(limit.0).unwrap_or(i64::MAX - 1);
        let mut items = audit::list(&mut *self.db.read.acquire().await?, &reach, filter, before, most + 1).await?;
        let more = items.len() > limit.0;
        items.truncate(limit.0);
        let next = items.last().filter(|_| more).map(|last| Cursor::of(&last.sequence));
        Ok(Page { items, total: None, next })
    }

    /// Refuses those who may read no line at all.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn require_reader(&self, actor: &Actor) -> Result<(), Problem> {
        actor.audit_reach().map(drop)
    }

    /// As [`AuditTrail::list`], in longer pieces and without a cursor: `before` is the last line of the piece before. The
    /// last piece is empty.
    ///
    /// # Errors
    /// As there.
    pub async fn export(&self, actor: &Actor, filter: &Filter, before: Option<i64>) -> Result<Vec<Record>, Problem> {
        let reach = actor.audit_reach()?;
        Ok(audit::list(&mut *self.db.read.acquire().await?, &reach, filter, before, EXPORTED).await?)
    }

    /// Goes through the whole record and tells whether it is as it was written.
    ///
    /// # Errors
    /// 401 or 403 for those who may not read the audit record of the whole instance.
    pub async fn verify(&self, actor: &Actor) -> Result<chain::Verdict, Problem> {
        actor.require(Permission::ReadAudit, Scope::Instance)?;
        let known = self.last_kept().await?;
        Ok(chain::verify(&self.db.read, &self.keys, known.as_ref()).await?)
    }

    /// The last head kept beside the database; none where none was kept yet. One that cannot be read is no proof that
    /// nothing was cut off, so it is told and not passed over.
    async fn last_kept(&self) -> Result<Option<chain::Head>, Problem> {
        let unreadable = |error: &dyn std::fmt::Display| {
            tracing::error!(error = %error, file = %self.head_file.display(), "The kept head of the audit record cannot be read");
            Problem::unavailable("Whether the end of the record was cut off cannot be told: the head kept beside the database cannot be read.")
                .with_help("Look at audit-head.json in the data directory; the log has the reason.")
        };
        match tokio::fs::read(&*self.head_file).await {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Drops the lines sealed more than `kept` ago, on behalf of `actor`; gives how many.
    ///
    /// # Errors
    /// 401 or 403 for those who may not manage the instance.
    pub async fn drop_older(&self, actor: &Actor, kept: Duration) -> Result<u64, Problem> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let now = self.clock.now();
        let dropped = audit::retention::drop_before(&self.db.write, &self.keys, now - kept, now).await?;
        if dropped > 0 {
            let mut tx = self.db.write.begin().await?;
            let subject = audit::Subject { name: "audit record", id: None, workspace: None };
            let after = serde_json::json!({"lines": dropped, "keptSeconds": kept.as_secs()});
            audit::record(&mut tx, now, &actor.trace(), "audit.drop", subject, None, Some(after)).await?;
            tx.commit().await?;
        }
        Ok(dropped)
    }

    /// Where refusals are noted, for a door that stands before the others.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Notes that somebody asked for what they may not; never waits.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals.note(refusal, self.clock.now());
    }

    /// Writes the refusals that are due and links what was committed.
    ///
    /// # Errors
    /// The database's; the next turn takes up what this one left.
    pub async fn tend(&self, ending: bool) -> Result<(), sqlx::Error> {
        let now = self.clock.now();
        self.refusals.write(&self.db.write, now, ending).await?;
        let mut newest = None;
        while let Some(head) = chain::seal(&self.db.write, &self.keys, now).await? {
            newest = Some(head);
        }
        if let Some(head) = newest {
            self.keep(&head).await;
        }
        Ok(())
    }

    /// Beside the database, so that who cuts off its end can be found out. A disk that is full stops nothing here.
    async fn keep(&self, head: &chain::Head) {
        let part = self.head_file.with_extension("part");
        let text = serde_json::to_vec(head).expect("a head is plain data");
        let kept = async {
            if let Some(folder) = self.head_file.parent() {
                tokio::fs::create_dir_all(folder).await?;
            }
            tokio::fs::write(&part, text).await?;
            tokio::fs::rename(&part, &*self.head_file).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(error = %error, "The head of the audit record could not be kept in the data directory");
        }
    }

    /// Tends the record until `stop`, over outages of the database.
    pub async fn run(self, stop: CancellationToken) {
        let mut looked = self.clock.now() - RETENTION_TURN;
        while !stop.is_cancelled() {
            if let Err(error) = self.tend(false).await {
                tracing::warn!(error = %error, "The audit record could not be linked; trying again");
            }
            if let Some(kept) = self.kept.filter(|_| self.clock.now() - looked >= RETENTION_TURN) {
                looked = self.clock.now();
                match self.drop_older(&Actor::system("retention"), kept).await {
                    Ok(0) => {}
                    Ok(lines) => tracing::info!(lines, "Dropped old lines of the audit record"),
                    Err(problem) => tracing::warn!(problem = %problem, "Old lines of the audit record stay"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
        if let Err(error) = self.tend(true).await {
            tracing::warn!(error = %error, "The last refusals were not written");
        }
    }
}

/// Whether the actor may read any line.
#[must_use]
pub fn may_read(actor: &Actor) -> bool {
    actor.audit_reach().is_ok()
}
