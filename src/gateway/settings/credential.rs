//! What a backend wants to see before it answers. The secret parts are written and never read back.

use super::is_default;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A credential for backends: exactly one of the four.
///
/// A secret is given as its text, or in a file as `${NAME}`, which `wharfinger apply` fills in from its environment. What
/// is answered has the reference where there was one, else `${...}`; never the secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayCredentialSettings)]
pub enum CredentialSettings {
    /// The vendor's API key, sent in the header the provider's dialect uses (`Authorization: Bearer`, `api-key`,
    /// `x-api-key`), or in the one named here.
    #[serde(rename_all = "camelCase")]
    ApiKey {
        value: String,
        #[serde(default, skip_serializing_if = "is_default")]
        header: Option<String>,
    },
    /// A token, sent as `Authorization: Bearer` whatever the provider.
    #[serde(rename_all = "camelCase")]
    Bearer { value: String },
    /// OAuth client credentials (RFC 6749, 4.4): a token is fetched, kept until shortly before it ends, and sent as
    /// `Authorization: Bearer`.
    #[serde(rename_all = "camelCase")]
    ClientCredentials {
        token_url: String,
        client_id: String,
        client_secret: String,
        /// Joined by spaces.
        #[serde(default, skip_serializing_if = "is_default")]
        scopes: Vec<String>,
        /// Further parameters of the token request, such as `audience`.
        #[serde(default, skip_serializing_if = "is_default")]
        parameters: std::collections::BTreeMap<String, String>,
    },
}

impl CredentialSettings {
    /// The secret part, as it was given.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::ApiKey { value, .. } | Self::Bearer { value } => value,
            Self::ClientCredentials { client_secret, .. } => client_secret,
        }
    }

    /// The same with another text in the secret's place.
    #[must_use]
    pub fn with_secret(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::ApiKey { value, .. } | Self::Bearer { value } => *value = text.into(),
            Self::ClientCredentials { client_secret, .. } => *client_secret = text.into(),
        }
        self
    }
}
