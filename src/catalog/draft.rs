//! `Draft`: an asset ready to be stored, made of what people said and what their documents say. Pure.

use super::input::{NewAsset, NewDefinition, NewDeployment, NewOperation, NewVersion};
use super::wrong::Wrong;
use super::{Error, Kind, Stage, Status, Visibility};
use crate::base::{FieldError, Name, Slug};
use crate::wire::{self, Contact, ExternalDoc, Finding, Format, Icon, Licence, Operation, Outline, Severity};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

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

/// A document, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionDraft {
    pub name: Slug,
    pub format: Format,
    pub media_type: String,
    #[serde(with = "as_base64")]
    pub content: Vec<u8>,
    pub source_url: Option<String>,
}

/// Where the version runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentDraft {
    pub environment: Option<Slug>,
    pub url: String,
    pub transport: String,
    pub title: String,
    pub description: String,
    pub is_active: bool,
    pub metadata: Map<String, Value>,
    pub detail: Value,
}

/// Bytes as text, for drafts that wait for approval.
mod as_base64 {
    use super::{Engine, STANDARD};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
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

impl DefinitionDraft {
    /// The document `new` carries, and what it says.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it carries none or several, or a document that is broken.
    pub fn read(new: &NewDefinition) -> Result<(Self, Outline), Error> {
        Self::of_bytes(new.content()?, new.known_format()?, new.name.clone(), new.url.clone())
    }

    /// The document in `content`, its format found out where `format` is not given.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place in the document and the reason.
    pub fn of_bytes(
        content: Vec<u8>,
        format: Option<Format>,
        name: Option<Slug>,
        source_url: Option<String>,
    ) -> Result<(Self, Outline), Error> {
        let read = wire::read_definition(&content, format)
            .map_err(|refusal| Error::Invalid { message: refusal.message, errors: refusal.errors })?;
        let name = name.unwrap_or_else(|| Slug::parse(read.format.as_str()).expect("format names are slugs"));
        let media_type = read.media_type.to_owned();
        Ok((Self { name, format: read.format, media_type, content, source_url }, read.outline))
    }

    /// SHA-256 of the content.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(&self.content).to_vec()
    }
}

impl NewDefinition {
    /// The document's bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are none, or they are given twice.
    pub fn content(&self) -> Result<Vec<u8>, Error> {
        match (&self.value, &self.base64) {
            (Some(Value::String(text)), None) => Ok(text.clone().into_bytes()),
            (Some(value), None) => Ok(serde_json::to_vec(value).expect("a value serialises")),
            (None, Some(text)) => STANDARD
                .decode(text)
                .map_err(|error| Error::invalid_at("body.definition.base64", format!("no base64: {error}"))),
            _ => Err(Error::invalid_at("body.definition", "give the document once: as `value`, `base64` or `url`")),
        }
    }

    /// The format it says it has.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a word that names none.
    pub fn known_format(&self) -> Result<Option<Format>, Error> {
        let Some(name) = &self.format else { return Ok(None) };
        Format::from_name(name).map(Some).ok_or_else(|| {
            let known = Format::ALL.map(Format::as_str).join(", ");
            Error::invalid_at("body.definition.format", format!("{name:?} is not one of {known}"))
        })
    }
}

impl DeploymentDraft {
    fn of_server(server: wire::Server) -> Option<Self> {
        // Documents often say only `/v1`: a place below an address nobody gave is no deployment.
        let absolute = server.url.contains("://") || server.url.starts_with('{');
        (absolute && server.url.len() <= 2_000).then(|| Self {
            environment: None,
            url: server.url,
            transport: server.transport.unwrap_or_default(),
            title: String::new(),
            description: server.description.unwrap_or_default(),
            is_active: true,
            metadata: Map::new(),
            detail: json!({}),
        })
    }

    /// A deployment as it was told.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the wrong places below `at`.
    pub fn of(new: NewDeployment, at: &str) -> Result<Self, Error> {
        let mut wrong = Wrong::default();
        let draft = wrong.deployment(new, at);
        wrong.finish()?;
        Ok(draft)
    }
}

