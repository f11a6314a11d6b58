//! What traffic must satisfy: policies, each in a file of its own, and the order in which they are asked.
//!
//! Each policy of a route is asked once before the first attempt ([`Policy::admit`]) and told once after the last byte
//! ([`Policy::settle`]), also when the client has left. One that refuses ends the asking; those asked before it are told.

use super::exchange::{Exchange, Settlement};
use super::settings::RuleKind;
use super::snapshot::Route;
use crate::base::Problem;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// One policy of a route.
pub trait Policy: Send + Sync {
    /// Lets the exchange go on, answers it itself, or refuses it.
    ///
    /// # Errors
    /// The refusal: which rule, why, and what would help.
    fn admit(&self, exchange: &mut Exchange) -> impl Future<Output = Result<Admission, Box<Problem>>> + Send;

    /// Takes in what was used. Runs once for each exchange that was asked of, and for none twice.
    fn settle(&self, exchange: &mut Exchange, settlement: &Settlement) -> impl Future<Output = ()> + Send;
}

/// What a policy that does not refuse says.
pub enum Admission {
    Continue,
    /// The answer, without a backend: the cache's.
    Answer(Answer),
}

/// An answer that a policy gives itself; streams are replayed piece by piece.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub pieces: Vec<Bytes>,
}

/// The order in which policies are asked; each place with its reason.
pub const ORDER: &[RuleKind] = &[
    // The cheapest questions first: they need nothing but the head and the name of the model.
    RuleKind::IpFilter,
    RuleKind::ModelAllowList,
    RuleKind::SizeLimit,
    RuleKind::Headers,
    // Before anything is looked at closely: a storm of requests must not cost the looking.
    RuleKind::RequestRate,
    // What is refused or changed for its content is not counted, kept, or shown to anybody.
    RuleKind::Content,
    RuleKind::GuardHook,
    // A hit costs no tokens, so it is looked for before they are set aside; it sees the masked prompt.
    RuleKind::SemanticCache,
    // Set aside what is left to be used. Money last: it is computed from the tokens.
    RuleKind::TokenLimit,
    RuleKind::Budget,
    // They only look.
    RuleKind::TokenMetrics,
    RuleKind::PromptLog,
];

/// What policies of all routes share: counters, the cache, the ledger.
#[derive(Clone, Default)]
pub struct Services {}

/// What a policy holds for an exchange between its admission and its settling.
pub enum Held {}

/// A policy of any sort: one variant each, so that nothing is boxed on the way of a request.
pub enum Any {}

impl Any {
    async fn admit(&self, _exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        match *self {}
    }

    async fn settle(&self, _exchange: &mut Exchange, _settlement: &Settlement) {
        match *self {}
    }
}

/// The policies of one route, in their order.
#[derive(Clone)]
pub struct Chain {
    policies: Arc<[Any]>,
    #[expect(dead_code, reason = "the ledger writes its record when the policies are settled")]
    services: Services,
}

impl Chain {
    /// The policies that reach this route, as [`ORDER`] says; equal kinds as they are written.
    #[must_use]
    pub fn of(route: &Route, services: &Services) -> Self {
        let mut chosen: Vec<_> = route.policies.iter().collect();
        let place = |kind: RuleKind| ORDER.iter().position(|one| *one == kind).unwrap_or(ORDER.len());
        chosen.sort_by_key(|policy| place(policy.settings.rule.kind()));
        let policies: Vec<Any> = Vec::new();
        Self { policies: policies.into(), services: services.clone() }
    }

    /// Asks each policy; stops at the first that answers or refuses.
    ///
    /// # Errors
    /// The refusal. Whatever the outcome, the exchange is settled by [`Chain::settle`].
    pub async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        for policy in self.policies.iter() {
            match policy.admit(exchange).await? {
                Admission::Continue => {}
                answer @ Admission::Answer(_) => return Ok(answer),
            }
        }
        Ok(Admission::Continue)
    }

    /// Tells each policy what was used, last asked first, and writes the record.
    pub async fn settle(&self, mut exchange: Box<Exchange>, settlement: Settlement) {
        for policy in self.policies.iter().rev() {
            policy.settle(&mut exchange, &settlement).await;
        }
    }
}
