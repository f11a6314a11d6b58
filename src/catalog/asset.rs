//! Assets: what is registered, under which name, and who may see it.

use super::draft::Draft;
use super::{Kind, Sight, Visibility};
use crate::auth::{BindSight, Scope};
use crate::base::{AssetId, Name, Slug, WorkspaceId};
use crate::wire::{Contact, ExternalDoc, Icon, Licence};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{PgConnection, QueryBuilder, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An asset, without its versions.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub asset_id: AssetId,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    /// The workspace's name.
    pub workspace: String,
    #[schema(value_type = String)]
    pub name: Name,
    /// The name towards readers of the MCP registry API.
    pub registry_name: String,
    pub kind: Kind,
    pub title: String,
    pub summary: String,
    /// Markdown.
    pub description: String,
    pub visibility: Visibility,
    /// Names of groups that see it though it is private.
    pub shared_with: Vec<String>,
    /// False while it waits for its first approval; only its workspace sees it then.
    pub is_approved: bool,
    pub tags: Vec<String>,
    pub owners: Vec<String>,
    #[schema(value_type = Vec<Contact>)]
    pub contacts: Json<Vec<Contact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Licence>)]
    pub licence: Option<Json<Licence>>,
    #[schema(value_type = Vec<ExternalDoc>)]
    pub external_docs: Json<Vec<ExternalDoc>>,
    #[schema(value_type = Vec<Icon>)]
    pub icons: Json<Vec<Icon>>,
    #[schema(value_type = Object)]
    pub metadata: Json<Map<String, Value>>,
    /// Counts the changes of the asset and of everything below it; its ETag.
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<OffsetDateTime>,
}

impl Asset {
    /// Where a permission for it is asked.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::Asset(self.workspace_id, self.asset_id)
    }
}

/// What to change of an asset; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AssetPatch {
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 1000)]
    pub summary: Option<String>,
    #[schema(max_length = 200000)]
    pub description: Option<String>,
    pub visibility: Option<Visibility>,
    /// Names of groups that see it though it is private.
    #[schema(max_items = 100)]
    pub shared_with: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub owners: Option<Vec<String>>,
    pub contacts: Option<Vec<Contact>>,
    pub licence: Option<Licence>,
    pub external_docs: Option<Vec<ExternalDoc>>,
    pub icons: Option<Vec<Icon>>,
    /// The whole of the metadata; fields left out are taken away.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The name towards readers of the registry API, where every name has a namespace.
#[must_use]
pub fn registry_name(workspace: &Slug, name: &Name) -> String {
    if name.namespace().is_some() { name.to_string() } else { format!("{workspace}/{name}") }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select a.asset_id, a.workspace_id, w.name as workspace, a.name, a.registry_name, a.kind, a.title, a.summary,
                    a.description, a.visibility, a.shared_with, a.is_approved, a.tags, a.owners, a.contacts, a.licence, a.external_docs, a.icons,
                    a.metadata, a.revision, a.created_at, a.updated_at, a.deleted_at
             from asset a join workspace w using (workspace_id) ",
            $rest
        )
    };
}

/// The asset of this name that `sight` may see, deleted ones only `with_deleted`.
pub(super) async fn find(
    conn: &mut PgConnection,
    sight: &Sight,
    workspace: &str,
    name: &str,
    with_deleted: bool,
) -> Result<Option<Asset>, sqlx::Error> {
    sqlx::query_as(select!(
        "where w.name = $6 and a.name = $7 and w.deleted_at is null and ($8 or a.deleted_at is null)
           and asset_visible(a, $1, $2, $3, $4, $5)"
    ))
    .bind_sight(sight)
    .bind(workspace)
    .bind(name)
    .bind(with_deleted)
    .fetch_optional(conn)
    .await
}

/// Holds the row against other writers until the transaction ends.
pub(super) async fn lock(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    name: &Name,
) -> Result<Option<Asset>, sqlx::Error> {
    sqlx::query_as(select!("where a.workspace_id = $1 and a.name = $2 for update of a"))
        .bind(workspace)
        .bind(name)
        .fetch_optional(conn)
        .await
}

