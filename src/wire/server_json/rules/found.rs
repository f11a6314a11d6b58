//! What the rules find, and the place in the document where they look.

use super::Reading;
use crate::wire::Severity;
use serde::Serialize;
use serde_json::{Map, Value};

/// One thing found in a document, as `/validate` of the registry API tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    #[serde(rename = "type")]
    pub kind: IssueKind,
    /// `packages[0].transport.url`; empty for the document itself.
    pub path: String,
    pub message: String,
    pub severity: Severity,
    /// The stable name of the rule, or the schema's member (`#/definitions/Package/properties/version`).
    pub reference: String,
}

/// Which sort of rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueKind {
    /// The text is no JSON.
    Json,
    /// A rule of the published JSON schema.
    Schema,
    /// A rule of meaning, which the schema cannot tell.
    Semantic,
    /// Legal, but better otherwise.
    Linter,
}

impl Issue {
    /// The body is not JSON that we accept.
    #[must_use]
    pub fn json(message: impl Into<String>) -> Self {
        Self {
            kind: IssueKind::Json,
            path: String::new(),
            message: message.into(),
            severity: Severity::Error,
            reference: "json-syntax".to_owned(),
        }
    }
}

/// Collects issues.
pub(super) struct Found {
    pub reading: Reading,
    pub issues: Vec<Issue>,
}

impl Found {
    pub fn new(reading: Reading) -> Self {
        Self { reading, issues: Vec::new() }
    }

    /// A breach of the schema; `definition` is the member of its `definitions` (`Package/properties/version`).
    pub fn schema(&mut self, path: impl Into<String>, definition: &str, message: impl Into<String>) {
        let reference = match definition {
            "server" => "#/definitions/ServerDetail".to_owned(),
            other => format!("#/definitions/{other}"),
        };
        self.push(IssueKind::Schema, Severity::Error, path.into(), &reference, message.into());
    }

    /// A breach of a rule of meaning.
    pub fn semantic(&mut self, path: impl Into<String>, rule: &str, message: impl Into<String>) {
        self.push(IssueKind::Semantic, Severity::Error, path.into(), rule, message.into());
    }

    /// An error for one who publishes, a warning for what is only imported.
    pub fn tolerable(&mut self, kind: IssueKind, path: impl Into<String>, rule: &str, message: impl Into<String>) {
        let severity = match self.reading {
            Reading::Published => Severity::Error,
            Reading::Imported => Severity::Warning,
        };
        self.push(kind, severity, path.into(), rule, message.into());
    }

    pub fn warning(&mut self, kind: IssueKind, path: impl Into<String>, rule: &str, message: impl Into<String>) {
        self.push(kind, Severity::Warning, path.into(), rule, message.into());
    }

    pub fn info(&mut self, path: impl Into<String>, rule: &str, message: impl Into<String>) {
        self.push(IssueKind::Linter, Severity::Info, path.into(), rule, message.into());
    }

    fn push(&mut self, kind: IssueKind, severity: Severity, path: String, reference: &str, message: String) {
        self.issues.push(Issue { kind, path, message, severity, reference: reference.to_owned() });
    }
}

/// An object of the document and where it stands.
pub(super) struct Place<'a> {
    pub map: &'a Map<String, Value>,
    /// Empty at the root.
    pub path: String,
    /// The schema's name for such an object.
    pub definition: &'static str,
}

impl<'a> Place<'a> {
    pub fn root(map: &'a Map<String, Value>) -> Self {
        Self { map, path: String::new(), definition: "ServerDetail" }
    }

    /// The object `value`, or a word that it is none.
    pub fn object(found: &mut Found, value: &'a Value, path: String, definition: &'static str) -> Option<Self> {
        match value.as_object() {
            Some(map) => Some(Self { map, path, definition }),
            None => {
                found.schema(path, definition, format!("expected an object, found {}", sort_of(value)));
                None
            }
        }
    }

    /// The path of a member.
    pub fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A breach of the schema by the member `key`.
    pub fn breach(&self, found: &mut Found, key: &str, message: impl Into<String>) {
        found.schema(self.at(key), &format!("{}/properties/{key}", self.definition), message);
    }

    /// The string at `key`; a value of another type is a breach.
    pub fn text(&self, found: &mut Found, key: &str) -> Option<&'a str> {
        self.typed(found, key, "a string", Value::as_str)
    }

    /// Like [`Place::text`], and its absence is a breach too.
    pub fn required_text(&self, found: &mut Found, key: &str) -> Option<&'a str> {
        self.require(found, key);
        self.text(found, key)
    }

    pub fn flag(&self, found: &mut Found, key: &str) -> Option<bool> {
        self.typed(found, key, "true or false", Value::as_bool)
    }

    /// The object at `key`, which the schema calls `definition`.
    pub fn inner(&self, found: &mut Found, key: &str, definition: &'static str) -> Option<Self> {
        let map = self.typed(found, key, "an object", Value::as_object)?;
        Some(Self { map, path: self.at(key), definition })
    }

    /// The items of the array at `key`, each with its path.
    pub fn items(&self, found: &mut Found, key: &str) -> Vec<(String, &'a Value)> {
        let items = self.typed(found, key, "an array", Value::as_array).map_or(&[][..], Vec::as_slice);
        let path = self.at(key);
        items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
    }

    /// The objects in the array at `key`.
    pub fn objects(&self, found: &mut Found, key: &str, definition: &'static str) -> Vec<Place<'a>> {
        let items = self.items(found, key);
        items.into_iter().filter_map(|(path, item)| Place::object(found, item, path, definition)).collect()
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// A word if `key` is absent, with the name it had in the first schema where that one stands there.
    pub fn require(&self, found: &mut Found, key: &str) {
        if self.has(key) {
            return;
        }
        let former = snake_case(key);
        let message = if former != key && self.has(&former) {
            format!("{key} is required; since schema 2025-09-16 `{former}` is called `{key}`")
        } else {
            format!("{key} is required")
        };
        self.breach(found, key, message);
    }

    fn typed<T>(
        &self,
        found: &mut Found,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.map.get(key)?;
        let read = read(value);
        if read.is_none() {
            self.breach(found, key, format!("expected {expected}, found {}", sort_of(value)));
        }
        read
    }
}

fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, character| {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
        snake
    })
}
