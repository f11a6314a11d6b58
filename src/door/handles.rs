//! `Handles`: everything a door can reach, each cheap to clone; a handler takes only what it uses.

use crate::auth::Auth;
use crate::base::{Clock, Config};
use crate::catalog::Catalog;
use crate::search::Search;
use axum::extract::FromRef;
use std::sync::Arc;

/// The handles of the domains, and the settings.
#[derive(Clone, FromRef)]
pub struct Handles {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub auth: Auth,
    pub catalog: Catalog,
    pub search: Search,
    pub public_url: PublicUrl,
}

/// The address clients use; every absolute URL we emit starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').into())
    }

    /// Without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `path`, which starts with a slash, as an absolute address.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}
