//! `Upstream`: a registry or file whose servers a workspace takes over.

use super::filter::{Filter, Rule};
use crate::base::{Problem, Slug, UpstreamId, UpstreamRunId, WorkspaceId};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What an upstream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[schema(as = UpstreamKind)]
pub enum Kind {
    /// An MCP registry, at the address before `/v0.1`.
    #[default]
    Registry,
    /// A file of registry entries: a list as registries give it, an array, or one a line.
    File,
}

/// A registry or file whose servers a workspace takes over.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub upstream_id: UpstreamId,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    #[schema(value_type = String)]
    pub name: Slug,
    pub kind: Kind,
    pub url: String,
    /// How long after a run the next one starts.
    pub every_minutes: i32,
    /// How far before the start of the last scan the next one looks back.
    pub overlap_minutes: i32,
    pub is_paused: bool,
    #[schema(value_type = Filter)]
    pub filter: Json<Filter>,
    /// What needs nobody's approval: one of these rules suffices.
    #[schema(value_type = Vec<Rule>)]
    pub approve: Json<Vec<Rule>>,
    /// When the last scan that came to its end began.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub mark: Option<OffsetDateTime>,
    #[serde(skip)]
    pub scan_cursor: Option<String>,
    #[serde(skip)]
    pub scan_since: Option<OffsetDateTime>,
    #[serde(skip)]
    pub scan_started_at: Option<OffsetDateTime>,
    #[serde(skip)]
    pub run_id: Option<UpstreamRunId>,
    /// Runs that failed one after the other.
    pub failures: i32,
    /// Versions that are no longer there by the last reading of everything, and were not deleted because they are too many:
    /// somebody has to say so.
    pub missing: i32,
    #[serde(skip)]
    pub may_delete: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub next_run_at: OffsetDateTime,
    #[serde(skip)]
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// An upstream to make, or what to change of one: what is absent stays, or gets its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpstreamInput {
    #[schema(value_type = Option<String>, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: Option<Slug>,
    /// `registry` where not said.
    pub kind: Option<Kind>,
    #[schema(max_length = 2000)]
    pub url: Option<String>,
    /// 60 where not said.
    #[schema(minimum = 1, maximum = 44640)]
    pub every_minutes: Option<i32>,
    /// 15 where not said.
    #[schema(minimum = 0, maximum = 1440)]
    pub overlap_minutes: Option<i32>,
    pub is_paused: Option<bool>,
    pub filter: Option<Filter>,
    #[schema(max_items = 200)]
    pub approve: Option<Vec<Rule>>,
}

impl Upstream {
    /// A new one, due at once.
    pub(super) fn of(workspace: WorkspaceId, input: UpstreamInput, now: OffsetDateTime) -> Result<Self, Problem> {
        let need = |location: &str| Problem::invalid_field(location, "say it");
        let name = input.name.clone().ok_or_else(|| need("body.name"))?;
        let url = input.url.clone().ok_or_else(|| need("body.url"))?;
        let blank = Self {
            upstream_id: UpstreamId::new(),
            workspace_id: workspace,
            name,
            kind: Kind::default(),
            url,
            every_minutes: 60,
            overlap_minutes: 15,
            is_paused: false,
            filter: Json::default(),
            approve: Json::default(),
            mark: None,
            scan_cursor: None,
            scan_since: None,
            scan_started_at: None,
            run_id: None,
            failures: 0,
            missing: 0,
            may_delete: 0,
            next_run_at: now,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        blank.patched(input, now)
    }

    /// As `input` changes it. Where it leads elsewhere or takes other things, everything is asked for again.
    pub(super) fn patched(mut self, input: UpstreamInput, now: OffsetDateTime) -> Result<Self, Problem> {
        if input.name.as_ref().is_some_and(|name| *name != self.name) {
            return Err(Problem::invalid_field("body.name", "an upstream keeps its name; make a new one instead"));
        }
        let before = (self.kind, self.url.clone(), self.filter.clone());
        self.kind = input.kind.unwrap_or(self.kind);
        if let Some(url) = input.url {
            let legal =
                url.len() <= 2_000 && url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !legal {
                return Err(Problem::invalid_field("body.url", "must be an absolute http or https URL"));
            }
            self.url = url;
        }
        self.every_minutes =
            within("body.everyMinutes", input.every_minutes.unwrap_or(self.every_minutes), 1..=44_640)?;
        self.overlap_minutes =
            within("body.overlapMinutes", input.overlap_minutes.unwrap_or(self.overlap_minutes), 0..=1_440)?;
        self.is_paused = input.is_paused.unwrap_or(self.is_paused);
        if let Some(filter) = input.filter {
            let words = filter.namespaces.iter().map(String::as_str).chain(filter.search.as_deref());
            short("body.filter", filter.namespaces.len(), words)?;
            self.filter = Json(filter);
        }
        if let Some(rules) = input.approve {
            let words = rules.iter().flat_map(|rule| [&rule.namespace, &rule.publisher, &rule.licence]);
            short("body.approve", rules.len(), words.filter_map(|word| word.as_deref()))?;
            self.approve = Json(rules);
        }
        if before != (self.kind, self.url.clone(), self.filter.clone()) {
            self.begin_anew(now);
        }
        Ok(self)
    }

    /// Forgets how far it was: the next run asks for everything, and is due. A run under way ends.
    pub(super) fn begin_anew(&mut self, now: OffsetDateTime) {
        self.run_id = None;
        self.mark = None;
        self.scan_cursor = None;
        self.scan_since = None;
        self.scan_started_at = None;
        self.may_delete = 0;
        self.next_run_at = now;
    }
}

fn within(location: &str, value: i32, range: std::ops::RangeInclusive<i32>) -> Result<i32, Problem> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Problem::invalid_field(location, format!("must be between {} and {}", range.start(), range.end())))
}

