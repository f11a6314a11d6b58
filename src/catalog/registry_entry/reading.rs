//! Reading entries, always within what the actor may see.

use super::{RegistryEntry, RegistryFilter, RegistryPlace, RegistryScope, Settled, VersionFilter, VersionPlace};
use crate::auth::Actor;
use crate::base::AssetId;
use crate::catalog::{Catalog, Error, Sight};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use time::{Duration, OffsetDateTime};

const COLUMNS: &str =
    "a.asset_id, v.version_id, v.order_key, w.name as workspace, a.registry_name, v.name as version, v.server,
       case when a.deleted_at is null then v.status else 'deleted' end as status, v.status_message,
       v.status_changed_at, v.published_at, v.updated_at, v.is_latest,
       v.stage, a.visibility, a.title, a.description, a.tags, a.owners, a.licence, a.icons
from asset a
join workspace w using (workspace_id)
join version v using (asset_id)
where a.kind = 'mcp' and v.server is not null and w.deleted_at is null";

impl Catalog {
    /// The entries behind `after`, by name and then from older to newer version, at most `limit`.
    ///
    /// # Errors
    /// 404 when the filter names a workspace the actor may not know of; 503 when the database does not answer.
    pub async fn registry_entries(
        &self,
        actor: &Actor,
        filter: &RegistryFilter<'_>,
        after: Option<&RegistryPlace>,
        limit: i64,
    ) -> Result<Vec<RegistryEntry>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let sight = self.registry_sight(actor, &mut conn, filter.scope).await?;
        let after = match after {
            Some(place) => Some(located(&mut conn, &sight, filter, place).await?),
            None => None,
        };
        Ok(list(&mut conn, &sight, filter, after, limit).await?)
    }

    /// The version of this name of a server, or its latest; a deleted one only `with_deleted`.
    ///
    /// # Errors
    /// 404 as [`Catalog::registry_entries`].
    pub async fn registry_entry(
        &self,
        actor: &Actor,
        scope: impl Into<RegistryScope<'_>>,
        server: &str,
        version: VersionFilter<'_>,
        with_deleted: bool,
    ) -> Result<Option<RegistryEntry>, Error> {
        let filter = RegistryFilter { scope: scope.into(), version, with_deleted, ..RegistryFilter::default() };
        Ok(self.of_server(actor, &filter, server, None, 1).await?.pop())
    }

    /// The versions of a server behind `after`, the last published first, at most `limit`.
    ///
    /// # Errors
    /// 404 as [`Catalog::registry_entries`].
    pub async fn registry_versions(
        &self,
        actor: &Actor,
        scope: impl Into<RegistryScope<'_>>,
        server: &str,
        with_deleted: bool,
        after: Option<&VersionPlace>,
        limit: i64,
    ) -> Result<Vec<RegistryEntry>, Error> {
        let filter = RegistryFilter { scope: scope.into(), with_deleted, ..RegistryFilter::default() };
        self.of_server(actor, &filter, server, after, limit).await
    }

    /// The latest versions of those of `ids` that the view over all workspaces, or this one, shows; in no order.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn registry_latest_of(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        ids: &[AssetId],
    ) -> Result<Vec<RegistryEntry>, Error> {
        let filter =
            RegistryFilter { scope: workspace.into(), version: VersionFilter::Latest, ..RegistryFilter::default() };
        let sight = actor.sight();
        let mut query = selection(sight, &filter, None);
        query.push(" and a.asset_id = any(").push_bind(ids).push(")");
        Ok(query.build_query_as().fetch_all(&self.db.read).await?)
    }

    /// Up to when every write is visible to whoever reads from now on.
    ///
    /// Writes are stamped before they are committed, so without this bound a reader who goes on from the newest stamp
    /// it saw would miss a write that was stamped earlier and committed later. A transaction of ours has its number
    /// before it is stamped (`Catalog::begin`): those that have one and are open are all that can still come.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn registry_settled(&self) -> Result<Settled, Error> {
        let now = self.clock.now();
        let oldest: Option<OffsetDateTime> = sqlx::query_scalar(
            "select min(xact_start) from pg_stat_activity
             where backend_xid is not null and datname = current_database() and pid <> pg_backend_pid()",
        )
        .fetch_one(&self.db.read)
        .await?;
        let until = oldest.map_or(now, |oldest| now.min(oldest - Duration::microseconds(1)));
        Ok(Settled { until, writes_open: oldest.is_some() })
    }

    /// What is seen there; the workspace must be one the actor may know of. Of `default` everybody may: clients are set to
    /// it before it has anything.
    async fn registry_sight(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        scope: RegistryScope<'_>,
    ) -> Result<Sight, Error> {
        match scope {
            RegistryScope::All | RegistryScope::Workspace("default") => {}
            RegistryScope::Workspace(workspace) => {
                self.known_workspace(actor, conn, workspace).await?;
            }
            RegistryScope::View(view) => return Ok(view.sight(actor)?),
        }
        Ok(actor.sight().clone())
    }

    async fn of_server(
        &self,
        actor: &Actor,
        filter: &RegistryFilter<'_>,
        server: &str,
        after: Option<&VersionPlace>,
        limit: i64,
    ) -> Result<Vec<RegistryEntry>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let sight = self.registry_sight(actor, &mut conn, filter.scope).await?;
        let mut query = selection(&sight, filter, None);
        query.push(" and a.registry_name = ").push_bind(server);
        if let Some(after) = after {
            query.push(" and (v.published_at, v.order_key, v.version_id) < (").push_bind(after.published_at);
            query.push(", ").push_bind(hex::decode(&after.order).unwrap_or_default());
            query.push(", ").push_bind(after.version).push(")");
        }
        query.push(" order by v.published_at desc, v.order_key desc, v.version_id desc limit ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&mut *conn).await?)
    }
}

