//! The addresses of remotes: one belongs to one server of a workspace.

use super::refusal;
use crate::base::VersionId;
use crate::catalog::{Asset, Error};
use sqlx::PgConnection;

/// Where a version can be reached.
pub(super) async fn of_version(conn: &mut PgConnection, version: VersionId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("select url from deployment where version_id = $1 and deleted_at is null")
        .bind(version)
        .fetch_all(conn)
        .await
}

/// Refuses addresses at which another live server of the workspace is; what other workspaces have may not be told.
pub(super) async fn refuse_taken_by_others(
    conn: &mut PgConnection,
    asset: &Asset,
    urls: &[String],
    what: &'static str,
) -> Result<(), Error> {
    if urls.is_empty() {
        return Ok(());
    }
    // Held until the end of the transaction, so that two who publish one address at once see one another. Always taken in
    // one order, so that neither waits for the other.
    sqlx::query(
        "select pg_advisory_xact_lock(key)
         from (select distinct hashtextextended(url, 0) as key from unnest($1::text[]) as url order by key) ordered",
    )
    .bind(urls)
    .execute(&mut *conn)
    .await?;
    let taken: Option<(String, String)> = sqlx::query_as(
        "select d.url, a.registry_name
         from deployment d
         join version v using (version_id)
         join asset a using (asset_id)
         where d.url = any($1) and d.deleted_at is null and v.status <> 'deleted' and a.deleted_at is null
           and a.kind = 'mcp' and a.workspace_id = $2 and a.asset_id <> $3
         limit 1",
    )
    .bind(urls)
    .bind(asset.workspace_id)
    .bind(asset.asset_id)
    .fetch_optional(conn)
    .await?;
    match taken {
        Some((url, by)) => Err(refusal(what, format!("remote URL {url} is already used by server {by}"))),
        None => Ok(()),
    }
}
