//! `Draft`: an asset ready to be stored, made of what people said and what their documents say. Pure.

mod definition;
mod deployment;
mod operations;
mod told;

pub use definition::DefinitionDraft;
pub(super) use definition::refuse_errors;
pub use deployment::DeploymentDraft;

use super::input::{NewAsset, NewVersion};
use super::wrong::Wrong;
use super::{Error, Kind, Stage, Status, Visibility};
use crate::base::Name;
use crate::wire::{Contact, ExternalDoc, Finding, Icon, Licence, Operation};
use definition::{as_base64, further_of};
use deployment::deployments_of;
use operations::operations_of;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use told::{first_sentence, name_of};

/// An asset with one version, checked and complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub name: Name,
    pub kind: Kind,
    pub title: String,
    pub summary: String,
    pub description: String,
    /// None: the workspace decides.
    pub visibility: Option<Visibility>,
    pub shared_with: Option<Vec<String>>,
    pub tags: Vec<String>,
    pub owners: Vec<String>,
    pub contacts: Vec<Contact>,
    pub licence: Option<Licence>,
    pub external_docs: Vec<ExternalDoc>,
    pub icons: Vec<Icon>,
    pub metadata: Map<String, Value>,
    pub version: VersionDraft,
}

/// A version with what hangs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionDraft {
    pub name: String,
    pub stage: Stage,
    pub status: Status,
    pub status_message: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub published_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub updated_at: Option<OffsetDateTime>,
    pub format_name: String,
    pub definition: Option<DefinitionDraft>,
    /// Documents beside the definition; what they say is not read.
    pub further: Vec<DefinitionDraft>,
    pub operations: Vec<Operation>,
    pub deployments: Vec<DeploymentDraft>,
    pub findings: Vec<Finding>,
    /// SHA-256 over everything the draft was made from.
    #[serde(with = "as_base64")]
    pub source_digest: Vec<u8>,
}

impl Draft {
    /// What `new` says, completed by its definition. Whatever is said outright wins over the document.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every wrong place.
    pub fn of(new: NewAsset) -> Result<Self, Error> {
        let source_digest = Sha256::digest(serde_json::to_vec(&new).expect("the register body is plain data")).to_vec();
        let document = new.definition.as_ref().map(DefinitionDraft::read).transpose()?;
        let (definition, outline) = document.map_or_else(Default::default, |(draft, outline)| (Some(draft), outline));
        let mut wrong = Wrong::default();
        refuse_errors(definition.as_ref(), &outline.findings)?;
        let further = further_of(new.definitions.unwrap_or_default(), definition.as_ref(), &mut wrong)?;

        let kind = new.kind.or_else(|| definition.as_ref().and_then(|definition| Kind::of_format(definition.format)));
        let Some(kind) = kind else {
            return Err(Error::invalid_at(
                "body.kind",
                "say what it is: rest, graphql, grpc, soap, webhook, websocket, mcp, agent, model or skill",
            ));
        };
        let name = new.name.or_else(|| name_of(&outline, definition.as_ref()));
        let Some(name) = name else {
            return Err(Error::invalid_at("body.name", "give a name: neither you nor the document says one"));
        };

        let version = new.version.unwrap_or_default();
        let version_name =
            version.name.clone().or_else(|| outline.version.clone()).unwrap_or_else(|| "1.0.0".to_owned());
        let version_name = wrong.text("body.version.name", version_name.trim(), 1..=255);
        if version_name == "latest"
            || version_name.contains(['/', '\u{7f}'])
            || version_name.chars().any(char::is_control)
        {
            wrong.add("body.version.name", "must not be `latest` nor hold a slash or control characters");
        }

        let title = new.title.or(outline.title).unwrap_or_else(|| name.slug().to_owned());
        let description = new.description.or(outline.description).unwrap_or_default();
        let summary = new.summary.or(outline.summary).unwrap_or_else(|| first_sentence(&description));
        let told = new.operations.or(new.tools);
        let operations = match told {
            Some(told) if outline.operations.is_empty() => operations_of(told, &mut wrong),
            _ => outline.operations,
        };
        let deployments = match new.deployments {
            Some(told) => deployments_of(told, &mut wrong),
            None => outline.servers.into_iter().filter_map(DeploymentDraft::of_server).collect(),
        };

        let draft = Self {
            kind,
            title: wrong.text("body.title", title.trim(), 1..=300),
            summary: wrong.text("body.summary", summary.trim(), 0..=1_000),
            description: wrong.text("body.description", &description, 0..=200_000),
            visibility: new.visibility,
            shared_with: new.shared_with.map(|groups| wrong.words("body.sharedWith", groups, 100, 200)),
            tags: wrong.words("body.tags", new.tags.unwrap_or(outline.tags), 200, 100),
            owners: wrong.words("body.owners", new.owners.unwrap_or_default(), 50, 200),
            contacts: new.contacts.unwrap_or(outline.contacts),
            licence: new.licence.or(outline.licence),
            external_docs: new.external_docs.unwrap_or(outline.external_docs),
            icons: new.icons.unwrap_or(outline.icons),
            metadata: new.metadata.unwrap_or_default(),
            version: VersionDraft {
                name: version_name,
                stage: version
                    .stage
                    .unwrap_or_else(|| Stage::Production.after(version.status.unwrap_or(Status::Active))),
                status: version.status.unwrap_or_else(|| version.stage.map_or(Status::Active, Stage::status)),
                status_message: version.status_message,
                published_at: version.published_at,
                updated_at: version.updated_at,
                format_name: outline.format_name,
                definition,
                further,
                operations,
                deployments,
                findings: outline.findings,
                source_digest,
            },
            name,
        };
        draft.check(&mut wrong);
        wrong.finish()?;
        Ok(draft)
    }

