//! How the search stands: what `/readyz` and the status page say.

use crate::embed::State;
use serde::Serialize;
use utoipa::ToSchema;

/// How the parts of the search stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    pub lexical: Readiness,
    pub semantic: Readiness,
    /// Why there is no search by meaning, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many assets are not yet embedded.
    pub pending: i64,
    /// How many changes of the catalog this replica has not taken in, up to 1,000.
    pub lag: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// It is being read from disk.
    Loading,
    Ready,
    /// It is being made again; plain text comparison answers meanwhile, or the one before.
    Rebuilding,
    Absent,
}

impl Readiness {
    pub(super) fn of(state: &State) -> Self {
        match state {
            State::Loading => Self::Loading,
            State::Ready => Self::Ready,
            State::Absent { .. } => Self::Absent,
        }
    }
}
