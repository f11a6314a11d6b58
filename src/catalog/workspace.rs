//! Workspaces: a team's part of the catalog.

use super::{Sight, Visibility};
use crate::auth::BindSight;
use crate::base::{Slug, WorkspaceId};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A team's part of the catalog, with its own names and roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub workspace_id: WorkspaceId,
    #[schema(value_type = String)]
    pub name: Slug,
    pub title: String,
    pub description: String,
    /// What a newly registered asset gets when it says nothing itself.
    pub default_visibility: Visibility,
    #[serde(skip)]
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A workspace to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewWorkspace {
    /// `a-z`, digits and inner hyphens, at most 63 characters.
    #[schema(value_type = String, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", example = "payments")]
    pub name: Slug,
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 20000)]
    pub description: Option<String>,
    pub default_visibility: Option<Visibility>,
}

/// What to change of a workspace; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkspacePatch {
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 20000)]
    pub description: Option<String>,
    pub default_visibility: Option<Visibility>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select workspace_id, name, title, description, default_visibility, revision, created_at, updated_at
             from workspace w ",
            $rest
        )
    };
}

pub(super) async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<Workspace>, sqlx::Error> {
    sqlx::query_as(select!("where name = $1 and deleted_at is null")).bind(name).fetch_optional(conn).await
}

/// The one of this name of which `sight` may see at least one asset, or to which it belongs: one statement, whether there
/// is no such workspace or only none that is seen.
pub(super) async fn find_known(
    conn: &mut PgConnection,
    sight: &Sight,
    name: &str,
) -> Result<Option<Workspace>, sqlx::Error> {
    sqlx::query_as(select!(
        "where name = $6 and deleted_at is null
           and ($1 or workspace_id = any($3) or exists (
               select from asset a
               where a.workspace_id = w.workspace_id and a.deleted_at is null
                 and asset_visible(a, $1, $2, $3, $4, $5)))"
    ))
    .bind_sight(sight)
    .bind(name)
    .fetch_optional(conn)
    .await
}

pub(super) async fn find_by_id(conn: &mut PgConnection, id: WorkspaceId) -> Result<Option<Workspace>, sqlx::Error> {
    sqlx::query_as(select!("where workspace_id = $1 and deleted_at is null")).bind(id).fetch_optional(conn).await
}

/// Those of which `sight` may see at least one asset, or belongs to; by name.
pub(super) async fn list(conn: &mut PgConnection, sight: &Sight) -> Result<Vec<Workspace>, sqlx::Error> {
    sqlx::query_as(select!(
        "where deleted_at is null
           and ($1 or workspace_id = any($3) or exists (
               select from asset a
               where a.workspace_id = w.workspace_id and a.deleted_at is null
                 and asset_visible(a, $1, $2, $3, $4, $5)))
         order by name"
    ))
    .bind_sight(sight)
    .fetch_all(conn)
    .await
}

pub(super) async fn insert(conn: &mut PgConnection, workspace: &Workspace) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into workspace (workspace_id, name, title, description, default_visibility, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(workspace.workspace_id)
    .bind(&workspace.name)
    .bind(&workspace.title)
    .bind(&workspace.description)
    .bind(workspace.default_visibility)
    .bind(workspace.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn update(conn: &mut PgConnection, workspace: &Workspace) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update workspace
         set title = $2, description = $3, default_visibility = $4, updated_at = $5, revision = revision + 1
         where workspace_id = $1",
    )
    .bind(workspace.workspace_id)
    .bind(&workspace.title)
    .bind(&workspace.description)
    .bind(workspace.default_visibility)
    .bind(workspace.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}
