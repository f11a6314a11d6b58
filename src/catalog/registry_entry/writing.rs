//! The registry's verbs for what a version says: publish it, edit it. What all of the registry's verbs ask stands here too.

use super::{MOST_VERSIONS, RegistryEntry, VersionFilter, refusal, remotes};
use crate::auth::BindSight;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{AssetId, Name, Problem, WorkspaceId};
use crate::catalog::approval::step::Step;
use crate::catalog::draft::Draft;
use crate::catalog::verbs::{Deed, held, insert_version, replace_version};
use crate::catalog::{
    Asset, Catalog, Error, Kind, NewAsset, NewDefinition, NewVersion, Status, asset, metadata, version,
};
use crate::wire::Format;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;

impl Catalog {
    /// Publishes the version that `document`, a valid server.json, tells of; the server is registered with its first.
    ///
    /// Without a workspace it goes where the actor may publish and the server already is, else to the one workspace
    /// the actor publishes in, else to `default`.
    ///
    /// # Errors
    /// 401, 403; 404 for a workspace that is none; 400 when the version is there already, when a remote is another
    /// server's, or when the server has [`MOST_VERSIONS`]; 409 when the name is taken by something that is no server.
    pub async fn registry_publish(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        document: &Value,
    ) -> Result<RegistryEntry, Error> {
        let name = text(document, "name");
        let mut tx = self.begin().await?;
        let workspace = match workspace {
            Some(workspace) => workspace.to_owned(),
            None => self.workspace_to_publish_in(actor, &mut tx, name).await?,
        };
        let workspace = self.workspace_for(actor, &mut tx, &workspace, Permission::WriteCatalog).await?;
        self.permit_name(actor, &mut tx, workspace.workspace_id, name).await?;
        let mut draft = draft(document)?;
        if let Some(known) = asset_name(&mut tx, workspace.workspace_id, name).await? {
            draft.name = known;
        }
        let schemas = metadata::list(&mut tx, workspace.workspace_id).await?;

        let now = self.clock.now();
        let place = (workspace.workspace_id, &workspace.name);
        let (asks, _) = self.asks_approval(actor, &mut tx, workspace.workspace_id, None).await?;
        let flags = (workspace.default_visibility, !asks);
        let new = asset::insert(&mut tx, place, &draft, flags, now).await?.is_some();
        let asset = held(&mut tx, &workspace, &draft).await?;
        refuse_unfit(&asset)?;
        if new {
            metadata::check(&schemas, metadata::Carrier::Asset, &draft.metadata)?;
        }
        if version::find_any(&mut tx, asset.asset_id, &draft.version.name).await?.is_some() {
            return Err(refusal("Failed to publish server", "invalid version: cannot publish duplicate version"));
        }
        if count(&mut tx, asset.asset_id).await? >= MOST_VERSIONS {
            let message = format!("a server has at most {MOST_VERSIONS} versions");
            return Err(refusal("Failed to publish server", message));
        }
        remotes::refuse_taken_by_others(&mut tx, &asset, &urls(&draft), "Failed to publish server").await?;
        let version = insert_version(&mut tx, &asset, &draft.version, !asks, now).await?;
        if !new {
            self.follow_latest_if_seen(&mut tx, &asset, &draft, !asks, now).await?;
        }
        if asks {
            let words = (!new).then(|| Step::Words { draft: Box::new(draft.clone()) });
            self.ask_publication(actor, &mut tx, &asset, &version, words).await?;
        } else if !new {
            asset::follow_approvals(&mut tx, asset.asset_id).await?;
        }

        let verb = if new { "register" } else { "publish-version" };
        self.commit(tx, deed(actor, &asset, verb, now, &version.name)).await?;
        self.entry_of(actor, &asset, &version.name).await
    }

