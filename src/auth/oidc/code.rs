//! The code flow: where the browser is sent, and what the code it comes back with is exchanged for.

use super::{Fault, Provider};
use crate::auth::jwt::Claims;
use crate::base::{Problem, Sealed};
use bytes::Bytes;
use futures::future::BoxFuture;
use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, StandardRevocableToken, StandardTokenIntrospectionResponse,
    StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

/// What ties an answer of the provider to the browser that was sent there. All three are secrets of at least 256 bits.
#[derive(Clone, Debug)]
pub struct Proof {
    pub state: String,
    pub nonce: String,
    /// Of PKCE.
    pub verifier: Sealed<String>,
}

/// What the provider granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Of the ID token; a refresh may come without one.
    pub claims: Option<Claims>,
    pub id_token: Option<Sealed<String>>,
    pub refresh_token: Option<Sealed<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdToken {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Answer = StandardTokenResponse<IdToken, BasicTokenType>;
type ProviderClient = Client<
    BasicErrorResponse,
    Answer,
    StandardTokenIntrospectionResponse<IdToken, BasicTokenType>,
    StandardRevocableToken,
    BasicErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Provider {
    /// The address at which the user of the browser signs in.
    ///
    /// # Errors
    /// [`Fault`] when the provider does not answer or is not usable.
    pub async fn authorization(&self, redirect: &str, proof: &Proof) -> Result<url::Url, Fault> {
        let client = self.client(redirect).await?;
        let verifier = PkceCodeVerifier::new(proof.verifier.expose().clone());
        let state = CsrfToken::new(proof.state.clone());
        let scopes = match &self.settings.scopes {
            Some(scopes) => scopes.clone(),
            None => self.metadata().await?.usual_scopes(),
        };
        let (url, _) = client
            .authorize_url(move || state)
            .add_scopes(scopes.into_iter().map(Scope::new))
            .add_extra_param("nonce", proof.nonce.as_str())
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(match &self.settings.prompt {
            Some(prompt) => with_query(url, "prompt", prompt),
            None => url,
        })
    }

    /// Whether the answer names its issuer rightly (RFC 9207, 2.4): letter by letter, and at all where it promised to.
    ///
    /// # Errors
    /// [`Fault`] when it does not, or when what it promised cannot be found out.
    pub async fn check_answer_issuer(&self, issuer: Option<&str>) -> Result<(), Fault> {
        let promised = self.metadata().await?.authorization_response_iss_parameter_supported;
        match issuer {
            Some(issuer) if issuer == self.source() => Ok(()),
            None if !promised => Ok(()),
            _ => Err(Fault::Wrong("the answer comes from another issuer")),
        }
    }

    /// Exchanges the code of an answer; the ID token is verified.
    ///
    /// # Errors
    /// [`Fault`]; nobody is signed in then.
    pub async fn exchange(&self, code: &str, redirect: &str, proof: &Proof) -> Result<Granted, Fault> {
        let client = self.client(redirect).await?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(proof.verifier.expose().clone()))
            .request_async(&Guarded(self))
            .await
            .map_err(|error| self.token_fault(error))?;
        if answer.extra_fields().id_token.is_none() {
            return Err(Fault::Wrong("it gave no ID token"));
        }
        self.granted(&answer, Some(&proof.nonce)).await
    }

    /// Asks for what the user's groups are now.
    ///
    /// # Errors
    /// [`Fault::Refused`] when the provider ended the grant; the session ends with it.
    pub async fn refresh(&self, token: &Sealed<String>) -> Result<Granted, Fault> {
        let client = self.client("http://localhost/").await?;
        let token = RefreshToken::new(token.expose().clone());
        let answer = client
            .exchange_refresh_token(&token)
            .request_async(&Guarded(self))
            .await
            .map_err(|error| self.token_fault(error))?;
        self.granted(&answer, None).await
    }

    /// Where the browser is sent to end the session at the provider too (RP-Initiated Logout 1.0), where there is such a
    /// place. Without an ID token the provider asks the user.
    pub async fn end_session(&self, id_token: Option<&Sealed<String>>, back: &str) -> Option<url::Url> {
        let url = self.metadata().await.ok()?.end_session_endpoint.clone()?;
        let url = with_query(url, "client_id", self.client_id());
        let url = with_query(url, "post_logout_redirect_uri", back);
        Some(match id_token {
            Some(token) => with_query(url, "id_token_hint", token.expose()),
            None => url,
        })
    }

    async fn granted(&self, answer: &Answer, nonce: Option<&str>) -> Result<Granted, Fault> {
        let id_token = answer.extra_fields().id_token.clone();
        let claims = match &id_token {
            Some(text) => Some(self.with_user_info(self.id_token(text, nonce).await?, answer).await),
            None => None,
        };
        Ok(Granted {
            claims,
            id_token: id_token.map(Sealed::new),
            refresh_token: answer.refresh_token().map(|token| Sealed::new(token.secret().clone())),
        })
    }

    /// The claims, completed by the userinfo endpoint where the ID token is silent about groups (Core, 5.3).
    async fn with_user_info(&self, mut claims: Claims, answer: &Answer) -> Claims {
        if self.groups(&claims).is_some() {
            return claims;
        }
        let Ok(Some(address)) = self.metadata().await.map(|metadata| metadata.userinfo_endpoint.clone()) else {
            return claims;
        };
        let request = http::Request::get(address.as_str())
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {}", answer.access_token().secret()))
            .body(Vec::new());
        let Ok(request) = request else { return claims };
        let told = match self.http.exchange(request).await {
            Ok(told) if told.status() == http::StatusCode::OK => crate::base::parse_strict(told.body()).ok(),
            _ => None,
        };
        // Core, 5.3.2: what is said about another subject is not about this one.
        let told = told.filter(|told| told.get("sub").and_then(|sub| sub.as_str()) == Some(claims.subject.as_str()));
        match told {
            Some(serde_json::Value::Object(told)) => {
                for (name, value) in told {
                    claims.all.entry(name).or_insert(value);
                }
            }
            _ => {
                tracing::warn!(provider.name = %self.settings.name, "The identity provider told nothing more of a user")
            }
        }
        claims
    }

    async fn client(&self, redirect: &str) -> Result<ProviderClient, Fault> {
        let metadata = self.metadata().await?;
        let auth_type = if metadata.takes_secret_in_body() { AuthType::RequestBody } else { AuthType::BasicAuth };
        let redirect = RedirectUrl::new(redirect.to_owned());
        let client = Client::new(ClientId::new(self.client_id().to_owned()))
            .set_auth_type(auth_type)
            .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
            .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
            .set_redirect_uri(redirect.map_err(|_| Fault::Wrong("our own address is no address"))?);
        Ok(match &self.settings.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
            None => client,
        })
    }

    fn token_fault(
        &self,
        error: RequestTokenError<Problem, oauth2::StandardErrorResponse<BasicErrorResponseType>>,
    ) -> Fault {
        match error {
            RequestTokenError::ServerResponse(answer) => {
                let word: String = answer.error().to_string().chars().take(60).collect();
                tracing::warn!(provider.name = %self.settings.name, error = %word, "The identity provider refused a code or token");
                Fault::Refused(word)
            }
            RequestTokenError::Request(problem) => self.unreachable(&problem),
            // The provider's answer holds tokens; it is not repeated.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                let fault = Fault::Wrong("its token endpoint does not answer as OAuth 2.0 asks for");
                self.told(&fault);
                fault
            }
        }
    }
}

/// Sends the crate's requests by the guarded client of a provider.
struct Guarded<'a>(&'a Provider);

impl<'c> AsyncHttpClient<'c> for Guarded<'_> {
    type Error = Problem;
    type Future = BoxFuture<'c, Result<HttpResponse, Problem>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.0.http.exchange(request).await?;
            // What a provider in trouble says is no refusal of the code.
            if answer.status().is_server_error() {
                return Err(Problem::unavailable(format!("its token endpoint answered {}", answer.status())));
            }
            Ok(answer.map(|body: Bytes| body.to_vec()))
        })
    }
}

fn with_query(mut url: url::Url, name: &str, value: &str) -> url::Url {
    url.query_pairs_mut().append_pair(name, value);
    url
}
