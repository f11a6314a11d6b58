//! What can go wrong in the catalog, each with what a good answer needs.

use crate::auth::Refused;
use crate::base::{ApprovalId, FieldError, Name, Problem, Slug};
use http::StatusCode;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no workspace {0:?}")]
    WorkspaceNotFound(String),
    #[error("there is no asset {name:?} in workspace {workspace:?}")]
    AssetNotFound { workspace: String, name: String },
    #[error("{asset} has no version {version:?}")]
    VersionNotFound { asset: String, version: String },
    #[error("there is no {what} {name:?} here")]
    PartNotFound { what: &'static str, name: String },
    #[error("workspace {workspace} already has an asset named {name}; choose another name or add a version to it")]
    NameTaken { workspace: Slug, name: Name },
    #[error("workspace {workspace} has a deleted asset named {name}; restore it, or choose another name")]
    NameOfDeleted { workspace: Slug, name: Name },
    #[error("{asset} already has a version {version}; versions are kept as published, so choose the next one")]
    VersionTaken { asset: Name, version: String },
    #[error("the {what} {name} is taken; choose another name")]
    PartTaken { what: &'static str, name: String },
    #[error("{what} {name} is still used: {by}")]
    InUse { what: &'static str, name: String, by: String },
    #[error("somebody else changed this meanwhile: it is at revision {current}, you sent {sent}")]
    Stale { current: i64, sent: i64 },
    #[error("{message}")]
    Invalid { message: String, errors: Vec<FieldError> },
    /// No failure: the write was taken and is done once it is approved.
    #[error("this changes what is approved and waits for approval; what is approved stays as it is meanwhile")]
    Proposed(ApprovalId),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A problem some tool below has already put into words.
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl Error {
    /// Input that is wrong at these places.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let message = match errors.as_slice() {
            [one] => format!("{}: {}", one.location, one.message),
            [first, rest @ ..] => format!("{}: {} (and {} more)", first.location, first.message, rest.len()),
            [] => "the input is not valid".to_owned(),
        };
        Self::Invalid { message, errors }
    }

    /// The same complaint about a line that is read once and answered for more than once.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Invalid { message, errors } => Self::Invalid { message: message.clone(), errors: errors.clone() },
            other => Self::Problem(Problem::invalid(other.to_string())),
        }
    }

    /// Input that is wrong at one place.
    #[must_use]
    pub fn invalid_at(location: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(location, message)])
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let sentence = {
            let mut letters = detail.chars();
            let head = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            format!("{head}{}.", letters.as_str().trim_end_matches('.'))
        };
        match error {
            Error::WorkspaceNotFound(_) => {
                Self::not_found(sentence).with_help("GET /api/v1/workspaces lists the workspaces you may see.")
            }
            Error::AssetNotFound { .. } => {
                Self::not_found(sentence).with_help("GET /api/v1/search?q= finds what you may see.")
            }
            Error::VersionNotFound { .. } | Error::PartNotFound { .. } => Self::not_found(sentence),
            Error::NameTaken { .. } | Error::NameOfDeleted { .. } => Self::conflict("name-taken", sentence),
            Error::VersionTaken { .. } => Self::conflict("version-taken", sentence),
            Error::PartTaken { .. } => Self::conflict("name-taken", sentence),
            Error::InUse { .. } => Self::conflict("in-use", sentence),
            Error::Stale { current, .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "stale", "Changed meanwhile", sentence)
                    .with_help("Read it again, then send the new ETag as If-Match.")
                    .with("revision", current)
            }
            Error::Invalid { errors, .. } => Self::invalid(sentence).with_errors(errors),
            Error::Proposed(id) => {
                Self::new(StatusCode::ACCEPTED, "waits-for-approval", "Waits for approval", sentence)
                    .with_help("A reviewer of the workspace decides; the request can be followed and withdrawn.")
                    .with("approval", id.to_string())
                    .with("request", format!("/api/v1/approvals/{id}"))
            }
            Error::Refused(refused) => refused.into(),
            Error::Database(error) => error.into(),
            Error::Problem(problem) => problem,
        }
    }
}