fn short<'a>(location: &str, count: usize, words: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let mut words = words;
    if count > 200 || words.any(|word| word.len() > 200 || word.contains('\0')) {
        return Err(Problem::invalid_field(location, "at most 200 of at most 200 characters each"));
    }
    Ok(())
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select upstream_id, workspace_id, name, kind, url, every_minutes, overlap_minutes, is_paused, filter, approve,
                    mark, scan_cursor, scan_since, scan_started_at, run_id, failures, missing, may_delete, next_run_at, revision,
                    created_at, updated_at
             from upstream ",
            $rest
        )
    };
}

pub(super) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    name: &str,
) -> Result<Option<Upstream>, sqlx::Error> {
    sqlx::query_as(select!("where workspace_id = $1 and name = $2"))
        .bind(workspace)
        .bind(name)
        .fetch_optional(conn)
        .await
}

pub(super) async fn find_by_id(conn: &mut PgConnection, id: UpstreamId) -> Result<Option<Upstream>, sqlx::Error> {
    sqlx::query_as(select!("where upstream_id = $1 for update")).bind(id).fetch_optional(conn).await
}

pub(super) async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Upstream>, sqlx::Error> {
    sqlx::query_as(select!("where workspace_id = $1 order by name")).bind(workspace).fetch_all(conn).await
}

/// Those whose time has come, the longest due first.
pub(super) async fn due(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Vec<UpstreamId>, sqlx::Error> {
    sqlx::query_scalar(
        "select upstream_id from upstream u join workspace w using (workspace_id)
         where not u.is_paused and u.next_run_at <= $1 and w.deleted_at is null
         order by u.next_run_at, u.upstream_id",
    )
    .bind(now)
    .fetch_all(conn)
    .await
}

/// Stores a new one; false when the name is taken.
pub(super) async fn insert(conn: &mut PgConnection, upstream: &Upstream) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "insert into upstream (upstream_id, workspace_id, name, kind, url, every_minutes, overlap_minutes, is_paused, filter,
                               approve, next_run_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
         on conflict on constraint upstream_name_key do nothing",
    )
    .bind(upstream.upstream_id)
    .bind(upstream.workspace_id)
    .bind(&upstream.name)
    .bind(upstream.kind)
    .bind(&upstream.url)
    .bind(upstream.every_minutes)
    .bind(upstream.overlap_minutes)
    .bind(upstream.is_paused)
    .bind(&upstream.filter)
    .bind(&upstream.approve)
    .bind(upstream.next_run_at)
    .bind(upstream.created_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what people change, and how far it is; counts the revision up.
pub(super) async fn update(conn: &mut PgConnection, upstream: &Upstream) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update upstream
         set kind = $2, url = $3, every_minutes = $4, overlap_minutes = $5, is_paused = $6, filter = $7, approve = $8,
             mark = $9, scan_cursor = $10, scan_since = $11, scan_started_at = $12, next_run_at = $13, updated_at = $14,
             run_id = $15, may_delete = $16, revision = revision + 1
         where upstream_id = $1",
    )
    .bind(upstream.upstream_id)
    .bind(upstream.kind)
    .bind(&upstream.url)
    .bind(upstream.every_minutes)
    .bind(upstream.overlap_minutes)
    .bind(upstream.is_paused)
    .bind(&upstream.filter)
    .bind(&upstream.approve)
    .bind(upstream.mark)
    .bind(&upstream.scan_cursor)
    .bind(upstream.scan_since)
    .bind(upstream.scan_started_at)
    .bind(upstream.next_run_at)
    .bind(upstream.updated_at)
    .bind(upstream.run_id)
    .bind(upstream.may_delete)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes how far a scan is; nobody's change, so the revision stays.
pub(super) async fn set_progress(conn: &mut PgConnection, upstream: &Upstream) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update upstream
         set mark = $2, scan_cursor = $3, scan_since = $4, scan_started_at = $5, run_id = $6, failures = $7, next_run_at = $8
         where upstream_id = $1",
    )
    .bind(upstream.upstream_id)
    .bind(upstream.mark)
    .bind(&upstream.scan_cursor)
    .bind(upstream.scan_since)
    .bind(upstream.scan_started_at)
    .bind(upstream.run_id)
    .bind(upstream.failures)
    .bind(upstream.next_run_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what the reading of everything by this run left undeleted; what a person allowed is used up with it.
pub(super) async fn set_missing(
    conn: &mut PgConnection,
    id: UpstreamId,
    run: UpstreamRunId,
    missing: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query("update upstream set missing = $3, may_delete = 0 where upstream_id = $1 and run_id = $2")
        .bind(id)
        .bind(run)
        .bind(missing)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn delete(conn: &mut PgConnection, id: UpstreamId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from upstream where upstream_id = $1").bind(id).execute(conn).await?;
    Ok(())
}