    fn check(&self, wrong: &mut Wrong) {
        wrong.links(&self.contacts, &self.external_docs, &self.icons);
        if self.version.status_message.as_ref().is_some_and(|message| message.chars().count() > 500) {
            wrong.add("body.version.statusMessage", "at most 500 characters");
        }
    }
}

impl VersionDraft {
    /// A version for an asset that is there already: `kind` decides what the definition may be.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every wrong place.
    pub fn of(asset: &Name, kind: Kind, new: NewAsset) -> Result<Self, Error> {
        let new = NewAsset { name: Some(asset.clone()), kind: Some(kind), ..new };
        Draft::of(new).map(|draft| draft.version)
    }
}

/// `1.0.0` and the like, from what a body calls a version.
impl From<&str> for NewVersion {
    fn from(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft(body: Value) -> Result<Draft, Error> {
        Draft::of(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn a_few_words_make_an_asset() {
        let draft =
            draft(json!({"name": "payments", "kind": "rest", "description": "# Pay\nTakes money. And more."})).unwrap();

        assert_eq!(draft.title, "payments");
        assert_eq!(draft.summary, "Takes money.");
        assert_eq!(draft.version.name, "1.0.0");
        assert_eq!(draft.version.stage, Stage::Production);
    }

    #[test]
    fn every_wrong_place_is_named_at_once() {
        let wrong = draft(json!({
            "name": "payments", "kind": "rest", "title": "x".repeat(301), "version": {"name": "latest"},
            "deployments": [{"url": "ftp://example.com"}], "externalDocs": [{"url": "javascript:alert(1)"}],
        }));

        let Err(Error::Invalid { errors, .. }) = wrong else { panic!("{wrong:?}") };
        let places: Vec<_> = errors.iter().map(|error| error.location.as_str()).collect();
        assert_eq!(places, ["body.version.name", "body.deployments[0].url", "body.title", "body.externalDocs[0].url"]);
    }

    #[test]
    fn operations_of_one_name_are_told_apart() {
        let draft =
            draft(json!({"name": "a", "kind": "mcp", "tools": [{"name": "get"}, {"name": "get"}, {"name": "get_2"}]}));

        let names: Vec<_> = draft.unwrap().version.operations.into_iter().map(|operation| operation.name).collect();
        assert_eq!(names, ["get", "get_2", "get_2_2"]);
    }
}
