//! Lifecycle stages of a version, the registry's status beside them, and how far an asset can be seen.

use crate::auth::Sight;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where a version stands in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Stage {
    Design,
    Development,
    Testing,
    Preview,
    Production,
    Deprecated,
    Retired,
}

/// The MCP registry's status of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Status {
    Active,
    Deprecated,
    Deleted,
}

/// Who may see an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody, without a credential too.
    #[default]
    Public,
    /// Everybody with a credential.
    Internal,
    /// Those with a role in the workspace.
    Private,
}

macro_rules! words {
    ($type:ident, $($variant:ident => $word:literal),+) => {
        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { word: text.to_owned(), known: &[$($word),+] }),
                }
            }
        }
    };
}

/// A word outside the list of those that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of {}", known.join(", "))]
pub struct UnknownWord {
    pub word: String,
    pub known: &'static [&'static str],
}

words!(Stage, Design => "design", Development => "development", Testing => "testing", Preview => "preview",
    Production => "production", Deprecated => "deprecated", Retired => "retired");
words!(Status, Active => "active", Deprecated => "deprecated", Deleted => "deleted");
words!(Visibility, Public => "public", Internal => "internal", Private => "private");

impl Stage {
    /// What people read: `Production`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Design => "Design",
            Self::Development => "Development",
            Self::Testing => "Testing",
            Self::Preview => "Preview",
            Self::Production => "Production",
            Self::Deprecated => "Deprecated",
            Self::Retired => "Retired",
        }
    }

    /// The status that goes with a stage: what is deprecated or retired here is deprecated for the registry's readers.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Deprecated | Self::Retired => Status::Deprecated,
            _ => Status::Active,
        }
    }

    /// The stage after the registry's status was set: a stage that says the same already stays.
    #[must_use]
    pub const fn after(self, status: Status) -> Self {
        match (status, self) {
            (Status::Deprecated, Self::Retired) => Self::Retired,
            (Status::Deprecated, _) => Self::Deprecated,
            (Status::Active, Self::Deprecated | Self::Retired) => Self::Production,
            (Status::Active | Status::Deleted, stage) => stage,
        }
    }
}

impl Visibility {
    /// Whether an approved asset of this visibility, shared with these groups, is shown to somebody of this sight who is
    /// not inside its workspace. In memory the only place that says so; `asset_visible` says the same in SQL.
    #[must_use]
    pub fn shows(self, shared_with: &[String], sight: &Sight) -> bool {
        self == Self::Public
            || (self == Self::Internal && sight.internal)
            || shared_with.iter().any(|group| sight.groups.binary_search(group).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_and_status_say_the_same() {
        for stage in Stage::ALL.iter().copied() {
            for status in [Status::Active, Status::Deprecated] {
                assert_eq!(stage.after(status).status(), status, "{stage} after {status}");
            }
            assert_eq!(stage.after(Status::Deleted), stage, "restoring finds the stage as it was");
        }
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let message = "live".parse::<Stage>().unwrap_err().to_string();

        assert!(message.contains("\"live\"") && message.contains("production"), "{message}");
    }
}
