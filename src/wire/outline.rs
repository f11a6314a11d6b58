//! `Outline`: what a document says, whatever its format; the catalog and the search know no other shape.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The sort of document a definition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    #[serde(rename = "openapi")]
    OpenApi,
    #[serde(rename = "asyncapi")]
    AsyncApi,
    #[serde(rename = "graphql")]
    GraphQl,
    Grpc,
    Wsdl,
    ServerJson,
    AgentCard,
    Markdown,
    Other,
}

impl Format {
    pub const ALL: [Self; 9] = [
        Self::OpenApi,
        Self::AsyncApi,
        Self::GraphQl,
        Self::Grpc,
        Self::Wsdl,
        Self::ServerJson,
        Self::AgentCard,
        Self::Markdown,
        Self::Other,
    ];

    /// The name in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenApi => "openapi",
            Self::AsyncApi => "asyncapi",
            Self::GraphQl => "graphql",
            Self::Grpc => "grpc",
            Self::Wsdl => "wsdl",
            Self::ServerJson => "server-json",
            Self::AgentCard => "agent-card",
            Self::Markdown => "markdown",
            Self::Other => "other",
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

/// What a document says about the thing it describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// `OpenAPI 3.1.0`, `server.json 2025-12-11`, `A2A agent card 0.3`: for people.
    pub format_name: String,
    /// The name the document gives the thing as an identifier, where its format has one (server.json).
    pub name: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    pub version: Option<String>,
    pub licence: Option<Licence>,
    pub contacts: Vec<Contact>,
    pub external_docs: Vec<ExternalDoc>,
    pub icons: Vec<Icon>,
    pub tags: Vec<String>,
    /// Where the document says the thing runs.
    pub servers: Vec<Server>,
    /// Operations of an API, tools of an MCP server, skills of an agent; names are unique.
    pub operations: Vec<Operation>,
    /// What is odd in the document though it was accepted.
    pub findings: Vec<Finding>,
}

/// One thing that can be called: an operation of an API, a tool of an MCP server, a skill of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The operationId, or one made of method and path; a tool's name. Unique within its version.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// Upper case; absent for tools and skills.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<String>,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub deprecated: bool,
    /// For an operation `{parameters: [{name, in, required, description, deprecated, schema}], requestBody: {required,
    /// description, content: {media type: {schema}}}, responses: {code: {description, content}}, security, servers}`
    /// with local references resolved as deep as its size bound allows; for a tool `{inputSchema, outputSchema,
    /// annotations}`.
    #[serde(default)]
    pub detail: Value,
}

/// A base address a document gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// May hold `{variables}`.
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// `streamable-http`, `sse` for MCP servers, the protocol for others where stated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// SPDX identifier or the licence's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalDoc {
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Icon {
    pub src: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sizes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
}

/// Something worth saying about an input that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    pub severity: Severity,
    /// Stable name of the rule, like `dangling-reference`.
    pub rule: String,
    /// Where: a JSON pointer (`/paths/~1pets/get`) or `line 3, column 7`; empty for the whole document.
    pub location: String,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Finding {
    /// A finding that something is odd but was taken.
    #[must_use]
    pub fn warning(rule: &str, location: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, rule: rule.to_owned(), location: location.into(), message: message.into() }
    }

    /// A finding that tells, without fault.
    #[must_use]
    pub fn info(rule: &str, location: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Info, ..Self::warning(rule, location, message) }
    }
}
