//! What a key may be used for, when it is not meant for everything its holder may do.

use super::actor::Actor;
use super::permission::{Permission, Scope};
use crate::base::WorkspaceId;
use std::fmt;

/// One thing a key may be used for. A key without any may be used for everything its holder may do.
///
/// Stored as text; [`fmt::Display`] and [`KeyScope::parse`] are each other's inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyScope {
    /// `catalog:read`
    Read,
    /// `catalog:publish`, or `catalog:publish:` and a workspace; to see what is there belongs to it.
    Publish(Option<WorkspaceId>),
    /// `gateway:call`, or `gateway:call:` and the name of a route or `workspace/server`.
    Call(Option<String>),
    /// `registry:publish:` and a name of the MCP registry, or the beginning of names and a star. It allows nothing by
    /// itself: it narrows what else the key may publish to these names.
    Name(String),
    /// `mcp:discover`: what the holder may see, over the discovery endpoint only.
    Discover,
}

impl KeyScope {
    /// Reads the stored form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "catalog:read" => Self::Read,
            "catalog:publish" => Self::Publish(None),
            "gateway:call" => Self::Call(None),
            "mcp:discover" => Self::Discover,
            _ => {
                if let Some(name) = text.strip_prefix("registry:publish:").filter(|name| !name.is_empty()) {
                    Self::Name(name.to_owned())
                } else if let Some(workspace) = text.strip_prefix("catalog:publish:") {
                    Self::Publish(Some(workspace.parse().ok()?))
                } else {
                    let target = text.strip_prefix("gateway:call:").filter(|target| !target.is_empty())?;
                    Self::Call(Some(target.to_owned()))
                }
            }
        })
    }

    fn allows(&self, permission: Permission, scope: Scope) -> bool {
        match (self, permission) {
            (Self::Read, Permission::ReadCatalog) => true,
            (Self::Publish(place), Permission::ReadCatalog | Permission::WriteCatalog) => {
                place.is_none_or(|place| scope.workspace() == Some(place))
            }
            (Self::Call(_), Permission::CallGateway) => true,
            _ => false,
        }
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("catalog:read"),
            Self::Publish(None) => f.write_str("catalog:publish"),
            Self::Publish(Some(workspace)) => write!(f, "catalog:publish:{workspace}"),
            Self::Call(None) => f.write_str("gateway:call"),
            Self::Call(Some(target)) => write!(f, "gateway:call:{target}"),
            Self::Name(name) => write!(f, "registry:publish:{name}"),
            Self::Discover => f.write_str("mcp:discover"),
        }
    }
}

impl Actor {
    /// Whether the key the actor comes with may be used for this; true for who comes without a key.
    #[must_use]
    pub fn key_allows(&self, permission: Permission, scope: Scope) -> bool {
        let scopes = self.key_scopes();
        scopes.is_empty() || scopes.iter().any(|held| held.allows(permission, scope))
    }

    /// Whether the actor's key may call this route or `workspace/server`; who comes without a key may where its role may.
    #[must_use]
    pub fn key_calls(&self, target: &str) -> bool {
        let scopes = self.key_scopes();
        scopes.is_empty()
            || scopes.iter().any(|held| match held {
                KeyScope::Call(place) => place.as_deref().is_none_or(|place| place == target),
                _ => false,
            })
    }

    /// Whether the actor's key may write what has this registry name; true for keys that are not narrowed to names.
    #[must_use]
    pub fn key_publishes(&self, name: &str) -> bool {
        let names = self.published_names();
        names.is_empty()
            || names.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *pattern,
            })
    }

    /// The names, or their beginnings with a star, that the actor's key is narrowed to; empty: it is not.
    #[must_use]
    pub fn published_names(&self) -> Vec<&str> {
        let names = self.key_scopes().iter().filter_map(|scope| match scope {
            KeyScope::Name(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The actor as the discovery endpoint takes it: there a key for discovery sees what its holder may see.
    #[must_use]
    pub fn for_discovery(self) -> Self {
        if !self.key_scopes().contains(&KeyScope::Discover) {
            return self;
        }
        let scopes = self.key_scopes().iter().cloned().chain([KeyScope::Read]).collect();
        self.with_scopes(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_as_it_is_written() {
        let workspace = WorkspaceId::new();
        for scope in [
            KeyScope::Read,
            KeyScope::Publish(None),
            KeyScope::Publish(Some(workspace)),
            KeyScope::Call(None),
            KeyScope::Call(Some("payments/refunds".into())),
            KeyScope::Discover,
            KeyScope::Name("com.example/*".into()),
        ] {
            assert_eq!(KeyScope::parse(&scope.to_string()), Some(scope));
        }
        for none in ["", "catalog", "catalog:publish:here", "gateway:call:", "everything"] {
            assert_eq!(KeyScope::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_key_narrowed_to_names_publishes_no_others() {
        let key = |scopes: Vec<KeyScope>| {
            let id = crate::base::KeyId::new();
            Actor::system("test").with_key(crate::auth::KeyRef { id, name: "ci".into() }, scopes)
        };
        let narrowed =
            key(vec![KeyScope::Publish(None), KeyScope::Name("com.example/*".into()), KeyScope::Name("a.b/c".into())]);

        assert!(narrowed.key_publishes("com.example/files") && narrowed.key_publishes("a.b/c"));
        assert!(!narrowed.key_publishes("com.examples/files") && !narrowed.key_publishes("a.b/cd"));
        assert!(key(vec![KeyScope::Publish(None)]).key_publishes("any.thing/else"));
        assert!(!key(vec![KeyScope::Name("a.b/c".into())]).key_allows(Permission::WriteCatalog, Scope::Instance));
    }

    #[test]
    fn a_scope_allows_what_it_names_and_nothing_else() {
        let (here, there) = (Scope::Workspace(WorkspaceId::new()), Scope::Workspace(WorkspaceId::new()));
        let publish_here = KeyScope::Publish(here.workspace());

        assert!(
            publish_here.allows(Permission::WriteCatalog, here) && publish_here.allows(Permission::ReadCatalog, here)
        );
        assert!(!publish_here.allows(Permission::WriteCatalog, there));
        assert!(!KeyScope::Read.allows(Permission::WriteCatalog, here));
        assert!(!KeyScope::Publish(None).allows(Permission::ManageKeys, here));
        assert!(KeyScope::Call(Some("chat".into())).allows(Permission::CallGateway, Scope::Instance));
        assert!(!KeyScope::Discover.allows(Permission::ReadCatalog, here));
    }
}
