//! Versions of an asset, their order, and which of them is the latest.

use super::draft::VersionDraft;
use super::version_order::order_key;
use super::{Stage, Status};
use crate::base::{AssetId, VersionId};
use crate::wire::Finding;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A version, without what hangs on it.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub version_id: VersionId,
    #[serde(skip)]
    pub asset_id: AssetId,
    pub name: String,
    pub stage: Stage,
    /// The MCP registry's word for it.
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub status_changed_at: OffsetDateTime,
    pub is_latest: bool,
    /// False while it waits for approval; only the asset's workspace sees it then.
    pub is_approved: bool,
    /// Since when what runs is not what was approved.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub quarantined_at: Option<OffsetDateTime>,
    /// `OpenAPI 3.1.0`; empty without a definition.
    pub format_name: String,
    /// What is odd in the definition though it was accepted.
    #[schema(value_type = Vec<Finding>)]
    pub findings: Json<Vec<Finding>>,
    #[serde(skip)]
    pub source_digest: Vec<u8>,
    #[serde(with = "time::serde::rfc3339")]
    pub published_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// What to change of a version; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VersionPatch {
    pub stage: Option<Stage>,
    /// Why it is deprecated, or what to use instead.
    #[schema(max_length = 500)]
    pub status_message: Option<String>,
}

/// The latest version that is not deleted, else the one of this name that is not; one that waits for approval only for
/// those `inside` its workspace.
pub(super) async fn find(
    conn: &mut PgConnection,
    asset: AssetId,
    name: Option<&str>,
    inside: bool,
) -> Result<Option<Version>, sqlx::Error> {
    sqlx::query_as(
        "select version_id, asset_id, name, stage, status, status_message, status_changed_at, is_latest, is_approved,
                quarantined_at, format_name, findings, source_digest, published_at, updated_at
         from version
         where asset_id = $1 and (name = $2 or ($2::text is null and is_latest)) and status <> 'deleted'
           and (is_approved or $3)",
    )
    .bind(asset)
    .bind(name)
    .bind(inside)
    .fetch_optional(conn)
    .await
}

/// The version of this name whatever its status.
pub(super) async fn find_any(
    conn: &mut PgConnection,
    asset: AssetId,
    name: &str,
) -> Result<Option<Version>, sqlx::Error> {
    sqlx::query_as(
        "select version_id, asset_id, name, stage, status, status_message, status_changed_at, is_latest, is_approved,
                quarantined_at, format_name, findings, source_digest, published_at, updated_at
         from version
         where asset_id = $1 and name = $2",
    )
    .bind(asset)
    .bind(name)
    .fetch_optional(conn)
    .await
}

/// The version of this id whatever its status.
pub(super) async fn by_id(conn: &mut PgConnection, id: VersionId) -> Result<Option<Version>, sqlx::Error> {
    sqlx::query_as(
        "select version_id, asset_id, name, stage, status, status_message, status_changed_at, is_latest, is_approved,
                quarantined_at, format_name, findings, source_digest, published_at, updated_at
         from version
         where version_id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The highest first; those that wait for approval only for those `inside` the workspace.
pub(super) async fn list(
    conn: &mut PgConnection,
    asset: AssetId,
    (inside, with_deleted): (bool, bool),
    from: i64,
    limit: i64,
) -> Result<Vec<Version>, sqlx::Error> {
    sqlx::query_as(
        "select version_id, asset_id, name, stage, status, status_message, status_changed_at, is_latest, is_approved,
                quarantined_at, format_name, findings, source_digest, published_at, updated_at
         from version
         where asset_id = $1 and (is_approved or $2) and ($3 or status <> 'deleted')
         order by order_key desc, published_at, version_id
         offset $4 limit $5",
    )
    .bind(asset)
    .bind(inside)
    .bind(with_deleted)
    .bind(from)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// All versions of these assets whatever their status, latest first.
pub(super) async fn of_assets(conn: &mut PgConnection, assets: &[AssetId]) -> Result<Vec<Version>, sqlx::Error> {
    sqlx::query_as(
        "select version_id, asset_id, name, stage, status, status_message, status_changed_at, is_latest, is_approved,
                quarantined_at, format_name, findings, source_digest, published_at, updated_at
         from version
         where asset_id = any($1)
         order by asset_id, is_latest desc, order_key desc, published_at, version_id",
    )
    .bind(assets)
    .fetch_all(conn)
    .await
}

pub(super) async fn count(conn: &mut PgConnection, asset: AssetId, inside: bool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*) from version where asset_id = $1 and status <> 'deleted' and (is_approved or $2)",
    )
    .bind(asset)
    .bind(inside)
    .fetch_one(conn)
    .await
}

/// Stores a new version and gives it as it is stored; `None` when the name is taken.
///
/// `is_latest` only for the first version of an asset; for others [`choose_latest`] decides.
pub(super) async fn insert(
    conn: &mut PgConnection,
    asset: AssetId,
    draft: &VersionDraft,
    server: Option<&str>,
    (is_latest, is_approved): (bool, bool),
    now: OffsetDateTime,
) -> Result<Option<Version>, sqlx::Error> {
    let published_at = draft.published_at.unwrap_or(now);
    let version = Version {
        version_id: VersionId::new(),
        asset_id: asset,
        name: draft.name.clone(),
        stage: draft.stage,
        status: draft.status,
        status_message: draft.status_message.clone(),
        status_changed_at: published_at,
        is_latest,
        is_approved,
        quarantined_at: None,
        format_name: draft.format_name.clone(),
        findings: Json(draft.findings.clone()),
        source_digest: draft.source_digest.clone(),
        published_at,
        updated_at: draft.updated_at.unwrap_or(now),
    };
    let inserted = sqlx::query(
        "insert into version (version_id, asset_id, name, stage, order_key, status, status_message, status_changed_at,
                              is_latest, format_name, server, findings, source_digest, published_at, updated_at, is_approved)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict on constraint version_name_key do nothing",
    )
    .bind(version.version_id)
    .bind(asset)
    .bind(&version.name)
    .bind(version.stage)
    .bind(order_key(&version.name, published_at))
    .bind(version.status)
    .bind(&version.status_message)
    .bind(version.status_changed_at)
    .bind(is_latest)
    .bind(&version.format_name)
    .bind(server)
    .bind(&version.findings)
    .bind(&version.source_digest)
    .bind(published_at)
    .bind(version.updated_at)
    .bind(is_approved)
    .execute(conn)
    .await?;
    Ok((inserted.rows_affected() == 1).then_some(version))
}

