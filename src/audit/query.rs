//! Reading the record: which lines are asked for, and which of them the asker may read.

use super::Record;
use crate::base::WorkspaceId;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use time::OffsetDateTime;

/// Whose lines may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Everything,
    /// Lines of these workspaces only.
    Workspaces(Vec<WorkspaceId>),
}

/// Which lines are wanted; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// An actor as it is written, its lasting id, its name alone, or the id of its key or session.
    pub who: Option<String>,
    /// A verb (`asset.register`), or a noun for all its verbs (`asset`).
    pub verb: Option<String>,
    /// The name of what was acted on, whole.
    pub subject: Option<String>,
    pub workspace: Option<String>,
    /// `done` or `refused`.
    pub outcome: Option<String>,
    pub from: Option<OffsetDateTime>,
    /// Lines before this moment.
    pub to: Option<OffsetDateTime>,
    pub request_id: Option<String>,
}

/// The lines within `reach` that `filter` asks for, newest first, from before the line `before` on, at most `limit`.
///
/// # Errors
/// The database's.
pub async fn list(
    conn: &mut PgConnection,
    reach: &Reach,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Record>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "select a.sequence, a.at, a.outcome, a.actor, a.actor_id, a.credential, a.address, a.verb, a.subject,
                w.name as workspace, a.before, a.after, a.request_id
         from audit a left join workspace w using (workspace_id)
         where true",
    );
    if let Reach::Workspaces(workspaces) = reach {
        query.push(" and a.workspace_id = any(").push_bind(workspaces.clone()).push(")");
    }
    if let Some(who) = &filter.who {
        query.push(" and (a.actor = ").push_bind(who);
        query.push(" or a.actor_id = ").push_bind(who);
        query.push(" or a.credential = ").push_bind(who);
        // `user anna with key laptop` is found by `anna` and by `laptop`, and not by `ann`.
        query.push(" or strpos(' ' || a.actor || ' ', ' ' || ").push_bind(who).push("::text || ' ') > 0)");
    }
    if let Some(verb) = &filter.verb {
        if verb.contains('.') {
            query.push(" and a.verb = ").push_bind(verb);
        } else {
            query.push(" and split_part(a.verb, '.', 1) = ").push_bind(verb);
        }
    }
    for (column, wanted) in [
        ("a.subject", &filter.subject),
        ("w.name", &filter.workspace),
        ("a.outcome", &filter.outcome),
        ("a.request_id", &filter.request_id),
    ] {
        if let Some(wanted) = wanted {
            query.push(" and ").push(column).push(" = ").push_bind(wanted);
        }
    }
    if let Some(from) = filter.from {
        query.push(" and a.at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" and a.at < ").push_bind(to);
    }
    if let Some(before) = before {
        query.push(" and a.sequence < ").push_bind(before);
    }
    query.push(" order by a.sequence desc limit ").push_bind(limit);
    query.build_query_as().fetch_all(conn).await
}
