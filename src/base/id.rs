//! Typed identifiers over UUIDv7, and the two sorts of names people give.

use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id; later ones sort after earlier ones (UUIDv7).
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id would be a different one each time")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

typed_id!(WorkspaceId, AssetId, VersionId, DefinitionId, EnvironmentId, DeploymentId, MetadataSchemaId, KeyId, AuditId);
typed_id!(UserId, GroupId, ServiceAccountId, RoleAssignmentId, SessionId);
typed_id!(BackendId, PoolId, RouteId, PolicyId, CredentialId, PriceId);
typed_id!(NoticeId, WebhookId, DeliveryId);
typed_id!(InvitationId);
typed_id!(UpstreamId, UpstreamRunId, RegistryViewId);
typed_id!(ApprovalId, CommentId);
typed_id!(AccessRequestId);

/// The name of a workspace, an environment or a metadata schema: `a-z`, digits and inner hyphens, 1 to 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Slug(String);

/// The name of an asset within its workspace, at most 200 characters: a plain slug (`payments-api`) or a legal
/// name of the MCP registry (`com.example/payments`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Name(String);

/// Why a text is no [`Slug`] or no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(&'static str);

impl Slug {
    const RULE: BadName = BadName("use 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit");

    /// # Errors
    /// [`BadName`] says which characters are allowed.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let bytes = text.as_bytes();
        let legal = (1..=63).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-';
        if legal { Ok(Self(text.to_owned())) } else { Err(Self::RULE) }
    }
}

impl Name {
    const RULE: BadName = BadName(
        "use a plain slug like `payments-api`, or `namespace/slug` like `com.example/payments`: letters, digits, '.', '-' \
         (and '_' outside the namespace), each part starting and ending with a letter or digit, at most 200 characters",
    );

    /// # Errors
    /// [`BadName`] says which forms are allowed.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let (namespace, slug) = match text.split_once('/') {
            Some((namespace, slug)) => (Some(namespace), slug),
            None => (None, text),
        };
        let ends = |part: &str| {
            part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
                && part.bytes().next_back().is_some_and(|b| b.is_ascii_alphanumeric())
        };
        let namespace_legal = namespace
            .is_none_or(|part| ends(part) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b)));
        let slug_legal = ends(slug) && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if text.len() <= 200 && namespace_legal && slug_legal { Ok(Self(text.to_owned())) } else { Err(Self::RULE) }
    }

    /// The part before the slash, where there is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The part after the slash, or the whole.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, slug)| slug)
    }
}

macro_rules! text_newtype {
    ($($name:ident),+) => {$(
        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    )+};
}
text_newtype!(Slug, Name);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_slugs_or_registry_names() {
        for good in ["payments-api", "com.example/payments", "A.b-c/d_e.f", "x", "io.github.a/b"] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a/", "/b", "a/b/c", "-a", "a b", "a_b/c", "a/b-", "ä", &"x".repeat(201)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slugs_are_lower_case_and_short() {
        for good in ["default", "team-7", "a"] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", &"x".repeat(64)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }
}
