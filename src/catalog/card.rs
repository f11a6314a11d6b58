//! `Card`: the small picture of an asset that lists and search results show, and the fuller one that search indexes.

use super::{Kind, Sight, Stage, Status, Visibility};
use crate::auth::BindSight;
use crate::base::{AssetId, WorkspaceId};
use crate::wire::Icon;
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::query::QueryAs;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Postgres, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An asset with what its latest version adds, small enough for lists.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub asset_id: AssetId,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    /// The workspace's name.
    pub workspace: String,
    pub name: String,
    #[serde(skip)]
    pub registry_name: String,
    pub kind: Kind,
    pub title: String,
    pub summary: String,
    pub visibility: Visibility,
    #[serde(skip)]
    pub shared_with: Vec<String>,
    /// False while it waits for its first approval; only its workspace sees it then.
    pub is_approved: bool,
    pub tags: Vec<String>,
    pub owners: Vec<String>,
    /// Of the latest version, as the four below; absent when all versions are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_name: Option<String>,
    /// How many operations or tools it has.
    pub operations: i64,
    /// `streamable-http`, `sse`, `stdio` for MCP servers.
    pub transports: Vec<String>,
    /// Names of the environments it runs in.
    pub environments: Vec<String>,
    #[schema(value_type = Vec<Icon>)]
    pub icons: Json<Vec<Icon>>,
    #[schema(value_type = Object)]
    pub metadata: Json<Map<String, Value>>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select a.asset_id, a.workspace_id, w.name as workspace, a.name, a.registry_name, a.kind, a.title, a.summary,
                    a.visibility, a.shared_with, a.is_approved, a.tags, a.owners, v.name as version, v.stage, v.status, v.format_name,
                    (select count(*) from operation o where o.version_id = v.version_id) as operations,
                    array(select distinct t from (
                              select d.transport as t from deployment d
                              where d.version_id = v.version_id and d.deleted_at is null and d.transport <> ''
                              union all
                              select p #>> '{transport,type}' from jsonb_path_query(v.server::jsonb, '$.packages[*]') p
                          ) every_transport where t is not null order by t) as transports,
                    array(select distinct e.name from deployment d join environment e using (environment_id)
                          where d.version_id = v.version_id and d.deleted_at is null order by e.name) as environments,
                    a.icons, a.metadata, a.created_at, a.updated_at
             from asset a
             join workspace w using (workspace_id)
             left join version v on v.asset_id = a.asset_id and v.is_latest and v.status <> 'deleted' ",
            $rest
        )
    };
}

/// The cards of those `ids` that `sight` may see, in no order.
pub(super) async fn load_many(
    conn: &mut PgConnection,
    ids: &[AssetId],
    sight: &Sight,
) -> Result<Vec<Card>, sqlx::Error> {
    sqlx::query_as(select!(
        "where a.asset_id = any($6) and a.deleted_at is null and w.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)"
    ))
    .bind_sight(sight)
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// The cards under this name, in whatever workspace, that `sight` may see; the registry's name counts too.
// The registry's name is the name, or the workspace and the name: its index answers for both.
pub(super) async fn named(conn: &mut PgConnection, sight: &Sight, name: &str) -> Result<Vec<Card>, sqlx::Error> {
    sqlx::query_as(select!(
        "where a.registry_name = any(array[$6] || array(select one.name || '/' || $6 from workspace one))
           and a.deleted_at is null and w.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)
         order by w.name
         limit 20"
    ))
    .bind_sight(sight)
    .bind(name)
    .fetch_all(conn)
    .await
}

/// How a list is narrowed; absent: not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CardFilter {
    pub workspace: Option<String>,
    pub kind: Option<Kind>,
    pub tag: Option<String>,
    pub owner: Option<String>,
    pub stage: Option<Stage>,
}

/// Newest change first; `before` is the last card of the page before.
pub(super) async fn list(
    conn: &mut PgConnection,
    sight: &Sight,
    filter: &CardFilter,
    before: Option<(OffsetDateTime, AssetId)>,
    limit: i64,
) -> Result<Vec<Card>, sqlx::Error> {
    let narrowed = filter.conditions();
    let after = if before.is_some() { " and (a.updated_at, a.asset_id) < ($11, $12)" } else { "" };
    // First which, then what of them: the page is read along its index, however the planner guesses.
    let sql = select!("where a.asset_id = any(array(").to_owned()
        + &format!(
            "select a.asset_id from asset a where {narrowed}{after}
             order by a.updated_at desc, a.asset_id desc limit $13"
        )
        + ")) order by a.updated_at desc, a.asset_id desc";
    asked(sql, sight, filter)
        .bind(before.map(|(at, _)| at))
        .bind(before.map(|(_, id)| id))
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// How many the filter leaves of what `sight` may see.
pub(super) async fn count(conn: &mut PgConnection, sight: &Sight, filter: &CardFilter) -> Result<i64, sqlx::Error> {
    let sql = format!("select count(*) from asset a where {}", filter.conditions());
    let (count,): (i64,) = asked(sql, sight, filter).fetch_one(conn).await?;
    Ok(count)
}

/// Asks with what [`CardFilter::conditions`] speaks of.
fn asked<'q, O>(
    sql: String,
    sight: &'q Sight,
    filter: &'q CardFilter,
) -> QueryAs<'q, Postgres, O, <Postgres as sqlx::Database>::Arguments>
where
    O: for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_as(AssertSqlSafe(sql))
        .bind_sight(sight)
        .bind(&filter.workspace)
        .bind(filter.kind)
        .bind(&filter.tag)
        .bind(&filter.owner)
        .bind(filter.stage)
}

