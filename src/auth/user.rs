//! People, and how identity providers call them.

use crate::base::UserId;
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// What owners, role assignments and the audit record call the person.
    pub name: String,
    pub display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<OffsetDateTime>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select user_id, name, display_name, email, created_at,
                    greatest(last_seen_at, (select max(l.last_seen_at)
                                            from session s join session_use l using (session_id)
                                            where s.user_id = user_account.user_id)) as last_seen_at,
                    disabled_at
             from user_account ",
            $rest
        )
    };
}

pub(super) async fn find(conn: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(select!("where user_id = $1")).bind(id).fetch_optional(conn).await
}

pub(super) async fn find_by_name(conn: &mut PgConnection, name: &str) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(select!("where name = $1")).bind(name).fetch_optional(conn).await
}

/// By name, at most `limit` after `after`.
pub(super) async fn list(conn: &mut PgConnection, after: Option<&str>, limit: i64) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query_as(select!("where $1::text is null or name > $1 order by name limit $2"))
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// Stores a new person; `None` when the name is taken.
pub(super) async fn insert(
    conn: &mut PgConnection,
    name: &str,
    display_name: &str,
    email: Option<&str>,
    now: OffsetDateTime,
) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(
        "insert into user_account (user_id, name, display_name, email, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict (name) do nothing
         returning user_id, name, display_name, email, created_at, last_seen_at, disabled_at",
    )
    .bind(UserId::new())
    .bind(name)
    .bind(display_name)
    .bind(email)
    .bind(now)
    .fetch_optional(conn)
    .await
}

/// Ends or restores what the person may do; false when nothing changed.
pub(super) async fn set_disabled(
    conn: &mut PgConnection,
    id: UserId,
    disabled_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update user_account set disabled_at = $2, updated_at = $3
         where user_id = $1 and (disabled_at is null) <> ($2::timestamptz is null)",
    )
    .bind(id)
    .bind(disabled_at)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The person of this name with the hash of the password, where there is one.
pub(super) async fn find_with_password(
    conn: &mut PgConnection,
    name: &str,
) -> Result<Option<(User, Option<String>)>, sqlx::Error> {
    let Some(user) = find_by_name(conn, name).await? else { return Ok(None) };
    let hash = sqlx::query_scalar("select password_hash from user_account where user_id = $1")
        .bind(user.user_id)
        .fetch_one(conn)
        .await?;
    Ok(Some((user, hash)))
}

pub(super) async fn set_password(
    conn: &mut PgConnection,
    id: UserId,
    hash: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update user_account set password_hash = $2, updated_at = $3 where user_id = $1")
        .bind(id)
        .bind(hash)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes over what an identity provider says of somebody. Nothing is written when it is known: a write is told to every
/// replica.
pub(super) async fn describe(
    conn: &mut PgConnection,
    id: UserId,
    display_name: &str,
    email: Option<&str>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let is_known: bool = sqlx::query_scalar(
        "select display_name = $2 and email is not distinct from $3 from user_account where user_id = $1",
    )
    .bind(id)
    .bind(display_name)
    .bind(email)
    .fetch_one(&mut *conn)
    .await?;
    if !is_known {
        sqlx::query("update user_account set display_name = $2, email = $3, updated_at = $4 where user_id = $1")
            .bind(id)
            .bind(display_name)
            .bind(email)
            .bind(now)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Whether an identity provider knows the person.
pub(super) async fn is_linked(conn: &mut PgConnection, id: UserId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from user_link where user_id = $1)").bind(id).fetch_one(conn).await
}
