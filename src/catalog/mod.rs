//! The record of what exists: workspaces, assets, their versions, documents, deployments, and what happened to them.
//!
//! [`Catalog`] is the handle; its verbs take the actor first and are told in the files named after what they are about.
//! A read never gives what the actor may not see. A write checks, stores, writes the audit record and the change log and
//! queues what follows in one transaction, and answers after the commit.

mod approval;
mod asset;
mod card;
mod change;
pub mod connect;
mod definition;
mod deployment;
pub mod diff;
mod draft;
mod environment;
mod error;
mod export;
mod generations;
mod governance;
mod import;
mod input;
mod kind;
mod metadata;
mod mirror;
mod namespace;
mod operation;
mod registry_entry;
mod registry_view;
mod server_document;
mod stage;
mod verbs;
mod version;
mod version_order;
mod workspace;
mod wrong;

pub use approval::{
    Approval, ApprovalFilter, ApprovalSettings, ApprovalSettingsPatch, ApprovalState, Comment, Difference, Purpose,
    differences,
};
pub use asset::{Asset, AssetPatch, registry_name};
pub use card::{Card, CardFilter, Searchable, SearchableOperation};
pub use change::{
    CHANNEL as CHANGE_CHANNEL, Change, Mark, NamedChange, after as changes_after, newest as newest_change,
};
pub use definition::Definition;
pub use deployment::Deployment;
pub use draft::{DefinitionDraft, DeploymentDraft, Draft, VersionDraft};
pub use environment::{Environment, EnvironmentInput};
pub use error::Error;
pub use export::ExportPage;
pub use generations::{Generations, follow_changes};
pub use governance::{Check, Outcome as CheckOutcome, assess_document};
pub use import::{ImportLine, Imported};
pub use input::{NewAsset, NewDefinition, NewDeployment, NewOperation, NewVersion};
pub use kind::Kind;
pub use metadata::{Carrier, MetadataSchema, MetadataSchemaInput};
pub use mirror::{MirrorBatch, MirrorEntry, Mirrored};
pub use namespace::{Namespace, NamespaceInput};
pub use operation::schema as operation_schema;
pub use registry_entry::{
    MOST_VERSIONS, RegistryEntry, RegistryFilter, RegistryPlace, RegistryScope, Settled, StatusChange, VersionFilter,
    VersionPlace,
};
pub use registry_view::{RegistryView, RegistryViewInput, ViewAccess, ViewFilter, generation_name};
pub use stage::{Stage, Status, UnknownWord, Visibility};
pub use verbs::{
    ApprovalDetail, AssetDetail, Counts, Decision, DefinitionContent, DriftReport, Orphan, Outcome, Registered,
    ToldAsset, UnknownOwner, Verdict, VersionDetail,
};
pub use version::{Version, VersionPatch};
pub use version_order::{is_semantic, order_key};
pub use workspace::{NewWorkspace, Workspace, WorkspacePatch};

pub use crate::auth::Sight;

use crate::base::{Clock, Database};

/// The verbs of the catalog; cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    db: Database,
    clock: Clock,
    generations: Generations,
    counted: verbs::Counted,
    registered_namespaces_only: bool,
}

impl Catalog {
    #[must_use]
    pub fn new(db: Database, clock: Clock, generations: Generations) -> Self {
        Self { db, clock, generations, counted: verbs::counted(), registered_namespaces_only: false }
    }

    /// Whether names of namespaces that no workspace has are refused.
    #[must_use]
    pub fn with_registered_namespaces_only(mut self, only: bool) -> Self {
        self.registered_namespaces_only = only;
        self
    }

    /// The counters that say how long an answer stays true.
    #[must_use]
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The database, for readers on the floors above that keep tables of their own.
    #[must_use]
    pub fn db(&self) -> &Database {
        &self.db
    }
}
