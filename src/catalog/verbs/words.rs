//! The words of an asset are those of its latest version: taken from a draft that becomes the latest, and from the stored
//! document of a version that becomes the latest because another one was deleted, restored or hidden.

use super::{made_servers, replace_version};
use crate::base::VersionId;
use crate::catalog::draft::Draft;
use crate::catalog::{
    Asset, Catalog, Error, Kind, NewAsset, NewDefinition, NewVersion, Status, Version, asset, definition, version,
};
use crate::wire::{Contact, ExternalDoc, Format, Icon, Licence};
use base64::{Engine, engine::general_purpose::STANDARD};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;

/// Most versions whose words are looked at where none of them is shown.
const MOST_LOOKED_AT: i64 = 50;

/// What a version's document says of its asset.
#[derive(Clone, Debug, PartialEq)]
struct Words {
    title: String,
    summary: String,
    description: String,
    tags: Vec<String>,
    contacts: Vec<Contact>,
    licence: Option<Licence>,
    external_docs: Vec<ExternalDoc>,
    icons: Vec<Icon>,
}

/// Which version led an asset before a write, and which words it may have from there.
pub(in crate::catalog) struct Led {
    by: Option<VersionId>,
    said: Vec<Words>,
}

/// The version that leads the asset now. Call it when the asset is held and before anything is written.
pub(in crate::catalog) async fn led(conn: &mut PgConnection, asset: &Asset) -> Result<Led, Error> {
    let leader = version::find(&mut *conn, asset.asset_id, None, true).await?;
    let by = leader.as_ref().map(|leader| leader.version_id);
    let looked_at = match leader {
        Some(leader) => vec![leader],
        // All are deleted: the words are still those of one of them.
        None => version::list(&mut *conn, asset.asset_id, (true, true), 0, MOST_LOOKED_AT).await?,
    };
    Ok(Led { by, said: said(conn, asset, &looked_at).await? })
}

/// Gives the asset the words of the version that leads it by now, when that is another one than before; counts the
/// asset's revision up in any case.
///
/// What people said of the asset themselves, in other words than any version's, stays.
pub(in crate::catalog) async fn follow(
    conn: &mut PgConnection,
    asset: &Asset,
    before: &Led,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let leader = version::find(&mut *conn, asset.asset_id, None, true).await?;
    let leader = leader.filter(|leader| before.by != Some(leader.version_id));
    let words = match leader {
        Some(leader) => said(&mut *conn, asset, &[leader]).await?.pop(),
        None => None,
    };
    let Some(words) = words else {
        asset::touch(conn, asset.asset_id, now).await?;
        return Ok(());
    };
    // What was written of it meanwhile, in this transaction, stays.
    let written = asset::by_id(&mut *conn, asset.asset_id).await?;
    let after = words.given_to(written.as_ref().unwrap_or(asset), &before.said);
    let after = Asset { updated_at: now, ..after };
    asset::update(&mut *conn, &after).await?;
    made_servers::refresh(conn, &after, now).await
}

/// The words of those of these versions that have a document of the asset's own format.
async fn said(conn: &mut PgConnection, asset: &Asset, versions: &[Version]) -> Result<Vec<Words>, Error> {
    let ids: Vec<VersionId> = versions.iter().map(|version| version.version_id).collect();
    let documents = definition::of_versions(conn, &ids).await?;
    let own = |format: &str| Format::from_name(format).and_then(Kind::of_format) == Some(asset.kind);
    let words = versions.iter().filter_map(|version| {
        let document = documents.iter().find(|one| one.version_id == version.version_id && own(&one.format))?;
        let definition = NewDefinition {
            format: Some(document.format.clone()),
            base64: Some(STANDARD.encode(&document.content)),
            ..NewDefinition::default()
        };
        let read = Draft::of(NewAsset {
            name: Some(asset.name.clone()),
            kind: Some(asset.kind),
            version: Some(NewVersion { name: Some(version.name.clone()), ..NewVersion::default() }),
            definition: Some(definition),
            ..NewAsset::default()
        });
        // What was accepted by an older release and would not be now says nothing.
        read.ok().map(Words::from)
    });
    Ok(words.collect())
}

impl From<Draft> for Words {
    fn from(draft: Draft) -> Self {
        Self {
            title: draft.title,
            summary: draft.summary,
            description: draft.description,
            tags: draft.tags,
            contacts: draft.contacts,
            licence: draft.licence,
            external_docs: draft.external_docs,
            icons: draft.icons,
        }
    }
}

impl Words {
    /// The asset with these words in place of those that came from one of `said`.
    fn given_to(self, asset: &Asset, said: &[Self]) -> Asset {
        let mut after = asset.clone();
        if said.iter().any(|one| one.title == asset.title) {
            after.title = self.title;
        }
        if said.iter().any(|one| one.summary == asset.summary) {
            after.summary = self.summary;
        }
        if said.iter().any(|one| one.description == asset.description) {
            after.description = self.description;
        }
        if said.iter().any(|one| one.tags == asset.tags) {
            after.tags = self.tags;
        }
        if said.iter().any(|one| one.contacts == asset.contacts.0) {
            after.contacts = Json(self.contacts);
        }
        if said.iter().any(|one| one.licence.as_ref() == asset.licence.as_deref()) {
            after.licence = self.licence.map(Json);
        }
        if said.iter().any(|one| one.external_docs == asset.external_docs.0) {
            after.external_docs = Json(self.external_docs);
        }
        if said.iter().any(|one| one.icons == asset.icons.0) {
            after.icons = Json(self.icons);
        }
        after
    }
}

