//! Registering: a draft becomes an asset with a version, or a further version, or finds itself there already.

use super::approvals::attach_document;
use super::{Deed, if_match, version_of};
use crate::auth::{Actor, Permission, unknown_groups};
use crate::base::{EnvironmentId, Slug, VersionId, WorkspaceId};
use crate::catalog::approval::step::Step;
use crate::catalog::draft::{DeploymentDraft, Draft, VersionDraft};
use crate::catalog::metadata::{self, Carrier, MetadataSchema};
use crate::catalog::{
    Asset, Catalog, Error, Kind, NewAsset, NewDefinition, Stage, Version, Workspace, asset, definition, deployment,
    environment, operation, registry_name, server_document::server_document, version,
};
use crate::wire::Finding;
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;

/// What a registration gave.
#[derive(Clone, Debug)]
pub struct Registered {
    pub asset: Asset,
    pub version: Version,
    /// What is odd in the document though it was accepted.
    pub findings: Vec<Finding>,
    pub outcome: Outcome,
}

/// What came of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new asset.
    Registered,
    /// A new version, or new contents of a version that was there.
    Updated,
    /// Everything was there as the draft says.
    Unchanged,
    /// It changes what is approved, and waits for approval itself.
    Proposed,
}

impl Catalog {
    /// Registers a new asset in one call: with its version, definition, deployments.
    ///
    /// # Errors
    /// 401 or 403 without the right, 404 for the workspace, 409 when the name is taken, 422 with every wrong place.
    pub async fn register(&self, actor: &Actor, workspace: &str, new: NewAsset) -> Result<Registered, Error> {
        let mut tx = self.begin().await?;
        let workspace = self.workspace_for(actor, &mut tx, workspace, Permission::WriteCatalog).await?;
        let draft = Draft::of(new)?;
        self.permit_name(actor, &mut tx, workspace.workspace_id, &registry_name(&workspace.name, &draft.name)).await?;
        let schemas = metadata::list(&mut tx, workspace.workspace_id).await?;
        check_metadata(&schemas, &draft.metadata, &draft.version.deployments)?;
        known_groups(&mut tx, draft.shared_with.as_deref()).await?;

        let (asks, _) = self.asks_approval(actor, &mut tx, workspace.workspace_id, None).await?;

        let now = self.clock.now();
        let visibility = draft.visibility.unwrap_or(workspace.default_visibility);
        let place = (workspace.workspace_id, &workspace.name);
        let inserted = asset::insert(&mut tx, place, &draft, (visibility, !asks), now).await?;
        let Some(asset) = inserted else {
            return Err(taken(&mut tx, &workspace, &draft, actor).await?);
        };
        let version = insert_first_version(&mut tx, &asset, &draft.version, now).await?;
        if asks {
            self.ask_publication(actor, &mut tx, &asset, &version, None).await?;
        }
        self.commit(
            tx,
            Deed {
                actor,
                asset: &asset,
                verb: "register",
                at: now,
                before: None,
                after: Some(brief(&asset, &version)),
            },
        )
        .await?;
        Ok(Registered { asset, findings: version.findings.0.clone(), version, outcome: Outcome::Registered })
    }

    /// Adds a version to an asset.
    ///
    /// # Errors
    /// As [`Catalog::register`]; 409 when the asset has a version of this name.
    pub async fn publish_version(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        new: NewAsset,
    ) -> Result<Registered, Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        self.permit_name(actor, &mut tx, asset.workspace_id, &asset.registry_name).await?;
        let draft = VersionDraft::of(&asset.name, asset.kind, new)?;
        let schemas = metadata::list(&mut tx, asset.workspace_id).await?;
        check_metadata(&schemas, &Map::new(), &draft.deployments).or_else(only_deployments)?;

        let (asks, _) = self.asks_approval(actor, &mut tx, asset.workspace_id, Some(asset.asset_id)).await?;

