//! Headers that are set and removed, on the way to the backend and back.

use super::Admission;
use super::facts::CallFacts;
use crate::base::Problem;
use crate::gateway::Policy;
use crate::gateway::exchange::{Exchange, HeaderChange};
use crate::gateway::limit::rendered;
use crate::gateway::settings::{HeaderEdit, Headers as Settings};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

pub struct Headers {
    pub(super) policy: Arc<Policy>,
    pub(super) settings: Settings,
}

impl super::Policy for Headers {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        let to_backend = changes(&self.settings.request, exchange);
        if self.policy.settings.shadow {
            super::shadowed(exchange, &self.policy.name);
            return Ok(Admission::Continue);
        }
        exchange.upstream_headers.extend(to_backend);
        let to_client = changes(&self.settings.response, exchange);
        exchange.answer_headers.extend(to_client);
        Ok(Admission::Continue)
    }
}

/// Removals first, so that what is set stays.
fn changes(edit: &HeaderEdit, exchange: &Exchange) -> Vec<HeaderChange> {
    let facts = CallFacts::of(exchange);
    let named = |name: &String| HeaderName::try_from(name.as_str()).ok();
    let removed = edit.remove.iter().filter_map(named).map(HeaderChange::Remove);
    let set = edit.set.iter().filter_map(|(name, template)| {
        // A caller's header may hold what no header of ours may.
        let value = HeaderValue::try_from(rendered(template, &facts)).ok()?;
        Some(HeaderChange::Set(named(name)?, value))
    });
    removed.chain(set).collect()
}