impl Catalog {
    /// Gives a stored version the contents of a draft, and the asset the words of whichever version leads it then.
    pub(in crate::catalog) async fn replace(
        &self,
        conn: &mut PgConnection,
        asset: &Asset,
        stored: &Version,
        draft: &Draft,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if draft.version.status != Status::Deleted {
            replace_version(&mut *conn, asset, stored, &draft.version, now).await?;
            return self.follow_latest(conn, asset, draft, now).await;
        }
        let before = led(&mut *conn, asset).await?;
        replace_version(&mut *conn, asset, stored, &draft.version, now).await?;
        follow(conn, asset, &before, now).await
    }

    /// As [`Catalog::follow_latest`], unless the version waits for approval: its words wait with it, or another version that is
    /// approved before would be shown with them.
    pub(in crate::catalog) async fn follow_latest_if_seen(
        &self,
        conn: &mut PgConnection,
        asset: &Asset,
        draft: &Draft,
        is_seen: bool,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if is_seen {
            return self.follow_latest(conn, asset, draft, now).await;
        }
        asset::touch(conn, asset.asset_id, now).await?;
        Ok(())
    }

    /// The asset's own words are those of its latest version.
    pub(in crate::catalog) async fn follow_latest(
        &self,
        conn: &mut PgConnection,
        asset: &Asset,
        draft: &Draft,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let latest = version::find(&mut *conn, asset.asset_id, None, true).await?;
        if latest.is_none_or(|latest| latest.name != draft.version.name) {
            asset::touch(conn, asset.asset_id, now).await?;
            return Ok(());
        }
        let mut asset = asset.clone();
        asset.title.clone_from(&draft.title);
        asset.summary.clone_from(&draft.summary);
        asset.description.clone_from(&draft.description);
        asset.visibility = draft.visibility.unwrap_or(asset.visibility);
        if let Some(groups) = &draft.shared_with {
            asset.shared_with.clone_from(groups);
        }
        if !draft.tags.is_empty() {
            asset.tags.clone_from(&draft.tags);
        }
        if !draft.owners.is_empty() {
            asset.owners.clone_from(&draft.owners);
        }
        if !draft.metadata.is_empty() {
            asset.metadata = Json(draft.metadata.clone());
        }
        asset.contacts = Json(draft.contacts.clone());
        asset.licence = draft.licence.clone().map(Json);
        asset.external_docs = Json(draft.external_docs.clone());
        asset.icons = Json(draft.icons.clone());
        asset.updated_at = now;
        asset::update(conn, &asset).await?;
        Ok(())
    }

    /// Gives a version another status, with whatever stage goes with it; the asset has the words of whichever version leads
    /// it then. `digest` is what the version's source is remembered by.
    pub(in crate::catalog) async fn move_version(
        &self,
        conn: &mut PgConnection,
        asset: &Asset,
        stored: &Version,
        (status, message, digest): (Status, Option<&str>, &[u8]),
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let before = led(&mut *conn, asset).await?;
        let stage = stored.stage.after(status);
        version::set_state(&mut *conn, stored.version_id, stage, status, message, now).await?;
        version::set_source_digest(&mut *conn, stored.version_id, digest).await?;
        version::choose_latest(&mut *conn, asset.asset_id, now).await?;
        follow(conn, asset, &before, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Visibility;

    fn words(title: &str, description: &str) -> Words {
        Words {
            title: title.to_owned(),
            summary: String::new(),
            description: description.to_owned(),
            tags: Vec::new(),
            contacts: Vec::new(),
            licence: None,
            external_docs: Vec::new(),
            icons: Vec::new(),
        }
    }

    fn asset(title: &str, description: &str) -> Asset {
        Asset {
            asset_id: crate::base::AssetId::new(),
            workspace_id: crate::base::WorkspaceId::new(),
            workspace: "default".to_owned(),
            name: crate::base::Name::parse("com.acme/files").unwrap(),
            registry_name: "com.acme/files".to_owned(),
            kind: Kind::Mcp,
            title: title.to_owned(),
            summary: String::new(),
            description: description.to_owned(),
            visibility: Visibility::Public,
            shared_with: Vec::new(),
            is_approved: true,
            tags: vec!["own".to_owned()],
            owners: Vec::new(),
            contacts: Json(Vec::new()),
            licence: None,
            external_docs: Json(Vec::new()),
            icons: Json(Vec::new()),
            metadata: Json::default(),
            revision: 1,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            deleted_at: None,
        }
    }

    #[test]
    fn words_of_a_version_are_given_back_and_those_of_people_stay() {
        let (older, newer) = (words("Amber", "Reads amber"), words("Indigo", "Reads indigo"));

        for (title, description, expected) in [
            ("Indigo", "Reads indigo", ("Amber", "Reads amber")),
            ("Ours", "Reads indigo", ("Ours", "Reads amber")),
            ("Ours", "And what we say", ("Ours", "And what we say")),
        ] {
            let after = older.clone().given_to(&asset(title, description), std::slice::from_ref(&newer));

            assert_eq!((after.title.as_str(), after.description.as_str()), expected, "{title}, {description}");
            assert_eq!(after.tags, ["own"]);
        }
    }
}
