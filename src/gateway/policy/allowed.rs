//! Who may ask for what, from where, and how much at once: model allow-list, addresses, sizes.

use super::limited::counted;
use super::{Admission, Policy, Screen, said};
use crate::base::{Network, Problem, Slug};
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::Exchange;
use crate::gateway::settings::{IpFilter, ModelAllowList, SizeLimit};
use crate::wire::call::Dialect;
use http::StatusCode;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Only these models.
pub struct Models {
    pub(super) policy: Arc<Settings>,
    pub(super) settings: ModelAllowList,
}

impl Policy for Models {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        let Some(call) = exchange.call() else { return Ok(Admission::Continue) };
        // `workspace/alias` allows the alias of that workspace.
        let workspace = exchange.route.owner.workspace_name().map(Slug::as_str);
        let qualified = workspace.map(|workspace| (workspace, &*call.model));
        let is_it =
            |model: &String| *model == call.model || qualified.is_some_and(|it| model.split_once('/') == Some(it));
        if self.settings.models.iter().any(is_it) {
            return Ok(Admission::Continue);
        }
        let detail = format!("The policy {} does not allow the model {}.", self.policy.name, call.model);
        let help = format!("It allows {}.", self.settings.models.join(", "));
        Err(Box::new(refused("model-not-allowed", "Model not allowed", detail, &self.policy.name).with_help(help)))
    }
}

/// Only from these addresses.
pub struct Addresses {
    policy: Arc<Settings>,
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Addresses {
    pub(super) fn new(policy: Arc<Settings>, settings: &IpFilter) -> Self {
        // What cannot be read was refused when it was written.
        let read = |list: &[String]| list.iter().filter_map(|one| one.parse().ok()).collect();
        Self { policy, allow: read(&settings.allow), deny: read(&settings.deny) }
    }

    fn lets(&self, address: std::net::IpAddr) -> bool {
        let within = |list: &[Network]| list.iter().any(|network| network.contains(address));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

impl Policy for Addresses {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        if self.lets(exchange.ip) {
            return Ok(Admission::Continue);
        }
        let detail = format!("The policy {} does not allow calls from {}.", self.policy.name, exchange.ip);
        Err(Box::new(refused("address-not-allowed", "Address not allowed", detail, &self.policy.name)))
    }
}

/// Not more than this.
pub struct Sizes {
    pub(super) policy: Arc<Settings>,
    pub(super) settings: SizeLimit,
}

impl Policy for Sizes {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        let too_large = |what: String| {
            let detail = format!("The policy {} allows {what}.", self.policy.name);
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request-too-large", "Request too large", detail);
            Err(Box::new(problem.with("policy", &*self.policy.name)))
        };
        let size = exchange.body.len() as u64;
        if let Some(most) = self.settings.request_bytes.filter(|most| size > *most) {
            return too_large(format!("bodies of {most} bytes, and this one has {size}"));
        }
        if let Some(most) = self.settings.input_tokens {
            let input = counted(exchange).await.input;
            if input > most {
                return too_large(format!("prompts of {most} tokens, and this one has {input}"));
            }
        }
        if let Some(most) = self.settings.output_tokens {
            lower_ceiling(exchange, most, &self.policy)?;
        }
        if let Some(most) = self.settings.response_bytes {
            exchange.screens.push(Screen::of_length(self.policy.clone(), most));
        }
        Ok(Admission::Continue)
    }
}

/// Writes the most tokens a reply may have into the request, where it asks for more or says nothing.
fn lower_ceiling(exchange: &mut Exchange, most: u64, policy: &Settings) -> Result<(), Box<Problem>> {
    let Some(call) = exchange.call() else { return Ok(()) };
    let name = match call.dialect {
        Dialect::Chat => "max_completion_tokens",
        Dialect::Responses => "max_output_tokens",
        Dialect::Messages => "max_tokens",
        Dialect::Embeddings | Dialect::CountTokens => return Ok(()),
    };
    if call.max_output.is_some_and(|asked| asked <= most) {
        return Ok(());
    }
    if policy.settings.shadow {
        super::shadowed(exchange, &policy.name);
        return Ok(());
    }
    let mut body = said::body(exchange, &policy.name)?;
    // Whichever name the client used stays; two would contradict each other.
    let used =
        ["max_completion_tokens", "max_output_tokens", "max_tokens"].into_iter().find(|name| body.contains_key(*name));
    body.insert(used.unwrap_or(name).to_owned(), most.into());
    replace(exchange, &body)
}

/// Puts a changed body in place of the client's.
pub(super) fn replace(exchange: &mut Exchange, body: &Map<String, Value>) -> Result<(), Box<Problem>> {
    let body = serde_json::to_vec(body).expect("a map of values serialises");
    exchange.replace_body(body.into()).map_err(|error| {
        tracing::error!(error = %error, "A policy made a body that is no request");
        Box::new(Problem::internal())
    })
}

/// 403, with the policy that says so.
pub(super) fn refused(kind: &'static str, title: &'static str, detail: String, policy: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, kind, title, detail).with("policy", policy)
}
