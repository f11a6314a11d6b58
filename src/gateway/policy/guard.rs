//! A service of the organisation's own is asked about a prompt, over HTTP.

use super::allowed::refused;
use super::facts::CallFacts;
use super::{Admission, Policy, Services, said};
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::{Asked, Exchange, Settlement};
use crate::gateway::limit::Facts;
use crate::gateway::settings::{GuardHook, OnFailure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long it may take, where the policy does not say.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const LONGEST: usize = 64 << 10;

pub struct Guard {
    pub(super) policy: Arc<Settings>,
    pub(super) settings: GuardHook,
    pub(super) services: Services,
}

#[derive(Deserialize)]
struct Verdict {
    allow: bool,
    #[serde(default)]
    reason: String,
}

impl Guard {
    async fn ask(&self, exchange: &Exchange, mut body: Map<String, Value>) -> Result<Verdict, String> {
        let mut texts = Vec::new();
        said::each_text(&mut body, &mut |text| texts.push(text.clone()));
        let facts = CallFacts::of(exchange);
        let question = json!({
            "policy": self.policy.name,
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
        if let Asked::Stored(_) = exchange.asked {
            return Ok(Admission::Continue);
        }
        let body = match said::body(exchange, &self.policy.name) {
            Ok(body) => body,
            // What a REST API is sent may be anything.
            Err(_) if exchange.call().is_none() => Map::new(),
            Err(problem) => return Err(problem),
        };
        match self.ask(exchange, body).await {
            Ok(Verdict { allow: true, .. }) => Ok(Admission::Continue),
            Ok(Verdict { reason, .. }) => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason:.500}") };
                let detail = format!("The policy {} does not let this prompt through{reason}.", self.policy.name);
                Err(Box::new(refused("content-blocked", "Content blocked", detail, &self.policy.name)))
            }
            Err(error) => {
                tracing::warn!(error, "The guard of the policy {} did not decide", self.policy.name);
                metrics::counter!("wharfinger_gateway_guard_errors_total", "policy" => self.policy.name.clone())
                    .increment(1);
                match self.settings.on_failure {
                    OnFailure::Open => Ok(Admission::Continue),
                    OnFailure::Closed => {
                        let detail = format!("The guard of the policy {} does not decide now.", self.policy.name);
                        Err(Box::new(
                            Problem::unavailable(detail)
                                .with_kind("guard-unavailable")
                                .with("policy", &*self.policy.name),
                        ))
                    }
                }
            }
        }
    }

    async fn settle(&self, _: &mut Exchange, _: &Settlement) {}
}
