//! `AccessRequest`: that somebody asks to call an asset, and what became of it.

use super::AccessState;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{AccessRequestId, AssetId, KeyId, UserId, WorkspaceId};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A request for access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequest {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub access_request_id: AccessRequestId,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    #[serde(skip)]
    pub asset_id: AssetId,
    #[serde(skip)]
    pub user_id: UserId,
    pub workspace: String,
    /// The asset's name.
    pub asset: String,
    /// The asset's title.
    pub title: String,
    /// Whether the asset was deleted meanwhile.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Who asks.
    pub asker: String,
    /// What for.
    pub purpose: String,
    /// Until when it is asked for; absent: for good.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub wanted_until: Option<OffsetDateTime>,
    pub state: AccessState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<OffsetDateTime>,
    /// What was said with the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the access that was given ends.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<OffsetDateTime>,
    /// The key that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub key_id: Option<KeyId>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl AccessRequest {
    /// Where a role would be given by it.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::Asset(self.workspace_id, self.asset_id)
    }
}

/// Which requests to list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFilter {
    pub state: Option<AccessState>,
    pub workspace: Option<String>,
    pub asset: Option<String>,
    /// The actor's own only.
    pub own: bool,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select r.access_request_id, r.workspace_id, r.asset_id, r.user_id, w.name as workspace, a.name as asset,
                    a.title, a.deleted_at is not null or w.deleted_at is not null as deleted, u.name as asker, r.purpose,
                    r.wanted_until, r.state, r.decided_by, r.decided_at, r.note, r.ends_at, r.key_id, r.created_at,
                    r.updated_at
             from access_request r
             join asset a using (asset_id)
             join workspace w on w.workspace_id = r.workspace_id
             join user_account u on u.user_id = r.user_id ",
            $rest
        )
    };
}

/// The request of this id, whoever asks.
pub(super) async fn find(conn: &mut PgConnection, id: AccessRequestId) -> Result<Option<AccessRequest>, sqlx::Error> {
    sqlx::query_as(select!("where r.access_request_id = $1")).bind(id).fetch_optional(conn).await
}

/// As [`find`]; nobody else decides on it until the transaction ends.
pub(super) async fn lock(conn: &mut PgConnection, id: AccessRequestId) -> Result<Option<AccessRequest>, sqlx::Error> {
    sqlx::query_as(select!("where r.access_request_id = $1 for update of r")).bind(id).fetch_optional(conn).await
}

/// Where somebody decides on requests: everywhere, or in these workspaces and for these assets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Governed {
    everything: bool,
    workspaces: Vec<WorkspaceId>,
    assets: Vec<AssetId>,
}

impl Governed {
    pub fn by(actor: &Actor) -> Self {
        let mut governed = Self::default();
        for grant in actor.grants().iter().filter(|grant| actor.may(Permission::GovernWorkspace, grant.scope)) {
            match grant.scope {
                Scope::Instance => governed.everything = true,
                Scope::Workspace(id) => governed.workspaces.push(id),
                Scope::Asset(_, id) => governed.assets.push(id),
            }
        }
        governed
    }

    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Those of `user` and those that are decided where `governed` says; newest first, after `before`.
pub(super) async fn list(
    conn: &mut PgConnection,
    user: Option<UserId>,
    governed: &Governed,
    filter: &AccessFilter,
    before: Option<AccessRequestId>,
    limit: i64,
) -> Result<Vec<AccessRequest>, sqlx::Error> {
    let statement = select!(
        "where (r.user_id = $1 or (not $2 and ($3 or r.workspace_id = any($4) or r.asset_id = any($5))))
           and ($6::text is null or r.state = $6)
           and ($7::text is null or w.name = $7)
           and ($8::text is null or a.name = $8)
           and ($9::uuid is null or r.access_request_id < $9)
         order by r.access_request_id desc
         limit $10"
    );
    sqlx::query_as(statement)
        .bind(user)
        .bind(filter.own)
        .bind(governed.everything)
        .bind(&governed.workspaces)
        .bind(&governed.assets)
        .bind(filter.state)
        .bind(&filter.workspace)
        .bind(&filter.asset)
        .bind(before)
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// How many wait to be decided where `governed` says.
pub(super) async fn count_waiting(conn: &mut PgConnection, governed: &Governed) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*)
         from access_request r join asset a using (asset_id)
         where r.state = 'waiting' and a.deleted_at is null
           and ($1 or r.workspace_id = any($2) or r.asset_id = any($3))",
    )
    .bind(governed.everything)
    .bind(&governed.workspaces)
    .bind(&governed.assets)
    .fetch_one(conn)
    .await
}

/// The latest of a person for an asset.
pub(super) async fn latest(
    conn: &mut PgConnection,
    user: UserId,
    asset: AssetId,
) -> Result<Option<AccessRequest>, sqlx::Error> {
    let statement = select!("where r.user_id = $1 and r.asset_id = $2 order by r.access_request_id desc limit 1");
    sqlx::query_as(statement).bind(user).bind(asset).fetch_optional(conn).await
}

/// What is asked for.
pub(super) struct Asked<'a> {
    pub workspace: WorkspaceId,
    pub asset: AssetId,
    pub user: UserId,
    pub purpose: &'a str,
    pub until: Option<OffsetDateTime>,
}

/// None when the person waits for an answer about this asset already.
pub(super) async fn insert(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
    now: OffsetDateTime,
) -> Result<Option<AccessRequestId>, sqlx::Error> {
    sqlx::query_scalar(
        "insert into access_request (access_request_id, workspace_id, asset_id, user_id, purpose, wanted_until,
                                     created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)
         on conflict (asset_id, user_id) where state = 'waiting' do nothing
         returning access_request_id",
    )
    .bind(AccessRequestId::new())
    .bind(asked.workspace)
    .bind(asked.asset)
    .bind(asked.user)
    .bind(asked.purpose)
    .bind(asked.until)
    .bind(now)
    .fetch_optional(conn)
    .await
}

/// What was decided.
pub(super) struct Decided<'a> {
    pub state: AccessState,
    pub by: &'a str,
    pub note: Option<&'a str>,
    pub ends_at: Option<OffsetDateTime>,
}

pub(super) async fn decide(
    conn: &mut PgConnection,
    id: AccessRequestId,
    decided: &Decided<'_>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update access_request
         set state = $2, decided_by = $3, decided_at = $4, note = $5, ends_at = $6, updated_at = $4
         where access_request_id = $1",
    )
    .bind(id)
    .bind(decided.state)
    .bind(decided.by)
    .bind(now)
    .bind(decided.note)
    .bind(decided.ends_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn withdraw(
    conn: &mut PgConnection,
    id: AccessRequestId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update access_request set state = 'withdrawn', updated_at = $2 where access_request_id = $1")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn set_key(
    conn: &mut PgConnection,
    id: AccessRequestId,
    key: KeyId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update access_request set key_id = $2, updated_at = $3 where access_request_id = $1")
        .bind(id)
        .bind(key)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}
