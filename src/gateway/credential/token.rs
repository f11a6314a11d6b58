//! Tokens of client credentials (RFC 6749, 4.4): fetched when first needed, kept until shortly before they end, and fetched
//! once however many requests wait for them.

use super::CredentialSettings;
use crate::base::{Clock, Egress, NotPublic, Sealed};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A token is not used in the last minute of its life, or in the last tenth of a short one: requests take time.
const MARGIN: Duration = Duration::from_secs(60);
/// A server that does not say how long a token lives is asked again after this.
const UNSAID: u64 = 300;
/// How long a refusal is believed: a wrong secret must not become a storm of requests.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// No token answer is longer.
const LONGEST: usize = 64 << 10;

/// Asks token endpoints; one a process.
#[derive(Debug)]
pub struct TokenClient {
    http: Result<reqwest::Client, String>,
    egress: Egress,
    clock: Clock,
}

#[derive(Debug, Default)]
pub(super) struct KeptToken(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    kept: Option<Kept>,
    /// When a backend refused the last one that was dropped for it; on the monotonic clock.
    refused_at: Option<Duration>,
}

#[derive(Debug)]
struct Kept {
    outcome: Result<Sealed<String>, String>,
    /// On the monotonic clock.
    until: Duration,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: Option<serde_json::Value>,
}

impl TokenClient {
    pub fn new(egress: Egress, clock: Clock) -> Self {
        let http = egress
            .client()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .user_agent(concat!("wharfinger/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string());
        Self { http, egress, clock }
    }

    /// The client behind it, for other calls on behalf of those who look after the gateway; it reaches what backends may.
    ///
    /// # Errors
    /// Where the system has no list of authorities to trust.
    pub fn http(&self) -> Result<&reqwest::Client, String> {
        self.http.as_ref().map_err(Clone::clone)
    }

    async fn fetch(&self, settings: &CredentialSettings) -> Result<(Sealed<String>, Duration), String> {
        let CredentialSettings::ClientCredentials { token_url, client_id, client_secret, scopes, parameters } =
            settings
        else {
            return Err("this credential needs no token".to_owned());
        };
        let url: url::Url = token_url.parse().map_err(|_| "its token address is no URL".to_owned())?;
        self.egress.judge_strictly(&url).map_err(|reason| format!("its token address {reason}"))?;
        let scope = scopes.join(" ");
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id.as_str()),
            ("client_secret", client_secret.as_str()),
        ];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        form.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .http()?
            .post(url)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(http::header::ACCEPT, "application/json")
            .body(body);
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status();
        let text = read(response).await?;
        if !status.is_success() {
            // RFC 6749, 5.2: `error` is one of a few words; the description could hold anything and is left out.
            let word = serde_json::from_slice::<serde_json::Value>(&text).ok();
            let word =
                word.as_ref().and_then(|body| body.get("error")).and_then(|word| word.as_str()).unwrap_or_default();
            let word: String = word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect();
            return Err(format!("the token server answered {} {word}", status.as_u16()).trim_end().to_owned());
        }
        let answer: Answer =
            serde_json::from_slice(&text).map_err(|_| "the token server's answer holds no token".to_owned())?;
        if !(answer.token_type.is_empty() || answer.token_type.eq_ignore_ascii_case("bearer")) {
            return Err("the token server gave a token that is no bearer token".to_owned());
        }
        // Some servers write the number as a text.
        let lives = answer.expires_in.as_ref().and_then(|value| match value {
            serde_json::Value::Number(number) => number.as_u64(),
            serde_json::Value::String(text) => text.parse().ok(),
            _ => None,
        });
        Ok((Sealed::new(answer.access_token), Duration::from_secs(lives.unwrap_or(UNSAID).min(86_400))))
    }
}

impl KeptToken {
    /// The token that is good now; who comes while it is fetched waits for it.
    pub(super) async fn current(
        &self,
        client: &Arc<TokenClient>,
        settings: &CredentialSettings,
    ) -> Result<Sealed<String>, String> {
        let mut memory = self.0.clone().lock_owned().await;
        let now = client.clock.monotonic();
        if let Some(kept) = memory.kept.as_ref().filter(|kept| now < kept.until) {
            return kept.outcome.clone();
        }
        // In a task of its own, which takes the lock along: what comes of it is kept although nobody waits any longer. A
        // server that is slower than requests are patient would else be asked by each of them, and never heard.
        let (client, settings) = (client.clone(), settings.clone());
        let fetching = tokio::spawn(async move {
            let (outcome, good_for) = match client.fetch(&settings).await {
                Ok((token, lives)) => (Ok(token), lives.saturating_sub(MARGIN.min(lives / 10))),
                Err(reason) => {
                    tracing::warn!(reason, "A token for a backend could not be fetched");
                    (Err(reason), REFUSED_FOR)
                }
            };
            memory.kept = Some(Kept { outcome: outcome.clone(), until: client.clock.monotonic() + good_for });
            outcome
        });
        fetching.await.unwrap_or_else(|_| Err("fetching it broke off".to_owned()))
    }

    /// Drops the token that a backend refused; tells whether another is to be had now.
    ///
    /// A backend that refuses whatever it is shown must not become a storm of fetching: the next one is not dropped for it
    /// within [`REFUSED_FOR`].
    pub(super) async fn forget(&self, client: &TokenClient, refused: &Sealed<String>) -> bool {
        let mut memory = self.0.lock().await;
        match memory.kept.as_ref().map(|kept| &kept.outcome) {
            Some(Ok(token)) if token == refused => {}
            // Somebody else was quicker.
            Some(Ok(_)) | None => return true,
            Some(Err(_)) => return false,
        }
        let now = client.clock.monotonic();
        if memory.refused_at.is_some_and(|at| now < at + REFUSED_FOR) {
            return false;
        }
        *memory = Memory { kept: None, refused_at: Some(now) };
        true
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
        text.extend_from_slice(&piece);
        if text.len() > LONGEST {
            return Err("the token server's answer is too long".to_owned());
        }
    }
    Ok(text)
}

fn failure(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return "its token address does not lie on the public internet".to_owned();
        }
        cause = error.source();
    }
    let what = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
    format!("the token server {what}")
}
