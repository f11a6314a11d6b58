//! `DefinitionDraft`: a document ready to be stored.

use crate::base::{FieldError, Slug};
use crate::catalog::Error;
use crate::catalog::input::NewDefinition;
use crate::catalog::wrong::Wrong;
use crate::wire::{self, Finding, Format, Outline, Severity};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

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

/// Bytes as text, for drafts that wait for approval.
pub(super) mod as_base64 {
    use super::{Engine, STANDARD};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
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

/// A server.json that breaks a rule is refused: the MCP registry API would show it to clients that trust the rules.
pub(in crate::catalog) fn refuse_errors(
    definition: Option<&DefinitionDraft>,
    findings: &[Finding],
) -> Result<(), Error> {
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
pub(super) fn further_of(
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
