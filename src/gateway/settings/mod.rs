//! The settings of the gateway as people write them: by REST, in the pages, and in one YAML file. Pure, and serde both ways.
//!
//! Things name one another (a pool its backends, a route its pool and its policies); [`crate::gateway::Snapshot`] is the
//! same with every name followed. A name is looked for in the workspace of the one who says it, then among the things of
//! the whole instance.

mod backend;
mod check;
mod credential;
mod file;
mod key_template;
mod money;
mod policy;
mod pool;
mod price;
mod route;
mod span;
mod thing;

pub use backend::{
    Affinity, BackendSettings, BreakerSettings, Capacity, Drain, OnDisconnect, Provider, StatusRange, Timeouts,
};
pub use check::{Finding, check};
pub use credential::CredentialSettings;
pub use file::{Action, File, Said, Step, differences, plan};
pub use key_template::{KeyTemplate, TemplatePart};
pub use money::Money;
pub use policy::{
    Budget, Condition, Content, GuardHook, HeaderEdit, Headers, IpFilter, LooksAt, Mask, MaskKind, ModelAllowList,
    OnFailure, Period, PolicySettings, PromptLog, Quota, Reach, RequestRate, Rule, RuleKind, SemanticCache, Share,
    SizeLimit, TokenLimit, TokenMetrics,
};
pub use pool::{Hedging, Member, PoolSettings, RetryBudget, Strategy};
pub use price::PriceSettings;
pub use route::{Callers, Dialect, RouteSettings, Serves};
pub use span::Span;
pub use thing::{Book, OfSection, Section, Settings, Thing, label};

use crate::base::{Slug, WorkspaceId};

/// Whom a thing belongs to: a workspace, or the instance, whose things every workspace may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    #[default]
    Instance,
    Workspace {
        id: WorkspaceId,
        name: Slug,
    },
}

impl Owner {
    #[must_use]
    pub fn workspace_id(&self) -> Option<WorkspaceId> {
        match self {
            Self::Instance => None,
            Self::Workspace { id, .. } => Some(*id),
        }
    }

    #[must_use]
    pub fn workspace_name(&self) -> Option<&Slug> {
        match self {
            Self::Instance => None,
            Self::Workspace { name, .. } => Some(name),
        }
    }
}

/// One thing as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<I, T> {
    pub id: I,
    pub owner: Owner,
    /// A slug; of a price the model.
    pub name: String,
    /// Counts the changes.
    pub revision: i64,
    pub settings: T,
}

/// For `skip_serializing_if`: what is as it would be unsaid is left unsaid, so that a file shows what was chosen.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
