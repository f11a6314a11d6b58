//! The official MCP registry's `server.json`: what it says, and whether it is right.
//!
//! [`read`] takes the fields we act on and keeps the rest; it never fails, because a document that breaks a rule must
//! still be shown. [`check`] finds what breaks a rule. Field names are those since schema 2025-09-16 (camelCase).

mod outline;
mod rules;

pub use outline::outline;
pub use rules::{ACCEPTED_SCHEMAS, Issue, IssueKind, NEWEST_SCHEMA, Reading, check, is_valid, schema_url};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The one key of `_meta` that is the publisher's own; its value is at most [`PUBLISHER_DATA_LIMIT`] bytes of JSON.
pub const PUBLISHER_PROVIDED: &str = "io.modelcontextprotocol.registry/publisher-provided";
/// The key under which a registry tells status, times and `isLatest` beside the document.
pub const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";
pub const PUBLISHER_DATA_LIMIT: usize = 4_096;

/// A `server.json`, read with patience: a field of the wrong type reads as absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerJson {
    #[serde(rename = "$schema", deserialize_with = "patient")]
    pub schema: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub name: String,
    #[serde(deserialize_with = "patient")]
    pub title: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub description: String,
    #[serde(deserialize_with = "patient")]
    pub version: String,
    #[serde(deserialize_with = "patient")]
    pub website_url: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub repository: Option<Repository>,
    #[serde(deserialize_with = "patient_list")]
    pub icons: Vec<crate::wire::Icon>,
    #[serde(deserialize_with = "patient_list")]
    pub packages: Vec<Package>,
    #[serde(deserialize_with = "patient_list")]
    pub remotes: Vec<Transport>,
    #[serde(rename = "_meta", deserialize_with = "patient")]
    pub meta: Map<String, Value>,
    /// Members the format does not name.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Where the server's source code lies.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Repository {
    pub url: String,
    #[serde(default, deserialize_with = "patient")]
    pub source: String,
    #[serde(default, deserialize_with = "patient")]
    pub subfolder: Option<String>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A way to run the server locally.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Package {
    /// `npm`, `pypi`, `oci`, `nuget`, `mcpb`, `cargo` or another.
    #[serde(deserialize_with = "patient")]
    pub registry_type: String,
    #[serde(deserialize_with = "patient")]
    pub registry_base_url: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub identifier: String,
    #[serde(deserialize_with = "patient")]
    pub version: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub file_sha256: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub runtime_hint: Option<String>,
    #[serde(deserialize_with = "patient_list")]
    pub runtime_arguments: Vec<Argument>,
    #[serde(deserialize_with = "patient_list")]
    pub package_arguments: Vec<Argument>,
    #[serde(deserialize_with = "patient_list")]
    pub environment_variables: Vec<Input>,
    #[serde(deserialize_with = "patient")]
    pub transport: Transport,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a client talks to the server: a remote's address, or a package's channel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Transport {
    /// `stdio`, `streamable-http` or `sse`.
    #[serde(rename = "type", deserialize_with = "patient")]
    pub kind: String,
    /// May hold `{variables}`.
    #[serde(deserialize_with = "patient")]
    pub url: Option<String>,
    #[serde(deserialize_with = "patient_list")]
    pub headers: Vec<Input>,
    /// What the `{variables}` of a remote's address mean.
    #[serde(deserialize_with = "patient_map")]
    pub variables: Vec<(String, Input)>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A command-line argument.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Argument {
    /// `positional` or `named`.
    #[serde(rename = "type", deserialize_with = "patient")]
    pub kind: String,
    #[serde(deserialize_with = "patient")]
    pub value_hint: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub is_repeated: bool,
    #[serde(flatten)]
    pub input: Input,
}

/// A value the user gives, or a fixed one: an environment variable, a header, an argument, a variable.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Input {
    #[serde(deserialize_with = "patient")]
    pub name: String,
    #[serde(deserialize_with = "patient")]
    pub description: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub value: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub default: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub placeholder: Option<String>,
    #[serde(deserialize_with = "patient")]
    pub format: Option<String>,
    #[serde(deserialize_with = "patient_list")]
    pub choices: Vec<String>,
    #[serde(deserialize_with = "patient")]
    pub is_required: bool,
    #[serde(deserialize_with = "patient")]
    pub is_secret: bool,
    #[serde(deserialize_with = "patient_map")]
    pub variables: Vec<(String, Self)>,
}

/// What the document says, with everything it says besides; a value that is no object reads as an empty document.
#[must_use]
pub fn read(document: &Value) -> ServerJson {
    serde_json::from_value(document.clone()).unwrap_or_default()
}

impl ServerJson {
    /// The publisher's own data.
    #[must_use]
    pub fn publisher_data(&self) -> Option<&Map<String, Value>> {
        self.meta.get(PUBLISHER_PROVIDED)?.as_object()
    }
}

fn patient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

fn patient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect(),
        _ => Vec::new(),
    })
}

fn patient_map<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<(String, T)>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(entries) => entries
            .into_iter()
            .filter_map(|(key, item)| serde_json::from_value(item).ok().map(|item| (key, item)))
            .collect(),
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_fields_are_typed_and_the_others_kept() {
        let server = read(&json!({
            "name": "com.example/files", "description": "Files", "version": "1.0.0", "spice": {"heat": 3},
            "packages": [{
                "registryType": "npm", "identifier": "@example/files", "version": "1.0.0", "colour": "red",
                "transport": {"type": "stdio"},
                "packageArguments": [{"type": "positional", "valueHint": "root", "isRequired": true}],
                "environmentVariables": [{"name": "TOKEN", "isSecret": true}],
            }],
            "remotes": [{"type": "sse", "url": "https://{t}.example.com", "variables": {"t": {"default": "eu"}}}],
        }));

        assert_eq!(server.extra["spice"]["heat"], 3);
        assert_eq!(server.packages[0].extra["colour"], "red");
        assert_eq!(server.packages[0].package_arguments[0].value_hint.as_deref(), Some("root"));
        assert!(server.packages[0].package_arguments[0].input.is_required);
        assert!(server.packages[0].environment_variables[0].is_secret);
        assert_eq!(server.remotes[0].variables[0].1.default.as_deref(), Some("eu"));
    }

    #[test]
    fn fields_of_the_wrong_type_read_as_absent() {
        let server =
            read(&json!({"name": 5, "title": null, "packages": {}, "remotes": [7, {"url": 1, "type": "sse"}]}));

        assert_eq!((server.name.as_str(), server.title), ("", None));
        assert!(server.packages.is_empty());
        assert_eq!((server.remotes.len(), server.remotes[0].kind.as_str()), (1, "sse"));
        assert_eq!(read(&json!("no object")), ServerJson::default());
    }
}
