//! A route: what callers ask for, the pool that answers, and the policies in between.

use super::is_default;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A way through the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayRouteSettings)]
pub struct RouteSettings {
    /// At most 300 characters.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_length = 300)]
    pub title: String,
    pub serves: Serves,
    /// The name of a pool.
    #[schema(max_length = 63)]
    pub pool: String,
    /// The asset of the catalog it belongs to, in the route's workspace, or `workspace/name`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_length = 264)]
    pub asset: Option<String>,
    /// The dialects it may be called in; empty: all. The request is translated where the backend speaks another.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dialects: Vec<Dialect>,
    /// Names of policies, beside those that reach every route of the workspace or the instance.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(max_items = 100)]
    pub policies: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub callers: Callers,
    /// Refuses every request while true.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// What a route answers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayServes)]
pub enum Serves {
    /// These model aliases, the value of `model` in a request; at most 200 of at most 200 characters.
    Models(Vec<String>),
    /// `/rest/{workspace}/{asset}/...` of this asset in the route's workspace.
    Rest(String),
}

/// The form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GatewayDialect)]
pub enum Dialect {
    OpenaiChat,
    OpenaiResponses,
    OpenaiEmbeddings,
    AnthropicMessages,
}

impl Dialect {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::OpenaiEmbeddings => "openai-embeddings",
            Self::AnthropicMessages => "anthropic-messages",
        }
    }
}

/// Who may call a route, beside the permission to call the gateway at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayCallers)]
pub enum Callers {
    /// Members of the route's workspace; of a route of the instance, members of any.
    #[default]
    Workspace,
    /// Members of any workspace.
    Everyone,
    /// Members of these workspaces.
    Workspaces(Vec<String>),
}
