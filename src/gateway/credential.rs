//! `Credential`: what a backend wants to see, unsealed in memory, for whoever prepares a request to it.

mod token;

pub(super) use token::TokenClient;

use super::settings::{CredentialSettings, Owner};
use crate::base::{CredentialId, Sealed, WorkspaceId};
use std::sync::Arc;
use std::time::Duration;
use token::KeptToken;

/// A credential, ready to use.
#[derive(Debug)]
pub struct Credential {
    pub id: CredentialId,
    pub name: String,
    pub revision: i64,
    settings: Sealed<CredentialSettings>,
    client: Option<Arc<TokenClient>>,
    token: KeptToken,
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
    /// A credential by hand. One of client credentials fetches no tokens; those of the gateway do.
    #[must_use]
    pub fn new(id: CredentialId, name: impl Into<String>, revision: i64, settings: CredentialSettings) -> Self {
        let token = KeptToken::default();
        Self { id, name: name.into(), revision, settings: Sealed::new(settings), client: None, token }
    }

    /// As [`Credential::new`], with somebody to fetch tokens.
    pub(super) fn with_client(self, client: Arc<TokenClient>) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Whether this is the same credential with the same secret, so that a fetched token stays good.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.settings == other.settings
    }

    /// Whether its secret is a token that is fetched, and can be fetched anew.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        matches!(self.settings.expose(), CredentialSettings::ClientCredentials { .. })
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
            CredentialSettings::ClientCredentials { .. } => {
                let no_token = |reason: String| CredentialError::NoToken { name: self.name.clone(), reason };
                let client = self.client.as_ref().ok_or_else(|| no_token("nobody fetches tokens here".to_owned()))?;
                let token = self.token.current(client, self.settings.expose()).await.map_err(no_token)?;
                Ok(Secret::Bearer(token))
            }
        }
    }

    /// As [`Credential::secret`], for who can wait no longer than this.
    ///
    /// # Errors
    /// Also when a token is not there in time; it is fetched on, for who comes later.
    pub async fn secret_within(&self, patience: Duration) -> Result<Secret, CredentialError> {
        // A timer would cost more than what is at hand.
        if !self.is_fetched() {
            return self.secret().await;
        }
        let late = |_| CredentialError::NoToken {
            name: self.name.clone(),
            reason: "it takes longer than the request may wait".to_owned(),
        };
        tokio::time::timeout(patience, self.secret()).await.map_err(late)?
    }

    /// Drops a fetched token that a backend refused (401); tells whether another is worth a try.
    pub async fn forget_token(&self, refused: &Secret) -> bool {
        match (&self.client, refused) {
            (Some(client), Secret::Bearer(refused)) => self.token.forget(client, refused).await,
            _ => false,
        }
    }
}

/// What a credential's sealed secret belongs to: moved to another row it does not open.
#[must_use]
pub(super) fn identity(id: uuid::Uuid, owner: &Owner) -> String {
    identity_in(id, owner.workspace_id())
}

/// As [`identity`], by the workspace that owns it; none of the instance.
pub(super) fn identity_in(id: uuid::Uuid, workspace: Option<WorkspaceId>) -> String {
    match workspace {
        Some(workspace) => format!("gateway_secret {id} of workspace {workspace}"),
        None => format!("gateway_secret {id} of the instance"),
    }
}
