//! Service accounts: programs that act in their own name.

use crate::base::{ServiceAccountId, WorkspaceId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

/// A program with a name, roles and keys of its own.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ServiceAccount {
    pub service_account_id: ServiceAccountId,
    pub name: String,
    pub description: String,
    /// Whose administrators look after it; none for those of the instance.
    pub workspace_id: Option<WorkspaceId>,
    pub created_at: OffsetDateTime,
    pub disabled_at: Option<OffsetDateTime>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select service_account_id, name, description, workspace_id, created_at, disabled_at from service_account ",
            $rest
        )
    };
}

pub(super) async fn find(conn: &mut PgConnection, id: ServiceAccountId) -> Result<Option<ServiceAccount>, sqlx::Error> {
    sqlx::query_as(select!("where service_account_id = $1")).bind(id).fetch_optional(conn).await
}

pub(super) async fn find_by_name(conn: &mut PgConnection, name: &str) -> Result<Option<ServiceAccount>, sqlx::Error> {
    sqlx::query_as(select!("where name = $1")).bind(name).fetch_optional(conn).await
}

/// Of a workspace, or all; by name.
pub(super) async fn list(
    conn: &mut PgConnection,
    workspace: Option<WorkspaceId>,
) -> Result<Vec<ServiceAccount>, sqlx::Error> {
    sqlx::query_as(select!("where $1::uuid is null or workspace_id = $1 order by name limit 1000"))
        .bind(workspace)
        .fetch_all(conn)
        .await
}

/// Stores a new one; `None` when the name is taken.
pub(super) async fn insert(
    conn: &mut PgConnection,
    name: &str,
    description: &str,
    workspace: Option<WorkspaceId>,
    now: OffsetDateTime,
) -> Result<Option<ServiceAccount>, sqlx::Error> {
    sqlx::query_as(
        "insert into service_account (service_account_id, name, description, workspace_id, created_at)
         values ($1, $2, $3, $4, $5)
         on conflict (name) do nothing
         returning service_account_id, name, description, workspace_id, created_at, disabled_at",
    )
    .bind(ServiceAccountId::new())
    .bind(name)
    .bind(description)
    .bind(workspace)
    .bind(now)
    .fetch_optional(conn)
    .await
}

pub(super) async fn set_disabled(
    conn: &mut PgConnection,
    id: ServiceAccountId,
    disabled_at: Option<OffsetDateTime>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update service_account set disabled_at = $2
         where service_account_id = $1 and (disabled_at is null) <> ($2::timestamptz is null)",
    )
    .bind(id)
    .bind(disabled_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The one that comes with tokens of this subject.
pub(super) async fn find_by_subject(
    conn: &mut PgConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<ServiceAccountId>, sqlx::Error> {
    sqlx::query_scalar("select service_account_id from service_account where issuer = $1 and subject = $2")
        .bind(issuer)
        .bind(subject)
        .fetch_optional(conn)
        .await
}

/// Lets it come with tokens of this subject; false when another one does.
pub(super) async fn set_subject(
    conn: &mut PgConnection,
    id: ServiceAccountId,
    issuer: &str,
    subject: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update service_account set issuer = $2, subject = $3
         where service_account_id = $1
           and not exists (select from service_account where issuer = $2 and subject = $3)",
    )
    .bind(id)
    .bind(issuer)
    .bind(subject)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
