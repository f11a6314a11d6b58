//! What people hand in: the register body and its parts, as they come, before anything is checked.

use super::{Kind, Stage, Status, Visibility};
use crate::base::{Name, Slug};
use crate::wire::{Contact, ExternalDoc, Icon, Licence, Operation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The body that registers an asset in one call. What a definition says need not be said again: only a name is needed
/// besides, and that too may come from the document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewAsset {
    /// `payments-api` or `com.example/payments`; at most 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 200, example = "payments-api")]
    pub name: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// At most 300 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub title: Option<String>,
    /// One sentence, at most 1,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Markdown, at most 200,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Names of groups that see it though it is private.
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Names of users and groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owners: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<Contact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<Licence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_docs: Option<Vec<ExternalDoc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icons: Option<Vec<Icon>>,
    /// Values for the metadata schemas of the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<NewVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<NewDefinition>,
    /// Further documents beside the definition: guides, schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definitions: Option<Vec<NewDefinition>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Vec<NewDeployment>>,
    /// Operations, where no definition gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<NewOperation>>,
    /// Tools of an MCP server, where no definition gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<NewOperation>>,
}

/// A version's own part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewVersion {
    /// At most 255 characters; `1.0.0` where neither this nor the definition says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The registry's status; with the three below only in an import, to give back what another registry recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub status_message: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub published_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<OffsetDateTime>,
}

/// A document to attach: exactly one of `value`, `base64` and `url`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewDefinition {
    /// `openapi`, `server-json`, `agent-card`, `asyncapi`, `graphql`, `grpc`, `wsdl`, `markdown`, `other`; found out
    /// where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Tells several documents of a version apart; the format's name where not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 63)]
    pub name: Option<Slug>,
    /// The document: its text as a string, or JSON as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub value: Option<Value>,
    /// The document's bytes, for what is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Where to fetch the document, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub url: Option<String>,
}

/// Where a version runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewDeployment {
    /// The name of an environment of the workspace; made when it is not there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 63)]
    pub environment: Option<Slug>,
    /// `http`, `https`, `ws` or `wss`, at most 2,000 characters; may hold `{variables}`.
    #[schema(max_length = 2000)]
    pub url: String,
    /// `streamable-http` or `sse` for MCP servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 63)]
    pub transport: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// An operation or tool told by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewOperation {
    /// At most 300 characters.
    #[schema(max_length = 300)]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub annotations: Option<Value>,
    /// Parameters, request body and responses of an operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
}

/// An operation told as it is stored: its schemas beside the rest of its detail.
impl From<Operation> for NewOperation {
    fn from(stored: Operation) -> Self {
        let mut detail = match stored.detail {
            Value::Object(detail) => detail,
            _ => Map::new(),
        };
        let mut schema = |member: &str| detail.remove(member).filter(|schema| !schema.is_null());
        let (input_schema, output_schema) = (schema("inputSchema"), schema("outputSchema"));
        let annotations = schema("annotations");
        Self {
            name: stored.name,
            title: stored.title,
            method: stored.method,
            path: stored.path,
            summary: stored.summary,
            description: stored.description,
            tags: stored.tags,
            deprecated: stored.deprecated,
            input_schema,
            output_schema,
            annotations,
            detail: (!detail.is_empty()).then_some(Value::Object(detail)),
        }
    }
}
