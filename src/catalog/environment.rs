//! Environments: the places where versions run.

use crate::base::{EnvironmentId, Slug, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A place where versions run: a cluster, a gateway, a region.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub environment_id: EnvironmentId,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    #[schema(value_type = String)]
    pub name: Slug,
    pub title: String,
    pub description: String,
    /// `development`, `testing`, `staging`, `production`, or a word of the organisation's own.
    pub kind: String,
    /// What serves there: `Kubernetes`, `AWS API Gateway`.
    pub server_type: String,
    /// Where the place is managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Markdown: how one gets access.
    pub onboarding: String,
    #[schema(value_type = Object)]
    pub metadata: Json<Map<String, Value>>,
    #[serde(skip)]
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// An environment to make, or what to change of one: what is absent stays, or gets its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EnvironmentInput {
    #[schema(value_type = Option<String>, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: Option<Slug>,
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 20000)]
    pub description: Option<String>,
    #[schema(max_length = 63)]
    pub kind: Option<String>,
    #[schema(max_length = 100)]
    pub server_type: Option<String>,
    #[schema(max_length = 2000)]
    pub url: Option<String>,
    #[schema(max_length = 20000)]
    pub onboarding: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The kind an environment of this name most likely is.
pub(super) fn kind_of(name: &Slug) -> &'static str {
    let parts: Vec<_> = name.as_str().split('-').collect();
    let says = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["prod", "production", "live"]) {
        "production"
    } else if says(&["stage", "staging", "preprod", "uat"]) {
        "staging"
    } else if says(&["test", "testing", "qa"]) {
        "testing"
    } else {
        "development"
    }
}

pub(super) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    name: &str,
) -> Result<Option<Environment>, sqlx::Error> {
    sqlx::query_as(
        "select environment_id, workspace_id, name, title, description, kind, server_type, url, onboarding, metadata,
                revision, created_at, updated_at
         from environment
         where workspace_id = $1 and name = $2 and deleted_at is null",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await
}

pub(super) async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Environment>, sqlx::Error> {
    sqlx::query_as(
        "select environment_id, workspace_id, name, title, description, kind, server_type, url, onboarding, metadata,
                revision, created_at, updated_at
         from environment
         where workspace_id = $1 and deleted_at is null
         order by name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await
}

pub(super) async fn insert(conn: &mut PgConnection, environment: &Environment) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into environment (environment_id, workspace_id, name, title, description, kind, server_type, url,
                                  onboarding, metadata, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
    )
    .bind(environment.environment_id)
    .bind(environment.workspace_id)
    .bind(&environment.name)
    .bind(&environment.title)
    .bind(&environment.description)
    .bind(&environment.kind)
    .bind(&environment.server_type)
    .bind(&environment.url)
    .bind(&environment.onboarding)
    .bind(&environment.metadata)
    .bind(environment.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn update(conn: &mut PgConnection, environment: &Environment) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update environment
         set title = $2, description = $3, kind = $4, server_type = $5, url = $6, onboarding = $7, metadata = $8,
             updated_at = $9, revision = revision + 1
         where environment_id = $1",
    )
    .bind(environment.environment_id)
    .bind(&environment.title)
    .bind(&environment.description)
    .bind(&environment.kind)
    .bind(&environment.server_type)
    .bind(&environment.url)
    .bind(&environment.onboarding)
    .bind(&environment.metadata)
    .bind(environment.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many live deployments name it.
pub(super) async fn deployments(conn: &mut PgConnection, id: EnvironmentId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from deployment where environment_id = $1 and deleted_at is null")
        .bind(id)
        .fetch_one(conn)
        .await
}

pub(super) async fn delete(conn: &mut PgConnection, id: EnvironmentId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("update environment set deleted_at = $2 where environment_id = $1")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}
