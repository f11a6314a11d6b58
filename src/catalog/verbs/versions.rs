//! Moving versions through their life, and taking them away.

use super::approvals::detach_document;
use super::{Deed, if_match, version_of};
use crate::auth::Actor;
use crate::catalog::approval::step::Step;
use crate::catalog::{Catalog, Error, Status, Version, VersionPatch, asset, version};
use serde_json::json;

impl Catalog {
    /// Sets the stage of a version, and with it the status the registry's readers see.
    ///
    /// # Errors
    /// 404 without such an asset or version, 403, 412, 422 for a message of more than 500 characters.
    pub async fn update_version(
        &self,
        actor: &Actor,
        (workspace, name, version): (&str, &str, &str),
        patch: VersionPatch,
        revision: Option<i64>,
    ) -> Result<Version, Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let before = version_of(&mut tx, &asset, version, true).await?;
        let message = patch.status_message.or(before.status_message.clone());
        if message.as_ref().is_some_and(|message| message.chars().count() > 500 || message.contains('\0')) {
            return Err(Error::invalid_at("body.statusMessage", "at most 500 characters, none of them U+0000"));
        }

        let now = self.clock.now();
        let stage = patch.stage.unwrap_or(before.stage);
        let message = if stage.status() == Status::Active { None } else { message };
        version::set_state(&mut tx, before.version_id, stage, stage.status(), message.as_deref(), now).await?;
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let after = version_of(&mut tx, &asset, &before.name, true).await?;
        let (was, is) = (
            json!({"version": before.name, "stage": before.stage}),
            json!({"version": after.name, "stage": after.stage}),
        );
        let leaves = after.stage.status() == Status::Deprecated && before.stage.status() != Status::Deprecated;
        let verb = if leaves { "deprecate" } else { "update-version" };
        self.commit(tx, Deed { actor, asset: &asset, verb, at: now, before: Some(was), after: Some(is) }).await?;
        Ok(after)
    }

    /// Takes a version out of sight; the registry's status call brings it back.
    ///
    /// # Errors
    /// As [`Catalog::update_version`].
    pub async fn delete_version(
        &self,
        actor: &Actor,
        (workspace, name, version): (&str, &str, &str),
        revision: Option<i64>,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let before = version_of(&mut tx, &asset, version, true).await?;
        let now = self.clock.now();
        let gone = (Status::Deleted, None, before.source_digest.as_slice());
        self.move_version(&mut tx, &asset, &before, gone, now).await?;
        let was = Some(json!({"version": before.name, "stage": before.stage}));
        self.commit(tx, Deed { actor, asset: &asset, verb: "delete-version", at: now, before: was, after: None }).await
    }

    /// Takes a document off a version; what was read from it stays.
    ///
    /// # Errors
    /// As [`Catalog::update_version`]; 404 when the version has no document of this name.
    pub async fn remove_definition(
        &self,
        actor: &Actor,
        (workspace, name, version): (&str, &str, &str),
        document: &str,
        revision: Option<i64>,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let stored = version_of(&mut tx, &asset, version, true).await?;
        let watch = self.watch(actor, &mut tx, &asset, Some(&stored)).await?;
        let now = self.clock.now();
        detach_document(&mut tx, &stored, document, now).await?;
        let step = Step::Detach { version: stored.name.clone(), document: document.to_owned() };
        let mut tx = self.pass_or_propose(actor, tx, &asset, watch, step).await?;
        asset::touch(&mut tx, asset.asset_id, now).await?;
        let was = Some(json!({"version": stored.name, "definition": document}));
        self.commit(tx, Deed { actor, asset: &asset, verb: "remove-definition", at: now, before: was, after: None })
            .await
    }
}
