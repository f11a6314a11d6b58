//! `DeploymentDraft`: where a version runs, ready to be stored.

use crate::base::Slug;
use crate::catalog::Error;
use crate::catalog::input::NewDeployment;
use crate::catalog::wrong::Wrong;
use crate::wire;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Where the version runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentDraft {
    pub environment: Option<Slug>,
    pub url: String,
    pub transport: String,
    pub title: String,
    pub description: String,
    pub is_active: bool,
    pub metadata: Map<String, Value>,
    pub detail: Value,
}

impl DeploymentDraft {
    pub(super) fn of_server(server: wire::Server) -> Option<Self> {
        // Documents often say only `/v1`: a place below an address nobody gave is no deployment.
        let absolute = server.url.contains("://") || server.url.starts_with('{');
        (absolute && server.url.len() <= 2_000).then(|| Self {
            environment: None,
            url: server.url,
            transport: server.transport.unwrap_or_default(),
            title: String::new(),
            description: server.description.unwrap_or_default(),
            is_active: true,
            metadata: Map::new(),
            detail: json!({}),
        })
    }

    /// A deployment as it was told.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the wrong places below `at`.
    pub fn of(new: NewDeployment, at: &str) -> Result<Self, Error> {
        let mut wrong = Wrong::default();
        let draft = wrong.deployment(new, at);
        wrong.finish()?;
        Ok(draft)
    }
}

pub(super) fn deployments_of(told: Vec<NewDeployment>, wrong: &mut Wrong) -> Vec<DeploymentDraft> {
    if told.len() > 200 {
        wrong.add("body.deployments", "at most 200 at a time");
    }
    told.into_iter().enumerate().map(|(i, new)| wrong.deployment(new, &format!("body.deployments[{i}]"))).collect()
}