/// Stores a new asset and gives it as it is stored; `None` when the name is taken, also by a deleted one.
pub(super) async fn insert(
    conn: &mut PgConnection,
    workspace: (WorkspaceId, &Slug),
    draft: &Draft,
    (visibility, is_approved): (Visibility, bool),
    now: OffsetDateTime,
) -> Result<Option<Asset>, sqlx::Error> {
    let asset = Asset {
        asset_id: AssetId::new(),
        workspace_id: workspace.0,
        workspace: workspace.1.to_string(),
        registry_name: registry_name(workspace.1, &draft.name),
        name: draft.name.clone(),
        kind: draft.kind,
        title: draft.title.clone(),
        summary: draft.summary.clone(),
        description: draft.description.clone(),
        visibility,
        shared_with: draft.shared_with.clone().unwrap_or_default(),
        is_approved,
        tags: draft.tags.clone(),
        owners: draft.owners.clone(),
        contacts: Json(draft.contacts.clone()),
        licence: draft.licence.clone().map(Json),
        external_docs: Json(draft.external_docs.clone()),
        icons: Json(draft.icons.clone()),
        metadata: Json(draft.metadata.clone()),
        revision: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let inserted = sqlx::query(
        "insert into asset (asset_id, workspace_id, name, registry_name, kind, title, summary, description, visibility, tags,
                            owners, contacts, licence, external_docs, icons, metadata, shared_with, is_approved, created_at,
                            updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $19)
         on conflict on constraint asset_name_key do nothing",
    )
    .bind(asset.asset_id)
    .bind(asset.workspace_id)
    .bind(&asset.name)
    .bind(&asset.registry_name)
    .bind(asset.kind)
    .bind(&asset.title)
    .bind(&asset.summary)
    .bind(&asset.description)
    .bind(asset.visibility)
    .bind(&asset.tags)
    .bind(&asset.owners)
    .bind(&asset.contacts)
    .bind(&asset.licence)
    .bind(&asset.external_docs)
    .bind(&asset.icons)
    .bind(&asset.metadata)
    .bind(&asset.shared_with)
    .bind(asset.is_approved)
    .bind(now)
    .execute(conn)
    .await?;
    Ok((inserted.rows_affected() == 1).then_some(asset))
}

/// Writes every field that can change and counts the revision up.
pub(super) async fn update(conn: &mut PgConnection, asset: &Asset) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update asset
         set kind = $2, title = $3, summary = $4, description = $5, visibility = $6, tags = $7, owners = $8, contacts = $9,
             licence = $10, external_docs = $11, icons = $12, metadata = $13, updated_at = $14, deleted_at = $15,
             shared_with = $16, revision = revision + 1
         where asset_id = $1",
    )
    .bind(asset.asset_id)
    .bind(asset.kind)
    .bind(&asset.title)
    .bind(&asset.summary)
    .bind(&asset.description)
    .bind(asset.visibility)
    .bind(&asset.tags)
    .bind(&asset.owners)
    .bind(&asset.contacts)
    .bind(&asset.licence)
    .bind(&asset.external_docs)
    .bind(&asset.icons)
    .bind(&asset.metadata)
    .bind(asset.updated_at)
    .bind(asset.deleted_at)
    .bind(&asset.shared_with)
    .execute(conn)
    .await?;
    Ok(())
}

/// Shows the asset to outsiders when any of its versions is approved, and hides it from them when none is.
pub(super) async fn follow_approvals(conn: &mut PgConnection, id: AssetId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "update asset
         set is_approved = exists (select from version v
                                   where v.asset_id = $1 and v.is_approved and v.status <> 'deleted')
         where asset_id = $1
         returning is_approved",
    )
    .bind(id)
    .fetch_one(conn)
    .await
}

/// The asset of this id with its workspace, held against other writers until the transaction ends.
pub(super) async fn lock_by_id(conn: &mut PgConnection, id: AssetId) -> Result<Option<Asset>, sqlx::Error> {
    sqlx::query_as(select!("where a.asset_id = $1 for update of a")).bind(id).fetch_optional(conn).await
}

/// The asset of this id, whoever asks.
pub(super) async fn by_id(conn: &mut PgConnection, id: AssetId) -> Result<Option<Asset>, sqlx::Error> {
    sqlx::query_as(select!("where a.asset_id = $1")).bind(id).fetch_optional(conn).await
}

/// Counts the revision up: something below the asset changed.
pub(super) async fn touch(conn: &mut PgConnection, id: AssetId, now: OffsetDateTime) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "update asset set revision = revision + 1, updated_at = $2 where asset_id = $1 returning revision",
    )
    .bind(id)
    .bind(now)
    .fetch_one(conn)
    .await
}

/// The live assets that `sight` may see after `after`, in id order: of one workspace, or of all.
pub(super) async fn visible_after(
    conn: &mut PgConnection,
    sight: &Sight,
    workspace: Option<&str>,
    after: Option<AssetId>,
    limit: i64,
) -> Result<Vec<Asset>, sqlx::Error> {
    sqlx::query_as(select!(
        "where a.deleted_at is null and w.deleted_at is null
           and asset_visible(a, $1, $2, $3, $4, $5)
           and ($6::text is null or w.name = $6)
           and ($7::uuid is null or a.asset_id > $7)
         order by a.asset_id
         limit $8"
    ))
    .bind_sight(sight)
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Every live asset's id after `after`, in id order: for walking through all of them.
pub(super) async fn ids_after(
    conn: &mut PgConnection,
    after: Option<AssetId>,
    limit: i64,
) -> Result<Vec<AssetId>, sqlx::Error> {
    let mut query = QueryBuilder::new("select asset_id from asset where deleted_at is null");
    if let Some(after) = after {
        query.push(" and asset_id > ").push_bind(after);
    }
    query.push(" order by asset_id limit ").push_bind(limit);
    query.build_query_scalar().fetch_all(conn).await
}
