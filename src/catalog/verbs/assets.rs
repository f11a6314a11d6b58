//! Changing, deleting and restoring assets.

use super::register::known_groups;
use super::{Deed, if_match, made_servers};
use crate::auth::Actor;
use crate::catalog::approval::step::Step;
use crate::catalog::metadata::{self, Carrier};
use crate::catalog::wrong::Wrong;
use crate::catalog::{Asset, AssetPatch, Catalog, Error, asset, version};
use serde_json::{Value, json};
use sqlx::types::Json;

impl Catalog {
    /// Changes what `patch` names; the rest stays.
    ///
    /// # Errors
    /// 404 when the actor may not see it, 403 when it may not write it, 412 when `revision` is not the stored one, 422.
    /// [`Error::Proposed`] when other owners or more people who see it wait for approval; the rest is done then.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        patch: AssetPatch,
        revision: Option<i64>,
    ) -> Result<Asset, Error> {
        let mut tx = self.begin().await?;
        let before = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, before.revision)?;
        let mut after = patched(before.clone(), patch)?;
        let schemas = metadata::list(&mut tx, before.workspace_id).await?;
        if after.metadata != before.metadata {
            metadata::check(&schemas, Carrier::Asset, &after.metadata)?;
        }

        if after.shared_with != before.shared_with {
            known_groups(&mut tx, Some(&after.shared_with)).await?;
        }

        let watch = self.watch(actor, &mut tx, &before, None).await?;
        let now = self.clock.now();
        after.updated_at = now;
        let entrusted = entrusting(&after);
        asset::update(&mut tx, &after).await?;
        // What may pass by itself passes; what has to be approved waits.
        let waits = self.held_back(actor, &mut tx, &before, watch, entrusted).await?;
        if let Some(approval) = waits {
            after.owners.clone_from(&before.owners);
            after.visibility = before.visibility;
            after.shared_with.clone_from(&before.shared_with);
            if same(&before, &after) {
                tx.commit().await?;
                return Err(Error::Proposed(approval));
            }
            asset::update(&mut tx, &after).await?;
        }
        made_servers::refresh(&mut tx, &after, now).await?;
        version::touch_all(&mut tx, after.asset_id, false, now).await?;
        after.revision += 1;
        let (was, is) = difference(&before, &after);
        self.commit(tx, Deed { actor, asset: &after, verb: "update", at: now, before: Some(was), after: Some(is) })
            .await?;
        match waits {
            Some(approval) => Err(Error::Proposed(approval)),
            None => Ok(after),
        }
    }

    /// Takes an asset out of sight; it keeps its name and can be restored.
    ///
    /// # Errors
    /// As [`Catalog::update`].
    pub async fn delete(&self, actor: &Actor, workspace: &str, name: &str, revision: Option<i64>) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let mut asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        if_match(revision, asset.revision)?;
        let now = self.clock.now();
        let was = Some(json!({"title": asset.title, "visibility": asset.visibility, "owners": asset.owners}));
        asset.deleted_at = Some(now);
        asset.updated_at = now;
        asset::update(&mut tx, &asset).await?;
        version::touch_all(&mut tx, asset.asset_id, true, now).await?;
        self.commit(tx, Deed { actor, asset: &asset, verb: "delete", at: now, before: was, after: None }).await
    }

    /// Brings a deleted asset back as it was.
    ///
    /// # Errors
    /// 404 when there is none, 409 when it is not deleted.
    pub async fn restore(&self, actor: &Actor, workspace: &str, name: &str) -> Result<Asset, Error> {
        let mut tx = self.begin().await?;
        let mut asset = self.asset_for_writing(actor, &mut tx, workspace, name, true).await?;
        if asset.deleted_at.is_none() {
            return Err(Error::PartTaken { what: "name of a live asset", name: asset.name.to_string() });
        }
        let now = self.clock.now();
        asset.deleted_at = None;
        asset.updated_at = now;
        asset::update(&mut tx, &asset).await?;
        version::touch_all(&mut tx, asset.asset_id, true, now).await?;
        asset.revision += 1;
        self.commit(tx, Deed { actor, asset: &asset, verb: "restore", at: now, before: None, after: None }).await?;
        Ok(asset)
    }
}

/// What of an asset is guarded, as the step that sets it.
fn entrusting(after: &Asset) -> Step {
    Step::Entrust { owners: after.owners.clone(), visibility: after.visibility, shared_with: after.shared_with.clone() }
}

/// Whether nothing differs but the time.
fn same(before: &Asset, after: &Asset) -> bool {
    Asset { updated_at: before.updated_at, ..after.clone() } == *before
}

fn patched(mut asset: Asset, patch: AssetPatch) -> Result<Asset, Error> {
    let mut wrong = Wrong::default();
    if let Some(title) = patch.title {
        asset.title = wrong.text("body.title", title.trim(), 1..=300);
    }
    if let Some(summary) = patch.summary {
        asset.summary = wrong.text("body.summary", summary.trim(), 0..=1_000);
    }
    if let Some(description) = patch.description {
        asset.description = wrong.text("body.description", &description, 0..=200_000);
    }
    if let Some(tags) = patch.tags {
        asset.tags = wrong.words("body.tags", tags, 200, 100);
    }
    if let Some(owners) = patch.owners {
        asset.owners = wrong.words("body.owners", owners, 50, 200);
    }
    asset.visibility = patch.visibility.unwrap_or(asset.visibility);
    if let Some(groups) = patch.shared_with {
        asset.shared_with = wrong.words("body.sharedWith", groups, 100, 200);
    }
    asset.contacts = patch.contacts.map_or(asset.contacts, Json);
    asset.licence = patch.licence.map(Json).or(asset.licence);
    asset.external_docs = patch.external_docs.map_or(asset.external_docs, Json);
    asset.icons = patch.icons.map_or(asset.icons, Json);
    asset.metadata = patch.metadata.map_or(asset.metadata, Json);
    wrong.links(&asset.contacts, &asset.external_docs, &asset.icons);
    wrong.finish()?;
    Ok(asset)
}

/// The fields that differ, before and after.
fn difference(before: &Asset, after: &Asset) -> (Value, Value) {
    let (before, after) = (json!(before), json!(after));
    let differs = |name: &String| before[name] != after[name] && name != "updatedAt" && name != "revision";
    let of = |side: &Value| -> Value {
        let fields = side.as_object().into_iter().flatten().filter(|(name, _)| differs(name));
        Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    (of(&before), of(&after))
}
