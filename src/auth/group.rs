//! Groups of people: local ones, and those an identity provider tells of.

use crate::base::{GroupId, UserId};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The source of groups that are kept here.
pub const LOCAL: &str = "local";

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub group_id: GroupId,
    pub name: String,
    pub title: String,
    /// `local`, or the identity provider that says who is in it.
    pub source: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub members: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select g.group_id, g.name, g.title, g.source, g.created_at,
                    (select count(*) from user_group_member m where m.group_id = g.group_id) as members
             from user_group g
             where g.deleted_at is null ",
            $rest
        )
    };
}

pub(super) async fn find_by_name(conn: &mut PgConnection, name: &str) -> Result<Option<Group>, sqlx::Error> {
    sqlx::query_as(select!("and g.name = $1")).bind(name).fetch_optional(conn).await
}

/// By name, at most a thousand.
pub(super) async fn list(conn: &mut PgConnection) -> Result<Vec<Group>, sqlx::Error> {
    sqlx::query_as(select!("order by g.name limit 1000")).fetch_all(conn).await
}

/// Names of the groups somebody belongs to.
pub(super) async fn names_of(conn: &mut PgConnection, user: UserId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select g.name
         from user_group_member m join user_group g using (group_id)
         where m.user_id = $1 and g.deleted_at is null
         order by g.name",
    )
    .bind(user)
    .fetch_all(conn)
    .await
}

/// Stores a new group; `None` when the name is or was taken.
pub(super) async fn insert(
    conn: &mut PgConnection,
    name: &str,
    title: &str,
    source: &str,
    claim: Option<&str>,
    now: OffsetDateTime,
) -> Result<Option<GroupId>, sqlx::Error> {
    sqlx::query_scalar(
        "insert into user_group (group_id, name, title, source, claim, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (name) do nothing
         returning group_id",
    )
    .bind(GroupId::new())
    .bind(name)
    .bind(title)
    .bind(source)
    .bind(claim)
    .bind(now)
    .fetch_optional(conn)
    .await
}

pub(super) async fn add_member(
    conn: &mut PgConnection,
    group: GroupId,
    user: UserId,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "insert into user_group_member (group_id, user_id, since) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(group)
    .bind(user)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn remove_member(conn: &mut PgConnection, group: GroupId, user: UserId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("delete from user_group_member where group_id = $1 and user_id = $2")
        .bind(group)
        .bind(user)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of `names` under which there is no group.
///
/// # Errors
/// The database's.
pub async fn unknown_groups(conn: &mut PgConnection, names: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select name from unnest($1::text[]) name
         where not exists (select from user_group g where g.name = name.name and g.deleted_at is null)",
    )
    .bind(names)
    .fetch_all(conn)
    .await
}

/// Names of its members, at most ten thousand.
pub(super) async fn members_of(conn: &mut PgConnection, group: GroupId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select u.name from user_group_member m join user_account u using (user_id)
         where m.group_id = $1
         order by u.name
         limit 10000",
    )
    .bind(group)
    .fetch_all(conn)
    .await
}

/// Ends a group: its members and roles go, its name stays taken.
pub(super) async fn delete(conn: &mut PgConnection, group: GroupId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    for statement in [
        "delete from role_assignment where group_id = $1 and $2::timestamptz is not null",
        "delete from user_group_member where group_id = $1 and $2::timestamptz is not null",
        "update user_group set deleted_at = $2 where group_id = $1",
    ] {
        sqlx::query(statement).bind(group).bind(now).execute(&mut *conn).await?;
    }
    Ok(())
}
