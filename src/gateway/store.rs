//! The settings in Postgres: read whole, written thing by thing.

use super::cache::Purge;
use super::settings::{Book, Owner, Reach, Section, Settings, Thing, label};
use crate::base::{AssetId, SealedBox, Slug, WorkspaceId};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// The channel on which a commit tells all replicas that settings changed.
pub const CHANNEL: &str = "wharfinger_gateway";

/// Any number that nothing else locks; this one spells "gate".
const WRITE_LOCK: i64 = 0x67_61_74_65;

/// What tells one state of the settings from another: their generation, and what of the workspaces they depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct State {
    pub generation: i64,
    pub workspaces: i64,
    pub newest_workspace: Option<OffsetDateTime>,
}

/// The stored state; one small statement, asked by every replica once a second.
pub async fn state(conn: &mut PgConnection) -> Result<State, sqlx::Error> {
    sqlx::query_as(
        "select (select generation from gateway_generation) as generation,
                (select count(*) from workspace where deleted_at is null) as workspaces,
                (select max(updated_at) from workspace) as newest_workspace",
    )
    .fetch_one(conn)
    .await
}

/// Makes this transaction the only one that writes settings: each is checked against all others.
pub async fn hold(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(WRITE_LOCK).execute(conn).await.map(|_| ())
}

#[derive(sqlx::FromRow)]
struct Row {
    entry_id: Uuid,
    section: String,
    workspace_id: Option<WorkspaceId>,
    workspace: Option<Slug>,
    name: String,
    settings: Value,
    revision: i64,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// A row that does not read as what it should be: a newer release wrote it, or somebody else.
#[derive(Debug)]
pub struct Unread {
    pub id: Uuid,
    /// None of a sort that this release does not know.
    pub section: Option<Section>,
    pub owner: Owner,
    pub name: String,
    /// `policy team/strict`.
    pub label: String,
    pub reason: String,
    /// Of a policy: whether it acts on routes that do not name it. True where that cannot be told.
    pub reaches_all: bool,
}

/// All settings; beside them the rows that do not read.
pub async fn load(conn: &mut PgConnection) -> Result<(Book, Vec<Unread>), sqlx::Error> {
    let generation = state(&mut *conn).await?.generation;
    let workspaces: Vec<(WorkspaceId, Slug)> =
        sqlx::query_as("select workspace_id, name from workspace where deleted_at is null order by name")
            .fetch_all(&mut *conn)
            .await?;
    let rows: Vec<Row> = sqlx::query_as(
        "select e.entry_id, e.section, e.workspace_id, w.name as workspace, e.name, e.settings, e.revision, e.created_at,
                e.updated_at
         from gateway_entry e left join workspace w on w.workspace_id = e.workspace_id
         where w.deleted_at is null
         order by e.entry_id",
    )
    .fetch_all(conn)
    .await?;

    let (mut things, mut unread) = (Vec::new(), Vec::new());
    for row in rows {
        let owner = match (row.workspace_id, row.workspace) {
            (Some(id), Some(name)) => Owner::Workspace { id, name },
            _ => Owner::Instance,
        };
        let section = Section::of(&row.section);
        let reaches_all = may_reach_all(&row.settings);
        let read = match section {
            Some(section) => Settings::read(section, row.settings).map_err(|error| error.to_string()),
            None => Err("this release knows no such thing".to_owned()),
        };
        match read {
            Ok(settings) => things.push(Thing {
                id: row.entry_id,
                owner,
                name: row.name,
                revision: row.revision,
                settings,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }),
            Err(reason) => unread.push(Unread {
                id: row.entry_id,
                section,
                label: section.map_or_else(
                    || format!("{} {}", row.section, row.name),
                    |section| label(section, &owner, &row.name),
                ),
                owner,
                name: row.name,
                reason,
                reaches_all,
            }),
        }
    }
    Ok((Book { generation, workspaces, things }, unread))
}

/// Whether a policy of these settings, which do not read as a whole, may act on routes that do not name it.
fn may_reach_all(settings: &Value) -> bool {
    let Value::Object(settings) = settings else { return true };
    // Unsaid it is `named`; a word that a newer release wrote may mean anything.
    settings.get("reach").is_some_and(|reach| !matches!(Reach::deserialize(reach), Ok(Reach::Named)))
}

pub async fn insert(conn: &mut PgConnection, thing: &Thing) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into gateway_entry (entry_id, section, workspace_id, name, settings, revision, created_at, updated_at)
         values ($1, $2, $3, $4, $5, 1, $6, $6)",
    )
    .bind(thing.id)
    .bind(thing.section().as_str())
    .bind(thing.owner.workspace_id())
    .bind(&thing.name)
    .bind(thing.settings.to_value())
    .bind(thing.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn update(conn: &mut PgConnection, thing: &Thing) -> Result<(), sqlx::Error> {
    sqlx::query("update gateway_entry set settings = $2, revision = $3, updated_at = $4 where entry_id = $1")
        .bind(thing.id)
        .bind(thing.settings.to_value())
        .bind(thing.revision)
        .bind(thing.updated_at)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("delete from gateway_entry where entry_id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// Counts the change, and tells all replicas at commit.
pub async fn bump(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with counted as (update gateway_generation set generation = generation + 1 returning generation)
         select pg_notify($1, generation::text) from counted",
    )
    .bind(CHANNEL)
    .execute(conn)
    .await?;
    Ok(())
}

/// The channel on which replicas hear that answers were taken out of the cache.
pub const PURGES: &str = "wharfinger_cache_purge";

/// Notes that answers are to go, tells all replicas at commit, and forgets what they know by now.
pub async fn put_purge(conn: &mut PgConnection, now: OffsetDateTime, which: &Purge) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with forgotten as (delete from cache_purge where at < $2 - interval '1 hour'),
              noted as (insert into cache_purge (cache_purge_id, at, route, asset, key_name)
                        values ($1, $2, $3, $4, $5) returning 1)
         select pg_notify($6, '') from noted",
    )
    .bind(Uuid::now_v7())
    .bind(now)
    .bind(&which.route)
    .bind(&which.asset)
    .bind(&which.key)
    .bind(PURGES)
    .execute(conn)
    .await?;
    Ok(())
}