    /// Gives a version that is not deleted the contents of `document`, a valid server.json of the same name and version.
    ///
    /// # Errors
    /// 401, 403; 404 without such a version; 400 when the document is of another server or version, or when a remote is
    /// another server's.
    pub async fn registry_edit(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        (server, version): (&str, &str),
        document: &Value,
    ) -> Result<RegistryEntry, Error> {
        let mut tx = self.begin().await?;
        let asset = self.server_for_writing(actor, &mut tx, workspace, server).await?;
        let stored = version::find_any(&mut tx, asset.asset_id, version).await?;
        let stored = stored.filter(|stored| stored.status != Status::Deleted && asset.deleted_at.is_none());
        let stored = stored.ok_or_else(no_version)?;
        if text(document, "name") != server {
            return Err(refusal(
                "Failed to edit server",
                "cannot rename server: the name in the body differs from the path",
            ));
        }
        if text(document, "version") != version {
            return Err(Error::Problem(Problem::bad_request("Version in request body must match URL path parameter")));
        }
        let mut draft = draft(document)?;
        draft.name = asset.name.clone();
        draft.version.status = stored.status;
        draft.version.stage = stored.stage;
        draft.version.status_message.clone_from(&stored.status_message);

        let now = self.clock.now();
        remotes::refuse_taken_by_others(&mut tx, &asset, &urls(&draft), "Failed to edit server").await?;
        let watch = self.watch(actor, &mut tx, &asset, Some(&stored)).await?;
        replace_version(&mut tx, &asset, &stored, &draft.version, now).await?;
        self.follow_latest(&mut tx, &asset, &draft, now).await?;
        let step = Step::Replace { draft: Box::new(draft) };
        let tx = self.pass_or_propose(actor, tx, &asset, watch, step).await?;
        self.commit(tx, deed(actor, &asset, "update", now, version)).await?;
        self.entry_of(actor, &asset, version).await
    }

    /// The server of this registry name, held for writing.
    pub(super) async fn server_for_writing(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        workspace: Option<&str>,
        server: &str,
    ) -> Result<Asset, Error> {
        if actor.is_anonymous() {
            actor.require(Permission::WriteCatalog, Scope::Instance)?;
        }
        if let Some(workspace) = workspace {
            self.known_workspace(actor, &mut *conn, workspace).await?;
        }
        let places = places(&mut *conn, actor, workspace, server).await?;
        let writable =
            places.iter().find(|place| actor.may(Permission::WriteCatalog, Scope::Workspace(place.workspace_id)));
        let place =
            writable.or(places.first()).ok_or_else(|| Error::Problem(Problem::not_found("Server not found")))?;
        actor.require(Permission::WriteCatalog, Scope::Workspace(place.workspace_id))?;
        self.asset_for_writing(actor, conn, &place.workspace, &place.name, true).await
    }

    async fn workspace_to_publish_in(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        server: &str,
    ) -> Result<String, Error> {
        if actor.is_anonymous() {
            actor.require(Permission::WriteCatalog, Scope::Instance)?;
        }
        let may = |workspace: WorkspaceId| actor.may(Permission::WriteCatalog, Scope::Workspace(workspace));
        let places = places(&mut *conn, actor, None, server).await?;
        if let Some(place) = places.into_iter().find(|place| may(place.workspace_id)) {
            return Ok(place.workspace);
        }
        if let Some((namespace, _)) = server.split_once('/')
            && let Some(found) = self.publisher_of_namespace(namespace).await?
            && may(found.workspace_id)
        {
            return Ok(found.workspace);
        }
        let sight = actor.sight();
        if sight.everything {
            return Ok("default".to_owned());
        }
        let own: Vec<String> = sqlx::query_scalar(
            "select name from workspace where workspace_id = any($1) and deleted_at is null order by name <> 'default', name",
        )
        .bind(sight.workspaces.iter().copied().filter(|workspace| may(*workspace)).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
        match own.into_iter().next() {
            Some(workspace) => Ok(workspace),
            None => Err(actor
                .require(Permission::WriteCatalog, Scope::Instance)
                .map_or_else(Error::from, |()| no_version())),
        }
    }

    pub(super) async fn entry_of(&self, actor: &Actor, asset: &Asset, version: &str) -> Result<RegistryEntry, Error> {
        let version = VersionFilter::Named(version);
        let found =
            self.registry_entry(actor, Some(asset.workspace.as_str()), &asset.registry_name, version, true).await?;
        found.ok_or_else(no_version)
    }
}

pub(super) fn deed<'a>(
    actor: &'a Actor,
    asset: &'a Asset,
    verb: &'a str,
    at: OffsetDateTime,
    version: &str,
) -> Deed<'a> {
    Deed { actor, asset, verb, at, before: None, after: Some(json!({"version": version})) }
}