        let now = self.clock.now();
        let version = insert_version(&mut tx, &asset, &draft, !asks, now).await?;
        if asks {
            self.ask_publication(actor, &mut tx, &asset, &version, None).await?;
        } else {
            asset::follow_approvals(&mut tx, asset.asset_id).await?;
        }
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let after = Some(brief(&asset, &version));
        self.commit(tx, Deed { actor, asset: &asset, verb: "publish-version", at: now, before: None, after }).await?;
        Ok(Registered { asset, findings: version.findings.0.clone(), version, outcome: Outcome::Updated })
    }

    /// Attaches a document to a version, in place of one of the same name; what it says replaces what was read before.
    ///
    /// # Errors
    /// As [`Catalog::register`]; 404 without such a version, 412 when `revision` is not the asset's.
    pub async fn attach_definition(
        &self,
        actor: &Actor,
        (workspace, name, version): (&str, &str, &str),
        new: &NewDefinition,
        revision: Option<i64>,
    ) -> Result<Registered, Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let stored = version_of(&mut tx, &asset, version, true).await?;
        let watch = self.watch(actor, &mut tx, &asset, Some(&stored)).await?;

        let now = self.clock.now();
        attach_document(&mut tx, &asset, &stored, new, now).await?;
        let step = Step::Attach { version: stored.name.clone(), definition: Box::new(new.clone()) };
        let mut tx = self.pass_or_propose(actor, tx, &asset, watch, step).await?;
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let version = version::find_any(&mut tx, asset.asset_id, &stored.name).await?.unwrap_or(stored);
        let after = Some(brief(&asset, &version));
        self.commit(tx, Deed { actor, asset: &asset, verb: "attach-definition", at: now, before: None, after }).await?;
        Ok(Registered { asset, findings: version.findings.0.clone(), version, outcome: Outcome::Updated })
    }

    /// Stores a draft whatever is there already: a new asset, a new version, new contents, or nothing when all is equal.
    ///
    /// Works in the caller's transaction, so that an import can store many at once. With `must_ask` what is new and what
    /// changes something approved waits for approval, whatever the workspace asks for.
    pub(in crate::catalog) async fn put(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        workspace: &Workspace,
        schemas: &[MetadataSchema],
        draft: &Draft,
        must_ask: bool,
    ) -> Result<(Outcome, String), Error> {
        let name = registry_name(&workspace.name, &draft.name);
        self.permit_name(actor, &mut *conn, workspace.workspace_id, &name).await?;
        check_metadata(schemas, &draft.metadata, &draft.version.deployments)?;
        known_groups(&mut *conn, draft.shared_with.as_deref()).await?;
        let now = self.clock.now();
        let visibility = draft.visibility.unwrap_or(workspace.default_visibility);
        let place = (workspace.workspace_id, &workspace.name);
        let asks = must_ask || self.asks_approval(actor, &mut *conn, workspace.workspace_id, None).await?.0;
        if let Some(asset) = asset::insert(&mut *conn, place, draft, (visibility, !asks), now).await? {
            let version = insert_first_version(&mut *conn, &asset, &draft.version, now).await?;
            if asks {
                self.ask_publication(actor, &mut *conn, &asset, &version, None).await?;
            }
            let after = Some(json!({"name": asset.name, "version": draft.version.name}));
            self.note(conn, &Deed { actor, asset: &asset, verb: "register", at: now, before: None, after }).await?;
            return Ok((Outcome::Registered, asset.registry_name));
        }
        let asset = held(&mut *conn, workspace, draft).await?;
        if asset.deleted_at.is_some() {
            return Err(Error::NameOfDeleted { workspace: workspace.name.clone(), name: draft.name.clone() });
        }
        if asset.kind != draft.kind {
            return Err(Error::invalid_at(
                "kind",
                format!("the asset is registered as {}, this says {}", asset.kind, draft.kind),
            ));
        }

        let verb = match version::find_any(&mut *conn, asset.asset_id, &draft.version.name).await? {
            Some(stored) if stored.source_digest == draft.version.source_digest => {
                return Ok((Outcome::Unchanged, asset.registry_name));
            }
            Some(stored) => {
                if must_ask && self.is_proposed_or_refused(actor, &mut *conn, &stored, draft).await? {
                    return Ok((Outcome::Unchanged, asset.registry_name));
                }
                let watch = match must_ask {
                    true => self.watch_always(&mut *conn, &asset, Some(&stored)).await?,
                    false => self.watch(actor, &mut *conn, &asset, Some(&stored)).await?,
                };
                self.replace(&mut *conn, &asset, &stored, draft, now).await?;
                let step = Step::Replace { draft: Box::new(draft.clone()) };
                if self.held_back(actor, &mut *conn, &asset, watch, step).await?.is_some() {
                    return Ok((Outcome::Proposed, asset.registry_name));
                }
                "update"
            }
            None => {
                let version = insert_version(&mut *conn, &asset, &draft.version, !asks, now).await?;
                if asks {
                    let words = Step::Words { draft: Box::new(draft.clone()) };
                    self.ask_publication(actor, &mut *conn, &asset, &version, Some(words)).await?;
                } else {
                    asset::follow_approvals(&mut *conn, asset.asset_id).await?;
                }
                self.follow_latest_if_seen(&mut *conn, &asset, draft, !asks, now).await?;
                "publish-version"
            }
        };
        let after = Some(json!({"name": asset.name, "version": draft.version.name}));
        self.note(conn, &Deed { actor, asset: &asset, verb, at: now, before: None, after }).await?;
        Ok((Outcome::Updated, asset.registry_name))
    }
}