impl CardFilter {
    /// What holds of an asset `a` that is seen ($1 to $5) and that the filter ($6 to $10) leaves. Only what is asked for
    /// is said: a planner that meets every condition with its absence expects next to nothing, and sorts everything.
    fn conditions(&self) -> String {
        let asked = [
            (self.workspace.is_some(), "a.workspace_id = (select workspace_id from workspace where name = $6)"),
            (self.kind.is_some(), "a.kind = $7"),
            (self.tag.is_some(), "$8 = any(a.tags)"),
            (self.owner.is_some(), "$9 = any(a.owners)"),
            (
                self.stage.is_some(),
                "exists (select from version v
                         where v.asset_id = a.asset_id and v.is_latest and v.status <> 'deleted' and v.stage = $10)",
            ),
        ];
        let mut conditions = "a.deleted_at is null
             and a.workspace_id not in (select workspace_id from workspace where deleted_at is not null)
             and asset_visible(a, $1, $2, $3, $4, $5)"
            .to_owned();
        for (_, condition) in asked.iter().filter(|(is_asked, _)| *is_asked) {
            conditions += " and ";
            conditions += condition;
        }
        conditions
    }
}

/// How many assets of each kind `sight` may see, most first.
pub(super) async fn count_by_kind(conn: &mut PgConnection, sight: &Sight) -> Result<Vec<(Kind, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select a.kind, count(*)
         from asset a join workspace w using (workspace_id)
         where a.deleted_at is null and w.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)
         group by a.kind
         order by count(*) desc, a.kind",
    )
    .bind_sight(sight)
    .fetch_all(conn)
    .await
}

/// How many operations and tools the latest versions have of what `sight` may see.
pub(super) async fn count_operations(conn: &mut PgConnection, sight: &Sight) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*)
         from operation o
         join version v using (version_id)
         join asset a using (asset_id)
         join workspace w using (workspace_id)
         where v.is_latest and v.status <> 'deleted' and a.deleted_at is null and w.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)",
    )
    .bind_sight(sight)
    .fetch_one(conn)
    .await
}

/// Everything search needs of an asset: its card, its description, and its operations without their schemas.
#[derive(Clone, Debug, PartialEq)]
pub struct Searchable {
    pub card: Card,
    pub description: String,
    pub operations: Vec<SearchableOperation>,
}

/// The words of one operation.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SearchableOperation {
    #[sqlx(rename = "operation")]
    pub name: String,
    pub title: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub summary: Option<String>,
    pub description: Option<String>,
}

#[derive(sqlx::FromRow)]
struct OperationOf {
    asset_id: AssetId,
    #[sqlx(flatten)]
    operation: SearchableOperation,
}

/// The live ones of `ids`, whoever may see them, in no order.
pub(super) async fn searchable(conn: &mut PgConnection, ids: &[AssetId]) -> Result<Vec<Searchable>, sqlx::Error> {
    let everything = Sight::of_everything();
    let cards = load_many(&mut *conn, ids, &everything).await?;
    let mut descriptions: std::collections::HashMap<AssetId, String> =
        sqlx::query_as("select asset_id, description from asset where asset_id = any($1)")
            .bind(ids)
            .fetch_all(&mut *conn)
            .await?
            .into_iter()
            .collect();
    let rows: Vec<OperationOf> = sqlx::query_as(
        "select v.asset_id, o.name as operation, o.title, o.method, o.path, o.summary, o.description
         from version v join operation o using (version_id)
         where v.asset_id = any($1) and v.is_latest and v.status <> 'deleted'
         order by v.asset_id, o.position",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut operations: std::collections::HashMap<AssetId, Vec<SearchableOperation>> = std::collections::HashMap::new();
    for row in rows {
        operations.entry(row.asset_id).or_default().push(row.operation);
    }
    Ok(cards
        .into_iter()
        .map(|card| Searchable {
            description: descriptions.remove(&card.asset_id).unwrap_or_default(),
            operations: operations.remove(&card.asset_id).unwrap_or_default(),
            card,
        })
        .collect())
}

/// Those that `sight` may see and whose words hold every one of `words`, whatever their case; newest change first.
///
/// Plain text comparison over the whole table: for the time in which no index answers.
pub(super) async fn containing(
    conn: &mut PgConnection,
    sight: &Sight,
    words: &[String],
    limit: i64,
) -> Result<Vec<Card>, sqlx::Error> {
    let patterns: Vec<_> = words.iter().map(|word| format!("%{}%", escape_like(word))).collect();
    sqlx::query_as(select!(
        "where a.deleted_at is null and w.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)
           and (a.name || ' ' || a.title || ' ' || a.summary || ' ' || array_to_string(a.tags, ' ')) ilike all ($6)
         order by a.updated_at desc, a.asset_id desc
         limit $7"
    ))
    .bind_sight(sight)
    .bind(patterns)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The text as itself within a `like` pattern.
fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
