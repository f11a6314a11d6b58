//! `Credential`: what a backend wants to see, unsealed in memory, for whoever prepares a request to it.

use super::settings::CredentialSettings;
use crate::base::{CredentialId, Sealed};

/// A credential, ready to use.
#[derive(Debug)]
pub struct Credential {
    pub id: CredentialId,
    pub name: String,
    pub revision: i64,
    settings: Sealed<CredentialSettings>,
}

/// What goes into a request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In the header of the provider's dialect, or in `header` where one is named.
    ApiKey { value: Sealed<String>, header: Option<String> },
    /// As `Authorization: Bearer`.
    Bearer(Sealed<String>),
}

/// Why there is no secret now. The text holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("the token of credential {name} could not be fetched: {reason}")]
    NoToken { name: String, reason: String },
}

impl Credential {
    #[must_use]
    pub fn new(id: CredentialId, name: impl Into<String>, revision: i64, settings: CredentialSettings) -> Self {
        Self { id, name: name.into(), revision, settings: Sealed::new(settings) }
    }

    /// The secret to send now.
    ///
    /// # Errors
    /// When a token has to be fetched and its server does not give one.
    pub async fn secret(&self) -> Result<Secret, CredentialError> {
        match self.settings.expose() {
            CredentialSettings::ApiKey { value, header } => {
                Ok(Secret::ApiKey { value: Sealed::new(value.clone()), header: header.clone() })
            }
            CredentialSettings::Bearer { value } => Ok(Secret::Bearer(Sealed::new(value.clone()))),
            CredentialSettings::ClientCredentials { .. } => Err(CredentialError::NoToken {
                name: self.name.clone(),
                reason: "tokens are not fetched by this release".into(),
            }),
        }
    }
}
