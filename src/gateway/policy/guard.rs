//! A service of the organisation's own is asked about prompts and answers, over HTTP.

use super::allowed::refused;
use super::facts::CallFacts;
use super::{Admission, Policy, Screen, Services, said};
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::{Asked, Exchange};
use crate::gateway::limit::Facts;
use crate::gateway::settings::{GuardHook, OnFailure};
use serde::Deserialize;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;

/// How long it may take, where the policy does not say.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const LONGEST: usize = 64 << 10;

pub struct Guard(Arc<Hook>);

/// The service, and who is asking.
pub(super) struct Hook {
    policy: Arc<Settings>,
    settings: GuardHook,
    services: Services,
}

/// What lets texts through.
pub(super) enum Decided {
    Allowed,
    /// The service is away, and leaves the way open.
    Nothing,
}

#[derive(Deserialize)]
struct Verdict {
    allow: bool,
    #[serde(default)]
    reason: String,
}

impl Guard {
    pub(super) fn new(policy: Arc<Settings>, settings: GuardHook, services: Services) -> Self {
        Self(Arc::new(Hook { policy, settings, services }))
    }
}

impl Hook {
    /// Asks about the texts of a prompt or an answer.
    ///
    /// # Errors
    /// 403 when they are not allowed; 503 when the service does not decide, where that closes the way.
    pub(super) async fn judge(
        &self,
        exchange: &Exchange,
        what: &str,
        texts: &[String],
    ) -> Result<Decided, Box<Problem>> {
        match self.ask(exchange, what, texts).await {
            Ok(Verdict { allow: true, .. }) => Ok(Decided::Allowed),
            Ok(Verdict { reason, .. }) => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason:.500}") };
                let detail = format!("The policy {} does not let this {what} through{reason}.", self.policy.name);
                Err(Box::new(refused("content-blocked", "Content blocked", detail, &self.policy.name)))
            }
            Err(error) => {
                tracing::warn!(error, "The guard of the policy {} did not decide", self.policy.name);
                metrics::counter!("wharfinger_gateway_guard_errors_total", "policy" => self.policy.name.clone())
                    .increment(1);
                match self.settings.on_failure {
                    OnFailure::Open => Ok(Decided::Nothing),
                    OnFailure::Closed => {
                        let detail = format!("The guard of the policy {} does not decide now.", self.policy.name);
                        let problem = Problem::unavailable(detail).with_kind("guard-unavailable");
                        Err(Box::new(problem.with("policy", &*self.policy.name)))
                    }
                }
            }
        }
    }

    async fn ask(&self, exchange: &Exchange, what: &str, texts: &[String]) -> Result<Verdict, String> {
        let facts = CallFacts::of(exchange);
        let question = json!({
            "policy": self.policy.name,
            "looksAt": what,
            "requestId": &*exchange.id,
            "route": exchange.route.name,
            "model": exchange.model(),
            "key": facts.key(),
            "workspace": facts.workspace(),
            "texts": texts,
        });
        let patience = self.settings.timeout.map_or(PATIENCE, Duration::from);
        let asked = async {
            let url: url::Url =
                self.settings.url.parse().map_err(|error| format!("its URL cannot be read: {error}"))?;
            self.services.egress.judge(&url).map_err(|why| format!("its URL {why}"))?;
            let client = self.services.http.as_ref().ok_or("there is no outgoing client")?;
            let mut answer =
                client.post(url).json(&question).send().await.map_err(|error| error.without_url().to_string())?;
            if !answer.status().is_success() {
                return Err(format!("it answers {}", answer.status().as_u16()));
            }
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
                if body.len() + piece.len() > LONGEST {
                    return Err("its answer is too long".to_owned());
                }
                body.extend_from_slice(&piece);
            }
            serde_json::from_slice(&body).map_err(|_| "its answer is no `{\"allow\": ...}`".to_owned())
        };
        tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
    }
}

impl Policy for Guard {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        let Hook { policy, settings, .. } = &*self.0;
        if settings.looks_at.answers() && exchange.is_answered_in_words() {
            exchange.screens.push(Screen::of_whole(policy.clone(), self.0.clone()));
        }
        if !settings.looks_at.prompts() || matches!(exchange.asked, Asked::Stored(_)) {
            return Ok(Admission::Continue);
        }
        let mut body = match said::body(exchange, &policy.name) {
            Ok(body) => body,
            // What a REST API is sent may be anything.
            Err(_) if exchange.call().is_none() => Map::new(),
            Err(problem) => return Err(problem),
        };
        let mut texts = Vec::new();
        said::each_text(&mut body, &mut |text| texts.push(text.clone()));
        self.0.judge(exchange, "prompt", &texts).await?;
        Ok(Admission::Continue)
    }
}
