//! The OpenID Connect providers: their users sign in here, and their tokens are believed.
//!
//! We are a relying party of OpenID Connect Core 1.0 with the code flow, PKCE (RFC 7636), and the advice of RFC 9700.
//! A provider is reached at its own host because the operator named it, and everywhere else by the guarded rules only.

mod code;
mod metadata;
mod remembered;

pub use code::{Granted, Proof};

use super::jwt::{Claims, KeySet, Refusal, Rules, Token};
use crate::base::config::{Fetch, OidcProvider};
use crate::base::{Clock, HttpClient, Problem};
use bytes::Bytes;
use http::StatusCode;
use metadata::Metadata;
use remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;

/// The longest document of a provider that is read, in bytes.
const LONGEST_DOCUMENT: u64 = 1 << 20;
/// The event of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// All configured providers; cheap to clone.
#[derive(Clone, Default)]
pub struct Providers(Arc<[Provider]>);

/// One provider, with what it published last.
pub struct Provider {
    pub settings: OidcProvider,
    /// Audiences that name us in its bearer tokens.
    audiences: Vec<String>,
    clock: Clock,
    http: HttpClient,
    metadata: Remembered<Metadata>,
    keys: Remembered<KeySet>,
}

/// Why a provider was of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it does not answer, or not in time")]
    Unreachable,
    #[error("{0}")]
    Wrong(&'static str),
    #[error("its token is refused: {0}")]
    Token(#[from] Refusal),
    /// What the token endpoint said, in its own word (RFC 6749, 5.2).
    #[error("it refused what we sent ({0})")]
    Refused(String),
}

impl Providers {
    /// The providers of the settings. `public_url` is how their tokens name us.
    #[must_use]
    pub fn new(settings: Vec<OidcProvider>, timeout: Duration, fetch: &Fetch, public_url: &str, clock: &Clock) -> Self {
        let mut fetch = fetch.clone();
        fetch.fetch_timeout = timeout;
        fetch.fetch_max_size.0 = LONGEST_DOCUMENT;
        let made = settings.into_iter().map(|settings| Provider {
            audiences: [public_url.to_owned(), format!("{public_url}/mcp")]
                .into_iter()
                .chain(settings.audiences.iter().cloned())
                .collect(),
            http: HttpClient::for_named(&fetch, &settings.issuer.url()),
            metadata: Remembered::new(clock.clone()),
            keys: Remembered::new(clock.clone()),
            clock: clock.clone(),
            settings,
        });
        Self(made.collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }

    /// Those by which people sign in.
    pub fn for_sign_in(&self) -> impl Iterator<Item = &Provider> {
        self.iter().filter(|provider| provider.settings.client_id.is_some())
    }

    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Provider> {
        self.iter().find(|provider| provider.settings.name.as_str() == name)
    }

    /// The claims of a bearer token of any of them.
    ///
    /// # Errors
    /// [`Fault`]; the token is refused then.
    pub async fn bearer(&self, text: &str) -> Result<(&Provider, Claims), Fault> {
        let token = Token::read(text)?;
        let issuer = token.claimed_issuer().unwrap_or_default();
        let provider = self.iter().find(|provider| provider.settings.issuer.as_str() == issuer);
        let provider = provider.ok_or(Refusal::Issuer)?;
        token.require_type(&provider.settings.token_types)?;
        // An ID token says "somebody signed in there", not "may call here", whatever its type says.
        if text_claims_are_of_an_id_token(&token) {
            return Err(Refusal::Type("id token".to_owned()).into());
        }
        let claims = provider.verify(&token, &provider.audiences).await?;
        Ok((provider, claims))
    }
}

fn text_claims_are_of_an_id_token(token: &Token<'_>) -> bool {
    ["nonce", "at_hash", "c_hash"].iter().any(|name| token.has_claim(name))
}

impl Provider {
    /// Whether it did not answer, or not usably, when it was last asked. Nobody asks for the sake of this question.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.metadata.is_failing() || self.keys.is_failing()
    }

    fn source(&self) -> &str {
        self.settings.issuer.as_str()
    }

    fn client_id(&self) -> &str {
        self.settings.client_id.as_deref().unwrap_or_default()
    }

    /// The claims of `token`, when it is one of this provider's for one of these audiences.
    async fn verify(&self, token: &Token<'_>, audiences: &[String]) -> Result<Claims, Fault> {
        self.verify_by(token, &self.rules(audiences)).await
    }

    fn rules<'a>(&'a self, audiences: &'a [String]) -> Rules<'a> {
        let OidcProvider { algorithms, clock_skew, .. } = &self.settings;
        Rules { issuer: self.source(), algorithms, audiences, skew: *clock_skew, subject_may_be_absent: false }
    }

    async fn verify_by(&self, token: &Token<'_>, rules: &Rules<'_>) -> Result<Claims, Fault> {
        let fetch = || self.fetch_keys();
        let keys = self.keys.get(fetch).await?;
        match token.verify(&keys, rules, self.clock.now()) {
            // The provider may have a new key.
            Err(Refusal::UnknownKey) => {
                let keys = self.keys.renewed(fetch).await?;
                Ok(token.verify(&keys, rules, self.clock.now())?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// The claims of an ID token given to us for the sign-in with this nonce, or none for a refresh (Core, 3.1.3.7, 12.2).
    async fn id_token(&self, text: &str, nonce: Option<&str>) -> Result<Claims, Fault> {
        let token = Token::read(text)?;
        let claims = self.verify(&token, &[self.client_id().to_owned()]).await?;
        let others = claims.audiences().any(|audience| audience != self.client_id());
        if (others || claims.all.contains_key("azp")) && claims.text("azp") != Some(self.client_id()) {
            return Err(Refusal::Claim("azp").into());
        }
        if !claims.all.contains_key("iat") {
            return Err(Refusal::Claim("iat").into());
        }
        match nonce {
            Some(nonce) if claims.text("nonce") != Some(nonce) => Err(Refusal::Claim("nonce").into()),
            _ => Ok(claims),
        }
    }

    /// Whom a logout token ends the sessions of: the subject, and the one session of the provider's where it names one; at
    /// least one of the two (Back-Channel Logout, 2.4).
    ///
    /// # Errors
    /// [`Fault`] when it is no logout token of this provider for us.
    pub async fn logout_token(&self, text: &str) -> Result<(Option<String>, Option<String>), Fault> {
        let token = Token::read(text)?;
        token.require_type(&["logout+jwt".to_owned()])?;
        let audiences = [self.client_id().to_owned()];
        let claims = self.verify_by(&token, &Rules { subject_may_be_absent: true, ..self.rules(&audiences) }).await?;
        let is_event = claims.all.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some();
        if !is_event || claims.all.contains_key("nonce") {
            return Err(Refusal::Claim("events").into());
        }
        let (subject, sid) = (claims.text("sub").map(str::to_owned), claims.text("sid").map(str::to_owned));
        if subject.is_none() && sid.is_none() {
            return Err(Refusal::Claim("sub").into());
        }
        Ok((subject, sid))
    }

    /// The groups a token lists; none when it says nothing about groups.
    #[must_use]
    pub fn groups(&self, claims: &Claims) -> Option<Vec<String>> {
        let mut groups = claims.list(&self.settings.groups_claim)?;
        groups.retain(|group| (1..=200).contains(&group.len()) && !group.contains('\0'));
        groups.sort();
        groups.dedup();
        groups.truncate(MOST_GROUPS);
        Some(groups)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Fault> {
        self.metadata
            .get(|| async {
                let document = self.fetch(&Metadata::address(self.source())).await?;
                Metadata::read(&document, self.source()).inspect_err(|fault| self.told(fault))
            })
            .await
    }

    async fn fetch_keys(&self) -> Result<KeySet, Fault> {
        let metadata = self.metadata().await?;
        let document = self.fetch(metadata.jwks_uri.as_str()).await?;
        KeySet::read(&document)
            .map_err(|_| Fault::Wrong("its keys are no JSON Web Key Set"))
            .inspect_err(|fault| self.told(fault))
    }

    async fn fetch(&self, address: &str) -> Result<Bytes, Fault> {
        let request = http::Request::get(address).header("accept", "application/json").body(Vec::new());
        let request = request.map_err(|_| Fault::Wrong("an address it gave is no address"))?;
        let answer = self.http.exchange(request).await.map_err(|problem| self.unreachable(&problem))?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => {
                tracing::warn!(provider.name = %self.settings.name, status = status.as_u16(), "The identity provider gave no answer");
                Err(Fault::Unreachable)
            }
        }
    }

    fn unreachable(&self, problem: &Problem) -> Fault {
        tracing::warn!(provider.name = %self.settings.name, error = %problem, "The identity provider was not reached");
        Fault::Unreachable
    }

    fn told(&self, fault: &Fault) {
        tracing::warn!(provider.name = %self.settings.name, error = %fault, "The identity provider is not usable");
    }
}

/// More groups than anybody is in.
const MOST_GROUPS: usize = 500;
