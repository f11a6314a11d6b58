//! Deployments: where a version runs.

use super::draft::DeploymentDraft;
use crate::base::{AssetId, DeploymentId, EnvironmentId, VersionId};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, Row, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Where a version runs.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub deployment_id: DeploymentId,
    /// The version's name.
    pub version: String,
    /// The environment's name, where it runs in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    pub title: String,
    pub description: String,
    pub url: String,
    /// `streamable-http` or `sse` for MCP servers.
    pub transport: String,
    #[serde(rename = "active")]
    pub is_active: bool,
    #[schema(value_type = Object)]
    pub metadata: Json<Map<String, Value>>,
    /// What the document says besides: headers and variables of a remote MCP server.
    #[schema(value_type = Object)]
    pub detail: Value,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    version: VersionId,
    environment: Option<EnvironmentId>,
    draft: &DeploymentDraft,
    position: i32,
    now: OffsetDateTime,
) -> Result<DeploymentId, sqlx::Error> {
    let id = DeploymentId::new();
    sqlx::query(
        "insert into deployment (deployment_id, version_id, environment_id, title, description, url, transport, is_active,
                                 metadata, detail, position, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
    )
    .bind(id)
    .bind(version)
    .bind(environment)
    .bind(&draft.title)
    .bind(&draft.description)
    .bind(&draft.url)
    .bind(&draft.transport)
    .bind(draft.is_active)
    .bind(Json(&draft.metadata))
    .bind(&draft.detail)
    .bind(position)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(id)
}

/// Of one version, or of all versions of the asset that are not deleted, latest version first.
pub(super) async fn list(
    conn: &mut PgConnection,
    asset: AssetId,
    version: Option<VersionId>,
) -> Result<Vec<Deployment>, sqlx::Error> {
    sqlx::query_as(
        "select d.deployment_id, v.name as version, e.name as environment, d.title, d.description, d.url, d.transport,
                d.is_active, d.metadata, d.detail, d.created_at, d.updated_at
         from deployment d
         join version v using (version_id)
         left join environment e using (environment_id)
         where v.asset_id = $1 and ($2::uuid is null or v.version_id = $2) and v.status <> 'deleted' and d.deleted_at is null
         order by v.order_key desc, d.position, d.deployment_id
         limit 1000",
    )
    .bind(asset)
    .bind(version)
    .fetch_all(conn)
    .await
}

/// Of these versions, in the order in which they were told.
pub(super) async fn of_versions(
    conn: &mut PgConnection,
    versions: &[VersionId],
) -> Result<Vec<(VersionId, Deployment)>, sqlx::Error> {
    let rows = sqlx::query(
        "select d.deployment_id, d.version_id, v.name as version, e.name as environment, d.title, d.description, d.url,
                d.transport, d.is_active, d.metadata, d.detail, d.created_at, d.updated_at
         from deployment d
         join version v using (version_id)
         left join environment e using (environment_id)
         where d.version_id = any($1) and d.deleted_at is null
         order by d.position, d.deployment_id",
    )
    .bind(versions)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("version_id")?, Deployment::from_row(row)?))).collect()
}

pub(super) async fn find(
    conn: &mut PgConnection,
    asset: AssetId,
    id: DeploymentId,
) -> Result<Option<Deployment>, sqlx::Error> {
    sqlx::query_as(
        "select d.deployment_id, v.name as version, e.name as environment, d.title, d.description, d.url, d.transport,
                d.is_active, d.metadata, d.detail, d.created_at, d.updated_at
         from deployment d
         join version v using (version_id)
         left join environment e using (environment_id)
         where v.asset_id = $1 and d.deployment_id = $2 and d.deleted_at is null",
    )
    .bind(asset)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// Sets everything but the version; `draft.detail` is left as it is stored.
pub(super) async fn update(
    conn: &mut PgConnection,
    id: DeploymentId,
    environment: Option<EnvironmentId>,
    draft: &DeploymentDraft,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update deployment
         set environment_id = $2, title = $3, description = $4, url = $5, transport = $6, is_active = $7, metadata = $8,
             updated_at = $9
         where deployment_id = $1",
    )
    .bind(id)
    .bind(environment)
    .bind(&draft.title)
    .bind(&draft.description)
    .bind(&draft.url)
    .bind(&draft.transport)
    .bind(draft.is_active)
    .bind(Json(&draft.metadata))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(conn: &mut PgConnection, id: DeploymentId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("update deployment set deleted_at = $2, updated_at = $2 where deployment_id = $1")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes all deployments of a version away, before its document is read anew.
pub(super) async fn delete_all(
    conn: &mut PgConnection,
    version: VersionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update deployment set deleted_at = $2, updated_at = $2 where version_id = $1 and deleted_at is null")
        .bind(version)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}