/// Why an insert found the name taken, in words that tell no more than the actor may know.
async fn taken(conn: &mut PgConnection, workspace: &Workspace, draft: &Draft, actor: &Actor) -> Result<Error, Error> {
    let sight = actor.sight();
    let name = draft.name.clone();
    let found = asset::find(conn, sight, workspace.name.as_str(), name.as_str(), true).await?;
    Ok(match found {
        Some(found) if found.deleted_at.is_some() => Error::NameOfDeleted { workspace: workspace.name.clone(), name },
        _ => Error::NameTaken { workspace: workspace.name.clone(), name },
    })
}

pub(in crate::catalog) async fn held(
    conn: &mut PgConnection,
    workspace: &Workspace,
    draft: &Draft,
) -> Result<Asset, Error> {
    asset::lock(conn, workspace.workspace_id, &draft.name)
        .await?
        .ok_or_else(|| Error::AssetNotFound { workspace: workspace.name.to_string(), name: draft.name.to_string() })
}

/// Refuses to share with groups that are not there: a group made later under the name must not fall heir to it.
pub(super) async fn known_groups(conn: &mut PgConnection, groups: Option<&[String]>) -> Result<(), Error> {
    let Some(groups) = groups.filter(|groups| !groups.is_empty()) else { return Ok(()) };
    match unknown_groups(conn, groups).await?.first() {
        None => Ok(()),
        Some(name) => Err(Error::invalid_at("body.sharedWith", format!("there is no group named {name}"))),
    }
}

fn check_metadata(
    schemas: &[MetadataSchema],
    of_asset: &Map<String, Value>,
    deployments: &[DeploymentDraft],
) -> Result<(), Error> {
    metadata::check(schemas, Carrier::Asset, of_asset)?;
    deployments.iter().try_for_each(|deployment| metadata::check(schemas, Carrier::Deployment, &deployment.metadata))
}

/// A further version brings no metadata of the asset: that the asset lacks some is not this version's fault.
fn only_deployments(error: Error) -> Result<(), Error> {
    match error {
        Error::Invalid { ref errors, .. }
            if errors.iter().all(|wrong| wrong.message.contains("required for every asset")) =>
        {
            Ok(())
        }
        other => Err(other),
    }
}

pub(super) fn server_of(asset: &Asset, draft: &VersionDraft) -> Option<String> {
    (asset.kind == Kind::Mcp)
        .then(|| server_document(&asset.registry_name, &asset.title, &asset.summary, &asset.description, draft))
}