/// What was to go since then.
pub async fn purges(conn: &mut PgConnection, since: OffsetDateTime) -> Result<Vec<(Uuid, Purge)>, sqlx::Error> {
    type Row = (Uuid, Option<String>, Option<String>, Option<String>);
    let statement = "select cache_purge_id, route, asset, key_name from cache_purge where at >= $1";
    let rows: Vec<Row> = sqlx::query_as(statement).bind(since).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id, route, asset, key)| (id, Purge { route, asset, key })).collect())
}

/// Whether a catalog asset of this name is there.
pub async fn asset_exists(conn: &mut PgConnection, workspace: &str, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from asset a join workspace w using (workspace_id)
                        where w.name = $1 and a.name = $2 and a.deleted_at is null)",
    )
    .bind(workspace)
    .bind(name)
    .fetch_one(conn)
    .await
}

/// The ids of assets by the names of workspace and asset; those that are not there are not in it.
pub async fn assets(
    conn: &mut PgConnection,
    named: &[(String, String)],
) -> Result<HashMap<(String, String), (WorkspaceId, AssetId)>, sqlx::Error> {
    let (workspaces, names): (Vec<&str>, Vec<&str>) =
        named.iter().map(|(one, other)| (one.as_str(), other.as_str())).unzip();
    let rows: Vec<(String, String, WorkspaceId, AssetId)> = sqlx::query_as(
        "select w.name, a.name, w.workspace_id, a.asset_id
         from unnest($1::text[], $2::text[]) as wanted (workspace, name)
              join workspace w on w.name = wanted.workspace
              join asset a on a.workspace_id = w.workspace_id and a.name = wanted.name
         where a.deleted_at is null",
    )
    .bind(workspaces)
    .bind(names)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(workspace, name, id, asset)| ((workspace, name), (id, asset))).collect())
}

#[derive(sqlx::FromRow)]
struct SecretRow {
    entry_id: Uuid,
    #[sqlx(flatten)]
    sealed: SealedBox,
}

/// The sealed secrets of all credentials.
pub async fn secrets(conn: &mut PgConnection) -> Result<HashMap<Uuid, SealedBox>, sqlx::Error> {
    let rows: Vec<SecretRow> =
        sqlx::query_as("select entry_id, kek_id, wrapped_key, ciphertext from gateway_secret").fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.entry_id, row.sealed)).collect())
}

/// All sealed secrets with the name and workspace of what they belong to, those of deleted workspaces too: workspaces come
/// back.
pub async fn secrets_everywhere(
    conn: &mut PgConnection,
) -> Result<Vec<(Uuid, String, Option<WorkspaceId>, SealedBox)>, sqlx::Error> {
    let named: Vec<(Uuid, String, Option<WorkspaceId>)> =
        sqlx::query_as("select entry_id, name, workspace_id from gateway_entry join gateway_secret using (entry_id)")
            .fetch_all(&mut *conn)
            .await?;
    let mut sealed = secrets(conn).await?;
    let whole = |(id, name, workspace)| Some((id, name, workspace, sealed.remove(&id)?));
    Ok(named.into_iter().filter_map(whole).collect())
}

pub async fn put_secret(
    conn: &mut PgConnection,
    id: Uuid,
    sealed: &SealedBox,
    at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into gateway_secret (entry_id, kek_id, wrapped_key, ciphertext, updated_at)
         values ($1, $2, $3, $4, $5)
         on conflict (entry_id) do update
         set kek_id = excluded.kek_id, wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext,
             updated_at = excluded.updated_at",
    )
    .bind(id)
    .bind(&sealed.kek_id)
    .bind(&sealed.wrapped_key)
    .bind(&sealed.ciphertext)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts another wrapping in the place of `before`, unless somebody wrote the secret meanwhile.
pub async fn rewrap_secret(
    conn: &mut PgConnection,
    id: Uuid,
    before: &SealedBox,
    after: &SealedBox,
) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query("update gateway_secret set kek_id = $3, wrapped_key = $4 where entry_id = $1 and wrapped_key = $2")
            .bind(id)
            .bind(&before.wrapped_key)
            .bind(&after.kek_id)
            .bind(&after.wrapped_key)
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// The known text that was sealed by this key when it was first used.
pub async fn sealing_key(conn: &mut PgConnection, kek_id: &str) -> Result<Option<SealedBox>, sqlx::Error> {
    sqlx::query_as("select kek_id, wrapped_key, ciphertext from sealing_key where kek_id = $1")
        .bind(kek_id)
        .fetch_optional(conn)
        .await
}

/// Keeps it; the first of several replicas wins.
pub async fn put_sealing_key(
    conn: &mut PgConnection,
    sealed: &SealedBox,
    at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into sealing_key (kek_id, wrapped_key, ciphertext, created_at) values ($1, $2, $3, $4)
         on conflict (kek_id) do nothing",
    )
    .bind(&sealed.kek_id)
    .bind(&sealed.wrapped_key)
    .bind(&sealed.ciphertext)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}