/// Where a list goes on.
enum After {
    Entry { name: String, order: Vec<u8>, version: uuid::Uuid },
    Server(String),
}

/// A place another registry's cursor names, found among our entries; what is not there is behind all of the server.
async fn located(
    conn: &mut PgConnection,
    sight: &Sight,
    filter: &RegistryFilter<'_>,
    place: &RegistryPlace,
) -> Result<After, sqlx::Error> {
    let (name, version) = match place {
        RegistryPlace::Entry { name, order, version } => {
            let order = hex::decode(order).unwrap_or_default();
            return Ok(After::Entry { name: name.clone(), order, version: version.0 });
        }
        RegistryPlace::Named { name, version: None } => return Ok(After::Server(name.clone())),
        RegistryPlace::Named { name, version: Some(version) } => (name, version),
    };
    let one = RegistryFilter {
        scope: filter.scope,
        version: VersionFilter::Named(version),
        with_deleted: true,
        ..RegistryFilter::default()
    };
    let mut query = selection(sight, &one, None);
    query.push(" and a.registry_name = ").push_bind(name).push(" limit 1");
    let found: Option<RegistryEntry> = query.build_query_as().fetch_optional(conn).await?;
    Ok(match found {
        Some(entry) => After::Entry { name: name.clone(), order: entry.order_key, version: entry.version_id.0 },
        None => After::Server(name.clone()),
    })
}

async fn list(
    conn: &mut PgConnection,
    sight: &Sight,
    filter: &RegistryFilter<'_>,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<RegistryEntry>, sqlx::Error> {
    let from = after.as_ref().map(|(After::Server(name) | After::Entry { name, .. })| name.as_str());
    let mut query = selection(sight, filter, from);
    if let Some(from) = from {
        // Says nothing new, but an index can use it.
        query.push(" and a.registry_name >= ").push_bind(from.to_owned());
    }
    match &after {
        None => {}
        Some(After::Server(name)) => {
            query.push(" and a.registry_name > ").push_bind(name);
        }
        Some(After::Entry { name, order, version }) => {
            query.push(" and (a.registry_name, v.order_key, v.version_id) > (").push_bind(name);
            query.push(", ").push_bind(order).push(", ").push_bind(version).push(")");
        }
    }
    query.push(" order by a.registry_name, v.order_key, v.version_id limit ").push_bind(limit);
    query.build_query_as().fetch_all(conn).await
}

/// The select statement of the entries that `sight` may see and the filter lets pass.
///
/// `from` is a name before which nothing is asked for; it spares the search for namesakes those before it.
fn selection(sight: &Sight, filter: &RegistryFilter<'_>, from: Option<&str>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("select ");
    query.push(COLUMNS).push(" and ");
    sight.push_asset_visible(&mut query, "a");
    query.push(" and ");
    sight.push_version_visible(&mut query, "v", "a");
    if let RegistryScope::View(view) = filter.scope {
        view.push_shown(&mut query, "a", "w");
        if !view.filter.unapproved {
            query.push(" and v.is_approved");
        }
    }
    match filter.scope {
        RegistryScope::Workspace(workspace) => {
            query.push(" and w.name = ").push_bind(workspace.to_owned());
        }
        RegistryScope::All | RegistryScope::View(_) => {
            query.push(
                " and not exists (
                    select from asset b join workspace x on x.workspace_id = b.workspace_id
                    where b.registry_name = a.registry_name and b.asset_id <> a.asset_id and b.kind = 'mcp'
                      and x.deleted_at is null
                      and (b.deleted_at is not null, x.name <> 'default', x.name, b.asset_id)
                        < (a.deleted_at is not null, w.name <> 'default', w.name, a.asset_id) and ",
            );
            sight.push_asset_visible(&mut query, "b");
            if let RegistryScope::View(view) = filter.scope {
                view.push_shown(&mut query, "b", "x");
            }
            if let Some(from) = from {
                query.push(" and b.registry_name >= ").push_bind(from.to_owned());
            }
            query.push(")");
        }
    }
    match filter.version {
        VersionFilter::All => {}
        VersionFilter::Latest => {
            query.push(" and v.is_latest");
        }
        VersionFilter::Named(name) => {
            query.push(" and v.name = ").push_bind(name.to_owned());
        }
    }
    if !filter.with_deleted {
        query.push(" and a.deleted_at is null and v.status <> 'deleted'");
    }
    if let Some(search) = filter.search {
        // Folding the case of every script costs three times as much as of ASCII alone, which does for ASCII words.
        let collation = if search.is_ascii() { " collate \"C\"" } else { "" };
        let escaped = search.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        query.push(" and lower((a.registry_name || chr(1) || a.title || chr(1) || a.summary)").push(collation);
        query.push(") like ").push_bind(format!("%{escaped}%"));
    }
    if let Some(after) = filter.updated_after {
        query.push(" and v.updated_at > ").push_bind(after);
    }
    if let Some(until) = filter.updated_until {
        query.push(" and v.updated_at <= ").push_bind(until);
    }
    query
}
