//! `Run`: what one run over an upstream did.

use crate::base::{UpstreamId, UpstreamRunId};
use crate::catalog::Mirrored;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// How many rejected entries a run names.
const NAMED: usize = 50;
/// How many runs of an upstream are kept.
const KEPT: i64 = 200;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[schema(as = UpstreamRunState)]
pub enum RunState {
    Running,
    Succeeded,
    /// The upstream did not give what was asked for; the next run goes on from there.
    Failed,
    /// The program was stopped or killed, or the upstream was changed meanwhile; the next run goes on from there.
    Interrupted,
}

/// What one run over an upstream did.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UpstreamRun)]
pub struct Run {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub run_id: UpstreamRunId,
    #[serde(skip)]
    pub upstream_id: UpstreamId,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<OffsetDateTime>,
    pub state: RunState,
    /// Only what changed after this was asked for; absent: everything.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub since: Option<OffsetDateTime>,
    /// Whether it went on where a run before it had ended.
    pub resumed: bool,
    pub pages: i32,
    pub seen: i32,
    pub registered: i32,
    pub updated: i32,
    pub deleted: i32,
    pub unchanged: i32,
    /// Left out by the filter, or deleted before it ever came here.
    pub passed_over: i32,
    pub rejected: i32,
    /// Stored, and waiting for approval.
    pub waiting: i32,
    /// The first of those rejected, with reasons.
    #[schema(value_type = Vec<Rejection>)]
    pub rejections: Json<Vec<Rejection>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person should know though the run succeeded: above all what is gone upstream and was not deleted here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An entry that could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpstreamRejection)]
pub struct Rejection {
    pub name: String,
    pub version: String,
    pub reason: String,
}

impl Run {
    pub(super) fn begin(
        upstream: UpstreamId,
        since: Option<OffsetDateTime>,
        resumed: bool,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            run_id: UpstreamRunId::new(),
            upstream_id: upstream,
            started_at: now,
            ended_at: None,
            state: RunState::Running,
            since,
            resumed,
            pages: 0,
            seen: 0,
            registered: 0,
            updated: 0,
            deleted: 0,
            unchanged: 0,
            passed_over: 0,
            rejected: 0,
            waiting: 0,
            rejections: Json::default(),
            error: None,
            note: None,
        }
    }

    pub(super) fn count(&mut self, mirrored: Mirrored, waits: bool) {
        let counter = match mirrored {
            Mirrored::Registered => &mut self.registered,
            Mirrored::Updated => &mut self.updated,
            Mirrored::Deleted => &mut self.deleted,
            Mirrored::Unchanged => &mut self.unchanged,
            Mirrored::PassedOver => &mut self.passed_over,
        };
        *counter += 1;
        self.waiting += i32::from(waits);
    }

    pub(super) fn reject(&mut self, name: &str, version: &str, reason: String) {
        self.rejected += 1;
        if self.rejections.0.len() < NAMED {
            let short = |text: &str| text.chars().filter(|c| *c != '\0').take(300).collect();
            self.rejections.0.push(Rejection { name: short(name), version: short(version), reason: short(&reason) });
        }
    }

    /// How long it took, where it ended.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        self.ended_at.map(|end| (end - self.started_at).whole_seconds())
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select run_id, upstream_id, started_at, ended_at, state, since, resumed, pages, seen, registered, updated, deleted,
                    unchanged, passed_over, rejected, waiting, rejections, error, note
             from upstream_run ",
            $rest
        )
    };
}

/// Newest first.
pub(super) async fn list(conn: &mut PgConnection, upstream: UpstreamId, limit: i64) -> Result<Vec<Run>, sqlx::Error> {
    sqlx::query_as(select!("where upstream_id = $1 order by started_at desc, run_id desc limit $2"))
        .bind(upstream)
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// Stores a new run; those that say they run are over, and the oldest are dropped.
pub(super) async fn insert(conn: &mut PgConnection, run: &Run) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update upstream_run set state = 'interrupted', ended_at = $2 where upstream_id = $1 and state = 'running'",
    )
    .bind(run.upstream_id)
    .bind(run.started_at)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "delete from upstream_run
         where run_id in (select run_id from upstream_run where upstream_id = $1
                          order by started_at desc, run_id desc offset $2)",
    )
    .bind(run.upstream_id)
    .bind(KEPT - 1)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into upstream_run (run_id, upstream_id, started_at, state, since, resumed) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(run.run_id)
    .bind(run.upstream_id)
    .bind(run.started_at)
    .bind(run.state)
    .bind(run.since)
    .bind(run.resumed)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn update(conn: &mut PgConnection, run: &Run) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update upstream_run
         set ended_at = $2, state = $3, pages = $4, seen = $5, registered = $6, updated = $7, deleted = $8, unchanged = $9,
             passed_over = $10, rejected = $11, waiting = $12, rejections = $13, error = $14,
             note = $15
         where run_id = $1",
    )
    .bind(run.run_id)
    .bind(run.ended_at)
    .bind(run.state)
    .bind(run.pages)
    .bind(run.seen)
    .bind(run.registered)
    .bind(run.updated)
    .bind(run.deleted)
    .bind(run.unchanged)
    .bind(run.passed_over)
    .bind(run.rejected)
    .bind(run.waiting)
    .bind(&run.rejections)
    .bind(&run.error)
    .bind(&run.note)
    .execute(conn)
    .await?;
    Ok(())
}
