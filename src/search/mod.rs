//! Finding things: by words, by meaning, by facets, and only what the asker may see.

pub mod document;
mod fuse;
pub mod lexical;
mod plain;
pub mod query;
pub mod rank;
mod request;
pub mod roster;
pub mod vector;
pub mod words;

pub use request::{Degraded, Facet, FacetValue, Filters, Hit, Matched, Request, Results, Sort, Suggestion, Why};

use crate::auth::Actor;
use crate::base::{AssetId, Problem};
use crate::catalog::Catalog;

/// The verbs of the search; cheap to clone.
#[derive(Clone)]
pub struct Search {
    catalog: Catalog,
}

impl Search {
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        Self { catalog }
    }

    /// What fits the question and the actor may see.
    ///
    /// # Errors
    /// 422 for a cursor that is none; 503 when the database does not answer.
    pub async fn find(&self, actor: &Actor, request: &Request) -> Result<Results, Problem> {
        plain::find(&self.catalog, actor, request).await
    }

    /// What follows from assets having changed, once for all replicas: their vectors are made. Twice does no harm.
    ///
    /// # Errors
    /// When it should be tried again later.
    pub async fn on_assets_changed(&self, changed: &[AssetId]) -> anyhow::Result<()> {
        tracing::debug!(assets = changed.len(), "No embedder is connected; vectors are left out");
        Ok(())
    }
}
