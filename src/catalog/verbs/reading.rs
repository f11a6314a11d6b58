//! Reading: each verb gives what the actor may see, and answers for the rest as if it did not exist.

use super::version_of;
use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{AssetId, Cursor, Limit, Page};
use crate::catalog::diff::{self, VersionDiff};
use crate::catalog::{
    Asset, Card, CardFilter, Catalog, Definition, Deployment, Error, Kind, Mark, NamedChange, Sight, Version, asset,
    card, change, definition, deployment, operation, version,
};
use crate::wire::Operation;
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An asset with its latest version.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssetDetail {
    #[serde(flatten)]
    pub asset: Asset,
    /// The latest one; absent when all versions are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    pub version_count: i64,
    /// Of the latest version, as the two below.
    pub operation_count: i64,
    pub definitions: Vec<Definition>,
    pub deployments: Vec<Deployment>,
}

/// One version with what hangs on it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionDetail {
    #[serde(skip)]
    pub asset: Asset,
    #[serde(flatten)]
    pub version: Version,
    pub operation_count: i64,
    pub definitions: Vec<Definition>,
    pub deployments: Vec<Deployment>,
}

/// A document with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionContent {
    pub asset: Asset,
    pub version: Version,
    pub definition: Definition,
    pub content: Vec<u8>,
}

impl Catalog {
    /// The asset of this name.
    ///
    /// # Errors
    /// 404 when there is none the actor may see.
    pub async fn find(&self, actor: &Actor, workspace: &str, name: &str) -> Result<AssetDetail, Error> {
        let mut conn = self.db.read.acquire().await?;
        let sight = actor.sight();
        let asset = visible(&mut conn, sight, workspace, name).await?;
        let inside = sight.is_inside(asset.workspace_id, asset.asset_id);
        let version = version::find(&mut conn, asset.asset_id, None, inside).await?;
        let version_count = version::count(&mut conn, asset.asset_id, inside).await?;
        let (operation_count, definitions, deployments) = hanging_on(&mut conn, &asset, version.as_ref()).await?;
        Ok(AssetDetail { asset, version, version_count, operation_count, definitions, deployments })
    }

    /// A version of an asset; `latest` is the latest one.
    ///
    /// # Errors
    /// 404 when there is none the actor may see.
    pub async fn version(&self, actor: &Actor, path: (&str, &str, &str)) -> Result<VersionDetail, Error> {
        let mut conn = self.db.read.acquire().await?;
        let (asset, version) = visible_version(&mut conn, actor.sight(), path).await?;
        let (operation_count, definitions, deployments) = hanging_on(&mut conn, &asset, Some(&version)).await?;
        Ok(VersionDetail { asset, version, operation_count, definitions, deployments })
    }

