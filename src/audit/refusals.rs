//! What was refused for lack of a permission: noted in memory while the request is answered, written beside it.
//!
//! A refusal is not a deed, so it may be written a moment later; and it costs a stranger nothing to be refused, so the
//! number of lines is bounded. The same refusal of the same actor within a minute is one line when it happens first and
//! one more, with their number, when the minute is over. Of more than [`DISTINCT`] different ones a minute only the number
//! is written. At most some 240 lines a minute follow from it, whatever strangers do.

use super::{Subject, Trace, insert};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;

/// How long equal refusals are counted into one line.
const WINDOW: Duration = Duration::from_secs(60);
/// How many different refusals of one window are written each.
const DISTINCT: usize = 120;
/// What is kept of a path, in bytes.
const LONGEST: usize = 300;

/// A permission that was asked for and not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub trace: Trace,
    /// `POST /api/v1/workspaces/{workspace}/assets`.
    pub route: String,
    pub path: String,
    /// The name of the workspace in the path, where there is one.
    pub workspace: Option<String>,
    pub status: u16,
    /// The kind of the problem that was answered.
    pub kind: String,
}

/// The refusals that are not written yet; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    by_key: HashMap<Key, Counted>,
    /// Refusals of the running window beyond the first [`DISTINCT`] different ones.
    beyond: u64,
    beyond_since: Option<OffsetDateTime>,
}

/// Actor or, without one, address; credential; route; status.
type Key = (String, Option<String>, String, u16);

#[derive(Debug)]
struct Counted {
    first: Refusal,
    since: OffsetDateTime,
    /// Not written yet.
    count: u64,
    /// Whether a line stands for it.
    told: bool,
}

impl Refusals {
    /// Notes a refusal; never waits for the database.
    pub fn note(&self, mut refusal: Refusal, now: OffsetDateTime) {
        cut(&mut refusal.path);
        cut(&mut refusal.route);
        let who = refusal.trace.actor_id.clone().unwrap_or_else(|| refusal.trace.actor.clone());
        let who = match (&refusal.trace.credential, refusal.trace.address) {
            (None, Some(address)) => format!("{who} {address}"),
            _ => who,
        };
        let key = (who, refusal.trace.credential.clone(), refusal.route.clone(), refusal.status);
        let mut pending = self.0.lock().expect("no holder of this lock can panic");
        if let Some(counted) = pending.by_key.get_mut(&key) {
            counted.count += 1;
        } else if pending.by_key.len() < DISTINCT {
            pending.by_key.insert(key, Counted { first: refusal, since: now, count: 1, told: false });
        } else {
            pending.beyond += 1;
            pending.beyond_since.get_or_insert(now);
        }
    }

    /// Writes what is due at `now`: what is new at once, the rest of a minute when it is over. `all` writes everything, for
    /// the end of the process.
    ///
    /// # Errors
    /// The database's; what could not be written is kept, within the same bounds.
    pub async fn write(&self, db: &PgPool, now: OffsetDateTime, all: bool) -> Result<(), sqlx::Error> {
        let due = self.due(now, all);
        if due.is_empty() {
            return Ok(());
        }
        let outcome = write(db, now, &due).await;
        if outcome.is_err() {
            self.give_back(due);
        }
        outcome
    }

    fn due(&self, now: OffsetDateTime, all: bool) -> Vec<Due> {
        let mut pending = self.0.lock().expect("no holder of this lock can panic");
        let mut due = Vec::new();
        pending.by_key.retain(|_, counted| {
            let over = now >= counted.since + WINDOW;
            if counted.count > 0 && (!counted.told || over || all) {
                due.push(Due { refusal: counted.first.clone(), since: counted.since, count: counted.count });
                counted.count = 0;
                counted.told = true;
            }
            !over
        });
        if let Some(since) = pending.beyond_since.filter(|since| all || now >= *since + WINDOW) {
            let refusal = Refusal {
                trace: Trace { actor: "several".to_owned(), ..Trace::default() },
                route: "further routes".to_owned(),
                path: "further refusals, not listed singly".to_owned(),
                workspace: None,
                status: 403,
                kind: "forbidden".to_owned(),
            };
            due.push(Due { refusal, since, count: pending.beyond });
            (pending.beyond, pending.beyond_since) = (0, None);
        }
        due
    }

    /// What could not be written is only counted on: the lines would be wrong in number, not in kind.
    fn give_back(&self, due: Vec<Due>) {
        let mut pending = self.0.lock().expect("no holder of this lock can panic");
        for one in due {
            pending.beyond += one.count;
            let since = pending.beyond_since.map_or(one.since, |since| since.min(one.since));
            pending.beyond_since = Some(since);
        }
    }
}

struct Due {
    refusal: Refusal,
    since: OffsetDateTime,
    count: u64,
}

async fn write(db: &PgPool, now: OffsetDateTime, due: &[Due]) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    for Due { refusal, since, count } in due {
        let workspace = match &refusal.workspace {
            None => None,
            Some(name) => {
                sqlx::query_scalar("select workspace_id from workspace where name = $1")
                    .bind(name)
                    .fetch_optional(&mut *tx)
                    .await?
            }
        };
        let subject = Subject { name: &refusal.path, id: None, workspace };
        let after: Value = json!({
            "route": refusal.route, "status": refusal.status, "kind": refusal.kind, "count": count,
            "since": since.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
        });
        insert(&mut tx, now, "refused", &refusal.trace, VERB, subject, (None, Some(after))).await?;
    }
    tx.commit().await
}

/// The verb of a refusal's line.
const VERB: &str = "access.refuse";

fn cut(text: &mut String) {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn refusal(actor: &str, route: &str) -> Refusal {
        Refusal {
            trace: Trace { actor: actor.to_owned(), ..Trace::default() },
            route: route.to_owned(),
            path: "/x".to_owned(),
            workspace: None,
            status: 403,
            kind: "forbidden".to_owned(),
        }
    }

    #[test]
    fn equal_refusals_of_a_minute_are_two_lines_and_many_different_ones_are_bounded() {
        let (refusals, begun) = (Refusals::default(), datetime!(2026-01-01 00:00 UTC));
        let later = |seconds| begun + Duration::from_secs(seconds);

        refusals.note(refusal("a", "GET /keys"), begun);
        assert_eq!(refusals.due(later(1), false).len(), 1, "the first at once");
        for _ in 0..1_000 {
            refusals.note(refusal("a", "GET /keys"), later(2));
        }
        assert!(refusals.due(later(3), false).is_empty(), "the rest waits");
        let rest = refusals.due(later(60), false);
        assert_eq!((rest.len(), rest[0].count), (1, 1_000));

        for number in 0..10_000 {
            refusals.note(refusal(&format!("actor {number}"), "GET /keys"), later(61));
        }
        let lines = refusals.due(later(200), false);
        assert_eq!(lines.len(), DISTINCT + 1);
        assert_eq!(lines.iter().map(|line| line.count).sum::<u64>(), 10_000, "all are counted");
        assert!(refusals.due(later(400), true).is_empty());
    }
}