/// Stores the first version of an asset that was just made.
async fn insert_first_version(
    conn: &mut PgConnection,
    asset: &Asset,
    draft: &VersionDraft,
    now: OffsetDateTime,
) -> Result<Version, Error> {
    let server = server_of(asset, draft);
    let flags = (true, asset.is_approved);
    let version = version::insert(&mut *conn, asset.asset_id, draft, server.as_deref(), flags, now)
        .await?
        .ok_or_else(|| Error::VersionTaken { asset: asset.name.clone(), version: draft.name.clone() })?;
    attach(conn, asset.workspace_id, version.version_id, draft, now).await?;
    Ok(version)
}

/// Stores a version with all that hangs on it, and chooses the latest anew.
pub(in crate::catalog) async fn insert_version(
    conn: &mut PgConnection,
    asset: &Asset,
    draft: &VersionDraft,
    is_approved: bool,
    now: OffsetDateTime,
) -> Result<Version, Error> {
    let server = server_of(asset, draft);
    let version = version::insert(&mut *conn, asset.asset_id, draft, server.as_deref(), (false, is_approved), now)
        .await?
        .ok_or_else(|| Error::VersionTaken { asset: asset.name.clone(), version: draft.name.clone() })?;
    attach(&mut *conn, asset.workspace_id, version.version_id, draft, now).await?;
    version::choose_latest(&mut *conn, asset.asset_id, now).await?;
    version::find_any(conn, asset.asset_id, &draft.name)
        .await?
        .ok_or_else(|| Error::VersionNotFound { asset: asset.name.to_string(), version: draft.name.clone() })
}

/// Gives a stored version the contents of a draft. Its stage stays unless the draft's status says otherwise.
pub(in crate::catalog) async fn replace_version(
    conn: &mut PgConnection,
    asset: &Asset,
    stored: &Version,
    draft: &VersionDraft,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let server = server_of(asset, draft);
    version::update_source(&mut *conn, stored.version_id, draft, server.as_deref(), now).await?;
    if stored.status != draft.status || stored.status_message != draft.status_message {
        let stage: Stage = stored.stage.after(draft.status);
        version::set_state(&mut *conn, stored.version_id, stage, draft.status, draft.status_message.as_deref(), now)
            .await?;
    }
    operation::delete_all(&mut *conn, stored.version_id).await?;
    deployment::delete_all(&mut *conn, stored.version_id, now).await?;
    for replaced in draft.definition.iter().chain(&draft.further) {
        definition::remove(&mut *conn, stored.version_id, replaced.name.as_str(), now).await?;
    }
    attach(&mut *conn, asset.workspace_id, stored.version_id, draft, now).await?;
    version::choose_latest(conn, asset.asset_id, now).await?;
    Ok(())
}

async fn attach(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    version: VersionId,
    draft: &VersionDraft,
    now: OffsetDateTime,
) -> Result<(), Error> {
    for definition in draft.definition.iter().chain(&draft.further) {
        definition::insert(&mut *conn, version, definition, now).await?;
    }
    operation::insert_all(&mut *conn, version, &draft.operations).await?;
    for (position, one) in (0..).zip(&draft.deployments) {
        let environment = match &one.environment {
            Some(name) => Some(environment_of(&mut *conn, workspace, name, now).await?),
            None => None,
        };
        deployment::insert(&mut *conn, version, environment, one, position, now).await?;
    }
    Ok(())
}

/// The environment of this name, made when it is not there: one call registers all.
pub(in crate::catalog) async fn environment_of(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    name: &Slug,
    now: OffsetDateTime,
) -> Result<EnvironmentId, Error> {
    if let Some(found) = environment::find(&mut *conn, workspace, name.as_str()).await? {
        return Ok(found.environment_id);
    }
    let made = crate::catalog::Environment {
        environment_id: EnvironmentId::new(),
        workspace_id: workspace,
        name: name.clone(),
        title: name.to_string(),
        description: String::new(),
        kind: environment::kind_of(name).to_owned(),
        server_type: String::new(),
        url: None,
        onboarding: String::new(),
        metadata: Json(Map::new()),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    environment::insert(conn, &made).await?;
    Ok(made.environment_id)
}

/// What the audit record keeps of a registration.
fn brief(asset: &Asset, version: &Version) -> Value {
    json!({"name": asset.name, "kind": asset.kind, "visibility": asset.visibility, "version": version.name, "stage": version.stage})
}