/// A place where a server of some registry name is.
#[derive(sqlx::FromRow)]
struct Place {
    workspace_id: WorkspaceId,
    workspace: String,
    name: String,
}

/// Where servers of this registry name are that the actor may see, the one the common view shows first.
async fn places(
    conn: &mut PgConnection,
    actor: &Actor,
    workspace: Option<&str>,
    server: &str,
) -> Result<Vec<Place>, sqlx::Error> {
    let sight = actor.sight();
    sqlx::query_as(
        "select a.workspace_id, w.name as workspace, a.name
         from asset a join workspace w using (workspace_id)
         where a.registry_name = $6 and a.kind = 'mcp' and w.deleted_at is null and ($7::text is null or w.name = $7)
           and asset_visible(a, $1, $2, $3, $4, $5)
         order by a.deleted_at is not null, w.name <> 'default', w.name, a.asset_id",
    )
    .bind_sight(sight)
    .bind(server)
    .bind(workspace)
    .fetch_all(conn)
    .await
}

/// The asset's name behind a registry name; the two differ where a plain slug was registered.
async fn asset_name(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    server: &str,
) -> Result<Option<Name>, sqlx::Error> {
    sqlx::query_scalar(
        "select name from asset where workspace_id = $1 and registry_name = $2 order by asset_id limit 1",
    )
    .bind(workspace)
    .bind(server)
    .fetch_optional(conn)
    .await
}

async fn count(conn: &mut PgConnection, asset: AssetId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from version where asset_id = $1").bind(asset).fetch_one(conn).await
}

/// Refuses what the name belongs to when it is deleted or no MCP server.
pub(super) fn refuse_unfit(asset: &Asset) -> Result<(), Error> {
    let (workspace, name) = (&asset.workspace, &asset.registry_name);
    let sentence = if asset.deleted_at.is_some() {
        format!("{name} was deleted from workspace {workspace}; restore it there first, or choose another name")
    } else if asset.kind != Kind::Mcp {
        format!("{name} of workspace {workspace} is a {} and no MCP server; choose another name", asset.kind)
    } else {
        return Ok(());
    };
    Err(Error::Problem(Problem::conflict("name-taken", sentence)))
}

fn draft(document: &Value) -> Result<Draft, Error> {
    let definition = NewDefinition {
        format: Some(Format::ServerJson.as_str().to_owned()),
        value: Some(document.clone()),
        ..NewDefinition::default()
    };
    let name =
        Name::parse(text(document, "name")).map_err(|error| Error::invalid_at("body.name", error.to_string()))?;
    let version = NewVersion { name: Some(text(document, "version").to_owned()), ..NewVersion::default() };
    Draft::of(NewAsset {
        name: Some(name),
        kind: Some(Kind::Mcp),
        version: Some(version),
        definition: Some(definition),
        ..NewAsset::default()
    })
}

fn urls(draft: &Draft) -> Vec<String> {
    draft.version.deployments.iter().map(|deployment| deployment.url.clone()).collect()
}

fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document.get(member).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn no_version() -> Error {
    Error::Problem(Problem::not_found("Server version not found"))
}
