//! The kinds of assets, and what is particular to each.

use crate::wire::Format;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What sort of asset it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Kind {
    Rest,
    Graphql,
    Grpc,
    Soap,
    Webhook,
    Websocket,
    Mcp,
    Agent,
    Model,
    Skill,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Rest,
        Self::Graphql,
        Self::Grpc,
        Self::Soap,
        Self::Webhook,
        Self::Websocket,
        Self::Mcp,
        Self::Agent,
        Self::Model,
        Self::Skill,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Graphql => "graphql",
            Self::Grpc => "grpc",
            Self::Soap => "soap",
            Self::Webhook => "webhook",
            Self::Websocket => "websocket",
            Self::Mcp => "mcp",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Skill => "skill",
        }
    }

    /// What people read: `REST API`, `MCP server`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rest => "REST API",
            Self::Graphql => "GraphQL API",
            Self::Grpc => "gRPC API",
            Self::Soap => "SOAP API",
            Self::Webhook => "Webhook",
            Self::Websocket => "WebSocket API",
            Self::Mcp => "MCP server",
            Self::Agent => "Agent",
            Self::Model => "Model",
            Self::Skill => "Skill",
        }
    }

    /// What its callable parts are called, in the plural.
    #[must_use]
    pub const fn operations_title(self) -> &'static str {
        match self {
            Self::Mcp => "tools",
            Self::Agent => "skills",
            _ => "operations",
        }
    }

    /// The kind a document of this format describes, when its owner does not say.
    #[must_use]
    pub const fn of_format(format: Format) -> Option<Self> {
        match format {
            Format::OpenApi => Some(Self::Rest),
            Format::AsyncApi => Some(Self::Websocket),
            Format::GraphQl => Some(Self::Graphql),
            Format::Grpc => Some(Self::Grpc),
            Format::Wsdl => Some(Self::Soap),
            Format::ServerJson => Some(Self::Mcp),
            Format::AgentCard => Some(Self::Agent),
            Format::Markdown | Format::Other => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind; the kinds are rest, graphql, grpc, soap, webhook, websocket, mcp, agent, model, skill")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}
