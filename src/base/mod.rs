//! Tools everyone uses. Nothing in here knows what an asset is.

mod clock;
mod error;
mod id;
mod json;
mod page;

pub use clock::Clock;
pub use error::{FieldError, Problem};
pub use id::{
    AssetId, AuditId, DefinitionId, DeploymentId, EnvironmentId, KeyId, MetadataSchemaId, Name, Slug, VersionId,
    WorkspaceId,
};
pub use json::{JsonError, parse_strict};
pub use page::{Cursor, Limit, Page};
