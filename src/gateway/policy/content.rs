//! What may not be said, and what is hidden from the backend and put back into its answer.

use super::allowed::replace;
use super::{Admission, Policy, Screen, said};
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::Exchange;
use crate::gateway::masking::{Masker, Restorer};
use crate::gateway::settings::{self, LooksAt};
use http::StatusCode;
use regex_automata::{meta::Regex, nfa::thompson::WhichCaptures};
use std::sync::Arc;

pub struct Content {
    policy: Arc<Settings>,
    blocked: Arc<Regex>,
    looks_at: LooksAt,
    masker: Masker,
    restore: bool,
}

impl Content {
    pub(super) fn new(policy: Arc<Settings>, settings: &settings::Content) -> Self {
        // A pattern that cannot be read was refused when it was written; should one be here, nothing passes.
        let config = Regex::config().which_captures(WhichCaptures::None);
        let blocked = Regex::builder().configure(config).build_many(&settings.blocked).unwrap_or_else(|error| {
            tracing::error!(error = %error, "The patterns of the policy {} cannot be read; all is blocked", policy.name);
            Regex::new("").expect("nothing is a pattern")
        });
        let (blocked, masker) = (Arc::new(blocked), Masker::new(&settings.masks));
        Self { policy, blocked, looks_at: settings.looks_at, masker, restore: settings.restore }
    }
}

impl Policy for Content {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        if self.looks_at.answers() && exchange.is_answered_in_words() {
            exchange.screens.push(Screen::of_texts(self.policy.clone(), self.blocked.clone()));
        }
        if exchange.call().is_none() {
            return Ok(Admission::Continue);
        }
        let blocks = self.looks_at.prompts();
        let mut body = said::body(exchange, &self.policy.name)?;
        let (mut blocked, mut masked) = (false, self.masker.session());
        said::each_text(&mut body, &mut |text| {
            blocked |= blocks && self.blocked.is_match(text.as_str());
            if let Some(hidden) = masked.hide(text) {
                *text = hidden;
            }
        });
        if blocked {
            let detail = format!("The policy {} blocks something in this prompt.", self.policy.name);
            let problem = Problem::new(StatusCode::BAD_REQUEST, "content-blocked", "Content blocked", detail);
            return Err(Box::new(problem.with("policy", &*self.policy.name)));
        }
        if !masked.is_empty() && self.policy.settings.shadow {
            super::shadowed(exchange, &self.policy.name);
        } else if !masked.is_empty() {
            replace(exchange, &body)?;
            if self.restore {
                exchange.filters.push(Box::new(Restorer::new(masked.hidden(), exchange.is_stream())));
            }
        }
        Ok(Admission::Continue)
    }
}
