//! The writes that can wait: each is one function, called by its verb, and again when what waited is approved.

use crate::base::{AssetId, DeploymentId};
use crate::catalog::approval::step::Step;
use crate::catalog::draft::{DefinitionDraft, DeploymentDraft, VersionDraft, refuse_errors};
use crate::catalog::metadata::{self, Carrier};
use crate::catalog::verbs::register::{environment_of, server_of};
use crate::catalog::verbs::{made_servers, register, version_of};
use crate::catalog::{
    Asset, Catalog, Error, Kind, NewDefinition, NewDeployment, Version, asset, definition, deployment, operation,
    version,
};
use sqlx::PgConnection;
use time::OffsetDateTime;

impl Catalog {
    /// Does a step on an asset as it is now.
    pub(super) async fn take_step(
        &self,
        conn: &mut PgConnection,
        id: AssetId,
        step: &Step,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let gone = || Error::AssetNotFound { workspace: String::new(), name: id.to_string() };
        let asset = asset::by_id(&mut *conn, id).await?.ok_or_else(gone)?;
        match step {
            Step::Entrust { owners, visibility, shared_with } => {
                register::known_groups(&mut *conn, Some(shared_with)).await?;
                let after = Asset {
                    owners: owners.clone(),
                    visibility: *visibility,
                    shared_with: shared_with.clone(),
                    updated_at: now,
                    ..asset
                };
                asset::update(&mut *conn, &after).await?;
                version::touch_all(conn, id, false, now).await?;
            }
            Step::Attach { version, definition } => {
                let stored = version_of(&mut *conn, &asset, version, true).await?;
                attach_document(conn, &asset, &stored, definition, now).await?;
            }
            Step::Detach { version, document } => {
                let stored = version_of(&mut *conn, &asset, version, true).await?;
                detach_document(conn, &stored, document, now).await?;
            }
            Step::Deploy { version, deployment } => {
                let stored = version_of(&mut *conn, &asset, version, true).await?;
                run_at(conn, &asset, &stored, deployment.as_ref().clone(), now).await?;
            }
            Step::Redeploy { id, deployment } => redeploy(conn, &asset, *id, deployment.as_ref().clone(), now).await?,
            Step::Undeploy { id } => {
                deployment::delete(&mut *conn, *id, now).await?;
                made_servers::refresh(conn, &asset, now).await?;
            }
            Step::Replace { draft } => {
                let stored = version_of(&mut *conn, &asset, &draft.version.name, true).await?;
                self.replace(conn, &asset, &stored, draft, now).await?;
            }
            Step::Words { draft } => self.follow_latest(conn, &asset, draft, now).await?,
        }
        Ok(())
    }
}

/// Attaches a document to a version, in place of one of the same name; what it says replaces what was read before.
pub async fn attach_document(
    conn: &mut PgConnection,
    asset: &Asset,
    stored: &Version,
    new: &NewDefinition,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let (definition, outline) = DefinitionDraft::read(new)?;
    refuse_errors(Some(&definition), &outline.findings)?;
    definition::put(&mut *conn, stored.version_id, &definition, now).await?;
    // A guide or a diagram beside the API description says nothing about operations.
    if Kind::of_format(definition.format) != Some(asset.kind) {
        return Ok(());
    }
    operation::delete_all(&mut *conn, stored.version_id).await?;
    operation::insert_all(&mut *conn, stored.version_id, &outline.operations).await?;
    let draft = VersionDraft {
        name: stored.name.clone(),
        stage: stored.stage,
        status: stored.status,
        status_message: None,
        published_at: None,
        updated_at: None,
        format_name: outline.format_name,
        source_digest: definition.digest(),
        definition: Some(definition),
        further: Vec::new(),
        operations: outline.operations,
        deployments: Vec::new(),
        findings: outline.findings,
    };
    let server = server_of(asset, &draft);
    version::update_source(conn, stored.version_id, &draft, server.as_deref(), now).await?;
    Ok(())
}

/// Takes a document off a version; what was read from it stays.
pub async fn detach_document(
    conn: &mut PgConnection,
    stored: &Version,
    document: &str,
    now: OffsetDateTime,
) -> Result<(), Error> {
    if definition::remove(conn, stored.version_id, document, now).await? {
        return Ok(());
    }
    Err(Error::PartNotFound { what: "definition", name: document.to_owned() })
}

/// Says that a version runs somewhere.
pub async fn run_at(
    conn: &mut PgConnection,
    asset: &Asset,
    stored: &Version,
    new: NewDeployment,
    now: OffsetDateTime,
) -> Result<DeploymentId, Error> {
    let draft = checked(&mut *conn, asset, new).await?;
    let environment = match &draft.environment {
        Some(name) => Some(environment_of(&mut *conn, asset.workspace_id, name, now).await?),
        None => None,
    };
    let id = deployment::insert(&mut *conn, stored.version_id, environment, &draft, i32::MAX, now).await?;
    made_servers::refresh(conn, asset, now).await?;
    Ok(id)
}

/// Sets a deployment anew.
pub async fn redeploy(
    conn: &mut PgConnection,
    asset: &Asset,
    id: DeploymentId,
    new: NewDeployment,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let draft = checked(&mut *conn, asset, new).await?;
    let environment = match &draft.environment {
        Some(name) => Some(environment_of(&mut *conn, asset.workspace_id, name, now).await?),
        None => None,
    };
    deployment::update(&mut *conn, id, environment, &draft, now).await?;
    made_servers::refresh(conn, asset, now).await?;
    Ok(())
}

async fn checked(conn: &mut PgConnection, asset: &Asset, new: NewDeployment) -> Result<DeploymentDraft, Error> {
    let draft = DeploymentDraft::of(new, "body")?;
    metadata::check(&metadata::list(conn, asset.workspace_id).await?, Carrier::Deployment, &draft.metadata)?;
    Ok(draft)
}