    /// The versions of an asset, latest first, without deleted ones.
    ///
    /// # Errors
    /// 404 as [`Catalog::find`]; 422 for a cursor that is none.
    pub async fn versions(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<(Asset, Page<Version>), Error> {
        let mut conn = self.db.read.acquire().await?;
        let sight = actor.sight();
        let asset = visible(&mut conn, sight, workspace, name).await?;
        let inside = sight.is_inside(asset.workspace_id, asset.asset_id);
        let from = offset(cursor)?;
        let total = version::count(&mut conn, asset.asset_id, inside).await?;
        let items = version::list(&mut conn, asset.asset_id, (inside, false), from, to_i64(limit.0)).await?;
        Ok((asset, page_by_offset(items, total, from)))
    }

    /// The operations or tools of a version, in the document's order; their `detail` only when asked for.
    ///
    /// # Errors
    /// 404 as [`Catalog::version`]; 422 for a cursor that is none.
    pub async fn operations(
        &self,
        actor: &Actor,
        path: (&str, &str, &str),
        cursor: Option<&Cursor>,
        limit: Limit,
        with_detail: bool,
    ) -> Result<(Asset, Version, Page<Operation>), Error> {
        let mut conn = self.db.read.acquire().await?;
        let (asset, version) = visible_version(&mut conn, actor.sight(), path).await?;
        let from = offset(cursor)?;
        let total = operation::count(&mut conn, version.version_id).await?;
        let items = operation::list(&mut conn, version.version_id, from, to_i64(limit.0), with_detail).await?;
        Ok((asset, version, page_by_offset(items, total, from)))
    }

    /// One operation or tool with its schemas.
    ///
    /// # Errors
    /// 404.
    pub async fn operation(
        &self,
        actor: &Actor,
        path: (&str, &str, &str),
        operation: &str,
    ) -> Result<(Asset, Version, Operation), Error> {
        let mut conn = self.db.read.acquire().await?;
        let (asset, version) = visible_version(&mut conn, actor.sight(), path).await?;
        let found =
            operation::find(&mut conn, version.version_id, operation).await?.ok_or_else(|| Error::PartNotFound {
                what: if asset.kind == Kind::Mcp { "tool" } else { "operation" },
                name: operation.to_owned(),
            })?;
        Ok((asset, version, found))
    }

    /// A document of a version with its bytes: the one of this name, or the first.
    ///
    /// # Errors
    /// 404.
    pub async fn definition(
        &self,
        actor: &Actor,
        path: (&str, &str, &str),
        document: Option<&str>,
    ) -> Result<DefinitionContent, Error> {
        let mut conn = self.db.read.acquire().await?;
        let (asset, version) = visible_version(&mut conn, actor.sight(), path).await?;
        let all = definition::list(&mut conn, version.version_id).await?;
        let found = all.into_iter().find(|one| document.is_none_or(|name| one.name == name));
        let definition = found.ok_or_else(|| Error::PartNotFound {
            what: "definition",
            name: document.unwrap_or("of this version").to_owned(),
        })?;
        let content = definition::content(&mut conn, definition.definition_id).await?;
        Ok(DefinitionContent { asset, version, definition, content })
    }

    /// Where an asset runs: all its versions, or one of them.
    ///
    /// # Errors
    /// 404.
    pub async fn deployments(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<(Asset, Vec<Deployment>), Error> {
        let mut conn = self.db.read.acquire().await?;
        let sight = actor.sight();
        let (asset, version) = match version {
            Some(version) => {
                let (asset, version) = visible_version(&mut conn, sight, (workspace, name, version)).await?;
                (asset, Some(version.version_id))
            }
            None => (visible(&mut conn, sight, workspace, name).await?, None),
        };
        let mut found = deployment::list(&mut conn, asset.asset_id, version).await?;
        if version.is_none() && !sight.is_inside(asset.workspace_id, asset.asset_id) {
            // Where a version runs that waits for approval is told to those only who may see the version.
            let seen = version::list(&mut conn, asset.asset_id, (false, true), 0, i64::MAX).await?;
            found.retain(|one| seen.iter().any(|version| version.name == one.version));
        }
        Ok((asset, found))
    }

    /// What changed from version `from` to version `to` of an asset; either may be `latest`.
    ///
    /// # Errors
    /// 404 without such an asset or version.
    pub async fn diff(
        &self,
        actor: &Actor,
        (workspace, name): (&str, &str),
        from: &str,
        to: &str,
    ) -> Result<VersionDiff, Error> {
        let (old, old_operations) = self.whole_version(actor, (workspace, name, from)).await?;
        let (new, new_operations) = self.whole_version(actor, (workspace, name, to)).await?;
        Ok(diff::between((&old, &old_operations), (&new, &new_operations)))
    }

    async fn whole_version(
        &self,
        actor: &Actor,
        path: (&str, &str, &str),
    ) -> Result<(VersionDetail, Vec<Operation>), Error> {
        let detail = self.version(actor, path).await?;
        let mut conn = self.db.read.acquire().await?;
        let operations = operation::list(&mut conn, detail.version.version_id, 0, i64::MAX, true).await?;
        Ok((detail, operations))
    }

    /// Who did what to an asset, newest first; `before` is the last line of the page before.
    ///
    /// # Errors
    /// 404 when there is none the actor may see, 401 or 403 for those who may not write it; 422 for a cursor that is none.
    pub async fn history(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<audit::Record>, Error> {
        let mut conn = self.db.read.acquire().await?;
        if actor.is_anonymous() {
            actor.require(Permission::WriteCatalog, Scope::Instance)?;
        }
        let asset = visible(&mut conn, actor.sight(), workspace, name).await?;
        actor.require(Permission::WriteCatalog, asset.scope())?;
        crate::catalog::namespace::permit_by_key(actor, &asset.registry_name)?;
        let before: Option<i64> = match cursor {
            None => None,
            Some(cursor) => Some(cursor.place().map_err(|bad| Error::invalid_at("query.cursor", bad.to_string()))?),
        };
        let mut items = audit::of_subject(&mut conn, asset.asset_id.0, before, to_i64(limit.0) + 1).await?;
        let more = items.len() > limit.0;
        items.truncate(limit.0);
        let next = items.last().filter(|_| more).map(|last| Cursor::of(&last.sequence));
        Ok(Page { items, total: None, next })
    }

    /// The server.json the MCP registry API shows of a version, as compact JSON; none for what is no MCP server.
    ///
    /// # Errors
    /// 404.
    pub async fn server_document(&self, actor: &Actor, path: (&str, &str, &str)) -> Result<Option<String>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let (_, version) = visible_version(&mut conn, actor.sight(), path).await?;
        Ok(version::server(&mut conn, version.version_id).await?)
    }

    /// The assets the actor may see, newest change first.
    ///
    /// # Errors
    /// 422 for a cursor that is none.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: &CardFilter,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<Card>, Error> {
        let sight = actor.sight();
        let mut conn = self.db.read.acquire().await?;
        let before = match cursor {
            None => None,
            Some(cursor) => {
                let (at, id): (i64, AssetId) =
                    cursor.place().map_err(|bad| Error::invalid_at("query.cursor", bad.to_string()))?;
                let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000)
                    .map_err(|error| Error::invalid_at("query.cursor", error.to_string()))?;
                Some((at, id))
            }
        };
        // Counted first: what changes meanwhile makes the count old, not the next one.
        let total = self.length(&mut conn, sight, filter).await?;
        let mut items = card::list(&mut conn, sight, filter, before, to_i64(limit.0) + 1).await?;
        let more = items.len() > limit.0;
        items.truncate(limit.0);
        let next = items.last().filter(|_| more).map(|last| {
            let micros = i64::try_from(last.updated_at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
            Cursor::of(&(micros, last.asset_id))
        });
        Ok(Page { items, total: Some(total.unsigned_abs()), next })
    }

    /// At most 20 assets of this name that the actor may see, whatever their workspace; the registry's name counts too.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn named(&self, actor: &Actor, name: &str) -> Result<Vec<Card>, Error> {
        Ok(card::named(&mut *self.db.read.acquire().await?, actor.sight(), name).await?)
    }

