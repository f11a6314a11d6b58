//! Role assignments: who was given which role, and where.

use super::permission::{Grant, Role, Scope};
use crate::base::{AssetId, GroupId, RoleAssignmentId, ServiceAccountId, UserId, WorkspaceId};
use sqlx::{FromRow, PgConnection};
use std::sync::Arc;
use time::OffsetDateTime;

/// Whom a role is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    User(UserId),
    Group(GroupId),
    ServiceAccount(ServiceAccountId),
}

/// An assignment with the names people know.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RoleAssignment {
    pub role_assignment_id: RoleAssignmentId,
    pub role: Role,
    /// `user`, `group` or `service-account`.
    pub holder_kind: String,
    pub holder: String,
    pub workspace_id: Option<WorkspaceId>,
    pub asset_id: Option<AssetId>,
    /// The asset's name, where the role holds for one only.
    pub asset: Option<String>,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub expires_at: Option<OffsetDateTime>,
}

impl RoleAssignment {
    #[must_use]
    pub fn scope(&self) -> Scope {
        scope(self.workspace_id, self.asset_id)
    }
}

fn scope(workspace: Option<WorkspaceId>, asset: Option<AssetId>) -> Scope {
    match (workspace, asset) {
        (Some(workspace), Some(asset)) => Scope::Asset(workspace, asset),
        (Some(workspace), None) => Scope::Workspace(workspace),
        (None, _) => Scope::Instance,
    }
}

/// Grants that hold now, and when the first of them ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub grants: Vec<Grant>,
    pub first_end: Option<OffsetDateTime>,
}

#[derive(FromRow)]
struct HeldRow {
    role: Role,
    workspace_id: Option<WorkspaceId>,
    asset_id: Option<AssetId>,
    group_name: Option<String>,
    expires_at: Option<OffsetDateTime>,
}

/// What somebody holds at `now`, by itself and through groups.
pub(super) async fn held_by(conn: &mut PgConnection, holder: Holder, now: OffsetDateTime) -> Result<Held, sqlx::Error> {
    let (user, account) = match holder {
        Holder::User(user) => (Some(user), None),
        Holder::ServiceAccount(account) => (None, Some(account)),
        Holder::Group(_) => return Ok(Held::default()),
    };
    let rows: Vec<HeldRow> = sqlx::query_as(
        "select r.role, r.workspace_id, r.asset_id, null as group_name, r.expires_at
         from role_assignment r
         where (r.user_id = $1 or r.service_account_id = $2) and (r.expires_at is null or r.expires_at > $3)
         union all
         select r.role, r.workspace_id, r.asset_id, g.name, r.expires_at
         from user_group_member m
         join user_group g on g.group_id = m.group_id and g.deleted_at is null
         join role_assignment r on r.group_id = m.group_id
         where m.user_id = $1 and (r.expires_at is null or r.expires_at > $3)",
    )
    .bind(user)
    .bind(account)
    .bind(now)
    .fetch_all(conn)
    .await?;
    let first_end = rows.iter().filter_map(|row| row.expires_at).min();
    let grants = rows.into_iter().map(|row| Grant {
        role: row.role,
        scope: scope(row.workspace_id, row.asset_id),
        group: row.group_name.map(Arc::from),
    });
    Ok(Held { grants: grants.collect(), first_end })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select r.role_assignment_id, r.role,
                    case when r.user_id is not null then 'user' when r.group_id is not null then 'group'
                         else 'service-account' end as holder_kind,
                    coalesce(u.name, g.name, s.name) as holder, r.workspace_id, r.asset_id, a.name as asset,
                    r.created_at, r.created_by, r.expires_at
             from role_assignment r
             left join user_account u on u.user_id = r.user_id
             left join user_group g on g.group_id = r.group_id
             left join service_account s on s.service_account_id = r.service_account_id
             left join asset a on a.asset_id = r.asset_id ",
            $rest
        )
    };
}

/// Those of a workspace and its assets, or those of the instance; by role and name.
pub(super) async fn list(
    conn: &mut PgConnection,
    workspace: Option<WorkspaceId>,
) -> Result<Vec<RoleAssignment>, sqlx::Error> {
    sqlx::query_as(select!(
        "where r.workspace_id is not distinct from $1
         order by r.asset_id nulls first, r.role, holder, r.role_assignment_id
         limit 5000"
    ))
    .bind(workspace)
    .fetch_all(conn)
    .await
}

pub(super) async fn find(conn: &mut PgConnection, id: RoleAssignmentId) -> Result<Option<RoleAssignment>, sqlx::Error> {
    sqlx::query_as(select!("where r.role_assignment_id = $1")).bind(id).fetch_optional(conn).await
}

/// Gives a role; given already, its end is set anew.
pub(super) async fn upsert(
    conn: &mut PgConnection,
    (role, holder, scope): (Role, Holder, Scope),
    created_by: &str,
    expires_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<RoleAssignmentId, sqlx::Error> {
    let (user, group, account) = match holder {
        Holder::User(id) => (Some(id), None, None),
        Holder::Group(id) => (None, Some(id), None),
        Holder::ServiceAccount(id) => (None, None, Some(id)),
    };
    let asset = match scope {
        Scope::Asset(_, asset) => Some(asset),
        _ => None,
    };
    sqlx::query_scalar(
        "insert into role_assignment (role_assignment_id, role, user_id, group_id, service_account_id, workspace_id,
                                      asset_id, created_at, created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict on constraint role_assignment_key do update set expires_at = excluded.expires_at
         returning role_assignment_id",
    )
    .bind(RoleAssignmentId::new())
    .bind(role)
    .bind(user)
    .bind(group)
    .bind(account)
    .bind(scope.workspace())
    .bind(asset)
    .bind(now)
    .bind(created_by)
    .bind(expires_at)
    .fetch_one(conn)
    .await
}

pub(super) async fn delete(conn: &mut PgConnection, id: RoleAssignmentId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("delete from role_assignment where role_assignment_id = $1").bind(id).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}
