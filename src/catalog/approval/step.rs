//! What is done when a request is approved: each a write that was held back.

use crate::base::DeploymentId;
use crate::catalog::draft::Draft;
use crate::catalog::{NewDefinition, NewDeployment, Visibility};
use serde::{Deserialize, Serialize};

/// A write that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "do")]
pub(in crate::catalog) enum Step {
    /// Owners and who sees it.
    Entrust {
        owners: Vec<String>,
        visibility: Visibility,
        shared_with: Vec<String>,
    },
    Attach {
        version: String,
        definition: Box<NewDefinition>,
    },
    Detach {
        version: String,
        document: String,
    },
    Deploy {
        version: String,
        deployment: Box<NewDeployment>,
    },
    Redeploy {
        id: DeploymentId,
        deployment: Box<NewDeployment>,
    },
    Undeploy {
        id: DeploymentId,
    },
    /// A version that is there gets the contents of the draft.
    Replace {
        draft: Box<Draft>,
    },
    /// The asset's own words become those of the draft, whose version is approved with it.
    Words {
        draft: Box<Draft>,
    },
}

impl Step {
    /// In a few words, for the audit record and for people.
    pub fn told(&self) -> String {
        match self {
            Self::Entrust { .. } => "owners or visibility".to_owned(),
            Self::Attach { version, .. } => format!("the definition of {version}"),
            Self::Detach { version, document } => format!("{version} without its document {document}"),
            Self::Deploy { version, deployment } => format!("{version} at {}", deployment.url),
            Self::Redeploy { deployment, .. } => format!("a deployment moved to {}", deployment.url),
            Self::Undeploy { .. } => "a deployment less".to_owned(),
            Self::Replace { draft } => format!("other contents of {}", draft.version.name),
            Self::Words { draft } => format!("the words of {}", draft.version.name),
        }
    }
}
