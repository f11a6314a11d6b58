//! Orphans: assets for which nobody answers any more.

use super::examining::standing;
use crate::auth::{Actor, Permission};
use crate::base::{AssetId, Cursor, Limit, Page, Problem};
use crate::catalog::governance::Standing;
use crate::catalog::{Asset, Catalog, Error, Kind, asset};
use serde::Serialize;
use utoipa::ToSchema;

/// An asset whose owners are all unknown or disabled, or that has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    #[schema(value_type = uuid::Uuid)]
    pub id: AssetId,
    pub workspace: String,
    pub name: String,
    pub title: String,
    pub kind: Kind,
    pub owners: Vec<UnknownOwner>,
}

/// An owner who cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnknownOwner {
    pub name: String,
    /// Known here once, and disabled since.
    pub disabled: bool,
}

impl Catalog {
    /// The assets for which nobody answers any more, of the workspaces the actor may write or review in.
    ///
    /// # Errors
    /// 401 for anonymous callers, 403 for those who may write and review nowhere, 400 for a cursor that is none.
    pub async fn orphans(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<Orphan>, Error> {
        if !actor.may_somewhere(Permission::ReadAudit) && !actor.may_somewhere(Permission::ReviewAssets) {
            actor.require_somewhere(Permission::WriteCatalog)?;
        }
        let mut after: Option<AssetId> = match cursor {
            None => None,
            Some(cursor) => {
                Some(cursor.place().map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?)
            }
        };
        let mut conn = self.db.read.acquire().await?;
        let sight = actor.sight();
        let mut found = Vec::new();
        loop {
            let batch = asset::visible_after(&mut conn, sight, workspace, after, 500).await?;
            let is_last = batch.len() < 500;
            for asset in batch {
                if found.len() == limit.0 {
                    return Ok(Page { items: found, total: None, next: after.map(|after| Cursor::of(&after)) });
                }
                after = Some(asset.asset_id);
                if !may_know(actor, &asset) {
                    continue;
                }
                let owners = standing(&mut conn, asset.owners.clone()).await?;
                if owners.iter().any(|owner| owner.standing == Standing::Known) {
                    continue;
                }
                let owners = owners
                    .into_iter()
                    .map(|owner| UnknownOwner { disabled: owner.standing == Standing::Disabled, name: owner.name });
                found.push(Orphan {
                    id: asset.asset_id,
                    workspace: asset.workspace,
                    name: asset.name.to_string(),
                    title: asset.title,
                    kind: asset.kind,
                    owners: owners.collect(),
                });
            }
            if is_last {
                return Ok(Page { items: found, total: None, next: None });
            }
        }
    }
}

fn may_know(actor: &Actor, asset: &Asset) -> bool {
    [Permission::WriteCatalog, Permission::ReviewAssets, Permission::ReadAudit]
        .into_iter()
        .any(|permission| actor.may(permission, asset.scope()))
}
