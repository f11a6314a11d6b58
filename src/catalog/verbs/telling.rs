//! What an asset is, for somebody who is told of it.

use crate::auth::{BindSight, Sight};
use crate::base::AssetId;
use crate::catalog::{Catalog, Error, Kind, Visibility};
use serde::Serialize;
use time::OffsetDateTime;

/// An asset as events tell it.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct ToldAsset {
    #[serde(rename = "id")]
    pub asset_id: AssetId,
    pub workspace: String,
    pub name: String,
    pub registry_name: String,
    pub kind: Kind,
    pub title: String,
    pub visibility: Visibility,
    /// The latest version and its stage.
    pub version: Option<String>,
    pub stage: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<OffsetDateTime>,
}

impl Catalog {
    /// The asset of this id within `sight`, also when it is deleted: those are told of that who could see it.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn told(&self, sight: &Sight, id: AssetId) -> Result<Option<ToldAsset>, Error> {
        let found = sqlx::query_as(
            "select a.asset_id, w.name as workspace, a.name, a.registry_name, a.kind, a.title, a.visibility,
                    v.name as version, v.stage, a.deleted_at
             from asset a
             join workspace w using (workspace_id)
             left join version v on v.asset_id = a.asset_id and v.is_latest
                 and version_visible(v, a, $1, $3, $5)
             where a.asset_id = $6 and asset_visible(a, $1, $2, $3, $4, $5)",
        )
        .bind_sight(sight)
        .bind(id)
        .fetch_optional(&self.db.read)
        .await?;
        Ok(found)
    }
}