/// `1.0.0` and the like, from what a body calls a version.
impl From<&str> for NewVersion {
    fn from(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }
}

/// A server.json that breaks a rule is refused: the MCP registry API would show it to clients that trust the rules.
pub(super) fn refuse_errors(definition: Option<&DefinitionDraft>, findings: &[Finding]) -> Result<(), Error> {
    if definition.is_none_or(|definition| definition.format != Format::ServerJson) {
        return Ok(());
    }
    let wrong: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| FieldError::new(finding.location.clone(), finding.message.clone()))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid(wrong)) }
}

/// The documents beside the definition, each under a name of its own.
fn further_of(
    told: Vec<NewDefinition>,
    main: Option<&DefinitionDraft>,
    wrong: &mut Wrong,
) -> Result<Vec<DefinitionDraft>, Error> {
    if told.len() > 50 {
        wrong.add("body.definitions", "at most 50");
        return Ok(Vec::new());
    }
    let mut further: Vec<DefinitionDraft> = Vec::with_capacity(told.len());
    for (i, new) in told.iter().enumerate() {
        let (draft, _) = DefinitionDraft::read(new)?;
        if main.into_iter().chain(&further).any(|other| other.name == draft.name) {
            wrong.add(&format!("body.definitions[{i}].name"), format!("{} is the name of another one", draft.name));
        }
        further.push(draft);
    }
    Ok(further)
}

fn deployments_of(told: Vec<NewDeployment>, wrong: &mut Wrong) -> Vec<DeploymentDraft> {
    if told.len() > 200 {
        wrong.add("body.deployments", "at most 200 at a time");
    }
    told.into_iter().enumerate().map(|(i, new)| wrong.deployment(new, &format!("body.deployments[{i}]"))).collect()
}

/// Names made unique: catalogs in the wild name two operations alike.
fn operations_of(told: Vec<NewOperation>, wrong: &mut Wrong) -> Vec<Operation> {
    if told.len() > 5_000 {
        wrong.add("body.operations", "at most 5,000");
    }
    let mut names = std::collections::HashSet::new();
    told.into_iter()
        .enumerate()
        .map(|(i, new)| {
            let base = wrong.text(&format!("body.operations[{i}].name"), new.name.trim(), 1..=300);
            let mut name = base.clone();
            for n in 2.. {
                if names.insert(name.clone()) {
                    break;
                }
                name = format!("{base}_{n}");
            }
            let mut detail = match new.detail {
                Some(Value::Object(detail)) => detail,
                _ => Map::new(),
            };
            let schemas = [
                ("inputSchema", new.input_schema),
                ("outputSchema", new.output_schema),
                ("annotations", new.annotations),
            ];
            detail.extend(schemas.into_iter().filter_map(|(member, value)| Some((member.to_owned(), value?))));
            Operation {
                name,
                title: new.title,
                method: new.method.map(|method| method.to_uppercase()),
                path: new.path,
                summary: new.summary,
                description: new.description,
                tags: new.tags,
                deprecated: new.deprecated,
                detail: Value::Object(detail),
            }
        })
        .collect()
}

/// A name from the document: a server.json's own, else one made of the title.
fn name_of(outline: &Outline, definition: Option<&DefinitionDraft>) -> Option<Name> {
    if definition?.format == Format::ServerJson {
        return outline.name.as_deref().and_then(|name| Name::parse(name).ok());
    }
    let title = outline.title.as_deref()?;
    let mut slug = String::new();
    for c in title.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(100);
    Name::parse(slug.trim_end_matches('-')).ok()
}

/// The first sentence of a text, without markup lines, at most 200 characters.
fn first_sentence(text: &str) -> String {
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', '<', '!', '`', '|', '-']));
    let line = line.unwrap_or_default();
    let end = line.match_indices(['.', '!', '?', '。']).map(|(at, mark)| at + mark.len()).find(|end| {
        line[*end..].is_empty() || line[*end..].starts_with(char::is_whitespace) || line[..*end].ends_with('。')
    });
    let sentence = &line[..end.unwrap_or(line.len())];
    match sentence.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", sentence[..cut].trim_end()),
        None => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