    /// The change lines after `mark` of what the actor may see, in commit order, at most `limit`.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn changes(&self, actor: &Actor, mark: Mark, limit: Limit) -> Result<Vec<NamedChange>, Error> {
        let mut conn = self.db.read.acquire().await?;
        Ok(change::visible_after(&mut conn, actor.sight(), mark, to_i64(limit.0)).await?)
    }

    /// The newest change lines of live assets the actor may see, in one workspace or all, newest first.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn newest_changes(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        limit: Limit,
    ) -> Result<Vec<NamedChange>, Error> {
        let mut conn = self.db.read.acquire().await?;
        Ok(change::visible_newest(&mut conn, actor.sight(), workspace, to_i64(limit.0)).await?)
    }
}

pub(super) async fn visible(
    conn: &mut PgConnection,
    sight: &Sight,
    workspace: &str,
    name: &str,
) -> Result<Asset, Error> {
    asset::find(conn, sight, workspace, name, false)
        .await?
        .ok_or_else(|| Error::AssetNotFound { workspace: workspace.to_owned(), name: name.to_owned() })
}

async fn visible_version(
    conn: &mut PgConnection,
    sight: &Sight,
    (workspace, name, version): (&str, &str, &str),
) -> Result<(Asset, Version), Error> {
    let asset = visible(&mut *conn, sight, workspace, name).await?;
    let inside = sight.is_inside(asset.workspace_id, asset.asset_id);
    let found = version_of(conn, &asset, version, inside).await?;
    Ok((asset, found))
}

async fn hanging_on(
    conn: &mut PgConnection,
    asset: &Asset,
    version: Option<&Version>,
) -> Result<(i64, Vec<Definition>, Vec<Deployment>), Error> {
    let Some(version) = version else { return Ok((0, Vec::new(), Vec::new())) };
    Ok((
        operation::count(&mut *conn, version.version_id).await?,
        definition::list(&mut *conn, version.version_id).await?,
        deployment::list(conn, asset.asset_id, Some(version.version_id)).await?,
    ))
}

fn offset(cursor: Option<&Cursor>) -> Result<i64, Error> {
    let Some(cursor) = cursor else { return Ok(0) };
    let place: u32 = cursor.place().map_err(|bad| Error::invalid_at("query.cursor", bad.to_string()))?;
    Ok(i64::from(place))
}

fn page_by_offset<T>(items: Vec<T>, total: i64, from: i64) -> Page<T> {
    let end = from + to_i64(items.len());
    let next = (!items.is_empty() && end < total).then(|| Cursor::of(&end));
    Page { items, total: Some(total.unsigned_abs()), next }
}

pub(super) fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
