//! What a provider says about itself (OpenID Connect Discovery 1.0, RFC 8414, RFC 9207).

use super::Fault;
use serde::Deserialize;
use url::Url;

/// The parts of a discovery document that we use; it holds many more.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    pub userinfo_endpoint: Option<Url>,
    pub end_session_endpoint: Option<Url>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl Metadata {
    /// Where the document of an issuer lies: its path is kept, a slash at its end is not (Discovery, 4).
    pub(super) fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads the document that stands at the address of `issuer`.
    pub(super) fn read(document: &[u8], issuer: &str) -> Result<Self, Fault> {
        let metadata: Self = serde_json::from_slice(document)
            .map_err(|_| Fault::Wrong("its discovery document is not what OpenID Connect asks for"))?;
        // Discovery, 4.3: letter by letter, else one provider could speak for another.
        if metadata.issuer != issuer {
            return Err(Fault::Wrong("its discovery document names another issuer"));
        }
        let secure = issuer.starts_with("https://");
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        if secure && endpoints.into_iter().chain(&metadata.userinfo_endpoint).any(|url| url.scheme() != "https") {
            return Err(Fault::Wrong("its discovery document names an address without TLS"));
        }
        Ok(metadata)
    }

    /// What is asked for where the settings do not say: also groups and a refresh token, where the provider knows them.
    pub(super) fn usual_scopes(&self) -> Vec<String> {
        let more = ["groups", "offline_access"].into_iter();
        let more = more.filter(|scope| self.scopes_supported.iter().any(|known| known == scope));
        ["openid", "profile", "email"].into_iter().chain(more).map(str::to_owned).collect()
    }

    /// Whether our secret goes into the body of a token request; else into the header, which is the default (Core, 9).
    pub(super) fn takes_secret_in_body(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|own| own == method);
        !takes("client_secret_basic") && takes("client_secret_post")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_speaks_for_another_issuer_is_refused() {
        let document = |issuer: &str, scheme: &str| {
            let text = serde_json::json!({"issuer": issuer, "authorization_endpoint": format!("{scheme}://a.example/a"),
                "token_endpoint": "https://a.example/t", "jwks_uri": "https://a.example/k", "more": [1]});
            Metadata::read(text.to_string().as_bytes(), "https://a.example")
        };

        assert!(document("https://a.example", "https").is_ok());
        assert!(document("https://a.example/", "https").is_err());
        assert!(document("https://b.example", "https").is_err());
        assert!(document("https://a.example", "http").is_err());
        assert!(Metadata::read(b"<html>", "https://a.example").is_err());
        assert_eq!(Metadata::address("https://a.example/x/"), "https://a.example/x/.well-known/openid-configuration");
    }
}
