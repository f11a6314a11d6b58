//! Speaking to a running service over its REST API.

use super::Service;
use crate::base::use_tls;
use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// A service and the key to act with.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

impl Client {
    pub(super) fn new(service: &Service) -> Result<Self> {
        use_tls();
        // No total timeout: an import or an export may be long. Waiting for a connection is bounded.
        let http = reqwest::Client::builder()
            .connect_timeout(std::time::Duration::from_secs(10))
            .user_agent(concat!("wharfinger-cli/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            base: service.url.as_str().trim_end_matches('/').to_owned(),
            key: service.key.clone().filter(|key| !key.is_empty()),
        })
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// The answer when it is a success; else its problem, in words.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response =
            request.send().await.with_context(|| format!("{} does not answer; is it running?", self.base))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let say = |member: &str| problem.get(member).and_then(Value::as_str).unwrap_or_default();
        let detail =
            if say("detail").is_empty() { format!("the service answered {status}") } else { say("detail").to_owned() };
        let no_key = status == 401 && self.key.is_none();
        let help = if no_key { "Set WHARFINGER_KEY to a key, or give --key." } else { say("help") };
        bail!("{detail} {help}")
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value> {
        let response = self.send(self.request(Method::GET, path).query(query)).await?;
        response.json().await.context("the service answered something that is no JSON")
    }

    pub(super) async fn post_empty(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::POST, path)).await.map(|_| ())
    }
}

/// A fetch without a key: of documents and other registries.
pub(super) async fn fetch(url: &str) -> Result<Vec<u8>> {
    use_tls();
    let response = reqwest::get(url).await.with_context(|| format!("{url} does not answer"))?;
    let response = response.error_for_status().with_context(|| format!("{url} does not give its document"))?;
    Ok(response.bytes().await?.to_vec())
}
