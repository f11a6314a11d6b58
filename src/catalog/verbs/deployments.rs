//! Where versions run.

use super::approvals::{redeploy, run_at};
use super::{Deed, if_match, made_servers, version_of};
use crate::auth::Actor;
use crate::base::DeploymentId;
use crate::catalog::approval::step::Step;
use crate::catalog::{Catalog, Deployment, Error, NewDeployment, asset, deployment, version};
use serde_json::json;

impl Catalog {
    /// Says that a version runs somewhere.
    ///
    /// # Errors
    /// 404 without such an asset or version, 403, 412, 422.
    pub async fn deploy(
        &self,
        actor: &Actor,
        (workspace, name, version): (&str, &str, &str),
        new: NewDeployment,
        revision: Option<i64>,
    ) -> Result<Deployment, Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let stored = version_of(&mut tx, &asset, version, true).await?;
        let watch = self.watch(actor, &mut tx, &asset, Some(&stored)).await?;

        let now = self.clock.now();
        let id = run_at(&mut tx, &asset, &stored, new.clone(), now).await?;
        let step = Step::Deploy { version: stored.name, deployment: Box::new(new) };
        let mut tx = self.pass_or_propose(actor, tx, &asset, watch, step).await?;
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let made = find(&mut tx, asset.asset_id, id).await?;
        let after = Some(json!({"version": made.version, "url": made.url, "environment": made.environment}));
        self.commit(tx, Deed { actor, asset: &asset, verb: "deploy", at: now, before: None, after }).await?;
        Ok(made)
    }

    /// Sets a deployment anew.
    ///
    /// # Errors
    /// As [`Catalog::deploy`]; 404 without such a deployment.
    pub async fn update_deployment(
        &self,
        actor: &Actor,
        (workspace, name): (&str, &str),
        id: DeploymentId,
        new: NewDeployment,
        revision: Option<i64>,
    ) -> Result<Deployment, Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let before = find(&mut tx, asset.asset_id, id).await?;
        let stored = version::find_any(&mut tx, asset.asset_id, &before.version).await?;
        let watch = self.watch(actor, &mut tx, &asset, stored.as_ref()).await?;

        let now = self.clock.now();
        redeploy(&mut tx, &asset, id, new.clone(), now).await?;
        let step = Step::Redeploy { id, deployment: Box::new(new) };
        let mut tx = self.pass_or_propose(actor, tx, &asset, watch, step).await?;
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let after = find(&mut tx, asset.asset_id, id).await?;
        let (was, is) = (Some(json!({"url": before.url})), Some(json!({"url": after.url})));
        self.commit(tx, Deed { actor, asset: &asset, verb: "update-deployment", at: now, before: was, after: is })
            .await?;
        Ok(after)
    }

    /// Says that a version no longer runs there.
    ///
    /// # Errors
    /// As [`Catalog::update_deployment`].
    pub async fn undeploy(
        &self,
        actor: &Actor,
        (workspace, name): (&str, &str),
        id: DeploymentId,
        revision: Option<i64>,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let before = find(&mut tx, asset.asset_id, id).await?;
        let stored = version::find_any(&mut tx, asset.asset_id, &before.version).await?;
        let watch = self.watch(actor, &mut tx, &asset, stored.as_ref()).await?;
        let now = self.clock.now();
        deployment::delete(&mut tx, id, now).await?;
        made_servers::refresh(&mut tx, &asset, now).await?;
        let mut tx = self.pass_or_propose(actor, tx, &asset, watch, Step::Undeploy { id }).await?;
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let was = Some(json!({"version": before.version, "url": before.url}));
        self.commit(tx, Deed { actor, asset: &asset, verb: "undeploy", at: now, before: was, after: None }).await
    }
}

async fn find(
    conn: &mut sqlx::PgConnection,
    asset: crate::base::AssetId,
    id: DeploymentId,
) -> Result<Deployment, Error> {
    deployment::find(conn, asset, id)
        .await?
        .ok_or_else(|| Error::PartNotFound { what: "deployment", name: id.to_string() })
}