/// Writes what a new reading of the version's document says.
pub(super) async fn update_source(
    conn: &mut PgConnection,
    id: VersionId,
    draft: &VersionDraft,
    server: Option<&str>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update version
         set format_name = $2, server = $3, findings = $4, source_digest = $5, updated_at = $6
         where version_id = $1",
    )
    .bind(id)
    .bind(&draft.format_name)
    .bind(server)
    .bind(Json(&draft.findings))
    .bind(&draft.source_digest)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Remembers by what its source knows the version.
pub(super) async fn set_source_digest(
    conn: &mut PgConnection,
    id: VersionId,
    digest: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("update version set source_digest = $2 where version_id = $1")
        .bind(id)
        .bind(digest)
        .execute(conn)
        .await?;
    Ok(())
}

/// Sets stage, status and message; `status_changed_at` moves only when the status does.
pub(super) async fn set_state(
    conn: &mut PgConnection,
    id: VersionId,
    stage: Stage,
    status: Status,
    message: Option<&str>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update version
         set stage = $2, status = $3, status_message = $4, updated_at = $5,
             status_changed_at = case when status = $3 then status_changed_at else $5 end
         where version_id = $1",
    )
    .bind(id)
    .bind(stage)
    .bind(status)
    .bind(message)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the flag to the highest approved version that is not deleted, or to the best there is when there is none.
///
/// Both rows that change get a new `updated_at`: who syncs by time must see the old latest lose its flag.
pub(super) async fn choose_latest(
    conn: &mut PgConnection,
    asset: AssetId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let best: Option<(VersionId, bool)> = sqlx::query_as(
        "select version_id, is_latest from version where asset_id = $1
         order by status = 'deleted', not is_approved, order_key desc, published_at, version_id limit 1",
    )
    .bind(asset)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((best, false)) = best else { return Ok(()) };
    sqlx::query(
        "update version set is_latest = false, updated_at = greatest(updated_at, $2) where asset_id = $1 and is_latest",
    )
    .bind(asset)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    sqlx::query("update version set is_latest = true, updated_at = greatest(updated_at, $2) where version_id = $1")
        .bind(best)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Gives every version a new `updated_at`, because what the registry shows of them changed with their asset.
pub(super) async fn touch_all(
    conn: &mut PgConnection,
    asset: AssetId,
    status_changed: bool,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update version
         set updated_at = $2,
             status_changed_at = case when $3 and status <> 'deleted' then $2 else status_changed_at end
         where asset_id = $1",
    )
    .bind(asset)
    .bind(now)
    .bind(status_changed)
    .execute(conn)
    .await?;
    Ok(())
}

/// Shows a version to outsiders until `until`, or hides it from them.
pub(super) async fn set_approved(
    conn: &mut PgConnection,
    id: VersionId,
    (is_approved, until): (bool, Option<OffsetDateTime>),
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update version set is_approved = $2, approved_until = $3, updated_at = greatest(updated_at, $4)
         where version_id = $1",
    )
    .bind(id)
    .bind(is_approved)
    .bind(until)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Warns of a version since `since`, or no longer.
pub(super) async fn set_quarantined(
    conn: &mut PgConnection,
    id: VersionId,
    since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update version set quarantined_at = $2, updated_at = greatest(updated_at, $3) where version_id = $1")
        .bind(id)
        .bind(since)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// The server.json the registry API shows of the version.
pub(super) async fn server(conn: &mut PgConnection, id: VersionId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("select server from version where version_id = $1").bind(id).fetch_one(conn).await
}
