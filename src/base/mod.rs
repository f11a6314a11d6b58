//! Tools everyone uses. Nothing in here knows what an asset is.

mod client_address;
mod clock;
pub mod config;
pub mod db;
mod dns;
mod egress;
mod embedded_postgres;
mod error;
mod heap;
mod http_client;
mod id;
mod json;
pub mod lane;
mod nearest;
mod network;
mod otlp;
mod page;
mod seal;
mod secret;
pub mod telemetry;
pub mod trust;

pub use client_address::ClientAddress;
pub use clock::Clock;
pub use config::Config;
pub use db::{Database, OnConstraint};
pub use dns::{Dns, NoTexts};
pub use egress::{Egress, NotPublic, Unreachable};
pub use embedded_postgres::EmbeddedPostgres;
pub use error::{FieldError, Problem};
pub use heap::Heap;
pub use http_client::{Fetched, HttpClient, Posted, use_tls};
pub use id::{
    AccessRequestId, ApprovalId, AssetId, AuditId, BackendId, CommentId, CredentialId, DefinitionId, DeliveryId,
    DeploymentId, EnvironmentId, GroupId, InvitationId, KeyId, MetadataSchemaId, Name, NoticeId, PolicyId, PoolId,
    PriceId, RegistryViewId, RoleAssignmentId, RouteId, ServiceAccountId, SessionId, Slug, UpstreamId, UpstreamRunId,
    UserId, VersionId, WebhookId, WorkspaceId,
};
pub use json::{JsonError, parse_strict};
pub use nearest::nearest;
pub use network::{Network, is_public};
pub use otlp::Otlp;
pub use page::{Cursor, Limit, Page};
pub use seal::{KeyRing, SealError, SealedBox};
pub use secret::Sealed;
