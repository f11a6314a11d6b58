//! `Witness`: what became of one exchange, policy by policy, told at its end to whoever asked for it. Traffic of clients
//! has none, and pays nothing for it.

use super::exchange::{Attempt, Exchange};
use super::limit::{CounterKey, Limit, Limits};
use super::policy::Held;
use super::snapshot::Policy;
use super::usage::UsageRecord;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Notes what policies do to an exchange, and tells it when the exchange is settled.
pub struct Witness {
    steps: Vec<Step>,
    tell: oneshot::Sender<Told>,
}

/// All that is known of an exchange that is settled.
#[derive(Debug)]
pub struct Told {
    pub record: UsageRecord,
    /// The policies in the order in which they were asked; those after one that refused or answered are not among them.
    pub steps: Vec<Step>,
    pub attempts: Vec<Attempt>,
    /// Similarity and age of the cache's answer, where it was one.
    pub hit: Option<(f32, Duration)>,
}

/// What one policy did.
#[derive(Debug)]
pub struct Step {
    pub policy: Arc<Policy>,
    pub verdict: Verdict,
    /// Its limits, each with what this request used counted in.
    pub counters: Vec<Counter>,
}

/// What a limit counts for a request.
#[derive(Debug)]
pub struct Counter {
    pub limit: Limit,
    /// Of the counter key.
    pub value: Box<str>,
    pub key: CounterKey,
    pub used: u64,
}

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    LetThrough,
    /// Its condition does not fit the request.
    NotMeant,
    /// It answered itself.
    Answered,
    Refused,
    /// It is in shadow, and would have refused.
    WouldRefuse,
}

impl Witness {
    /// A witness, and where it tells.
    #[must_use]
    pub fn begin() -> (Box<Self>, oneshot::Receiver<Told>) {
        let (tell, told) = oneshot::channel();
        (Box::new(Self { steps: Vec::new(), tell }), told)
    }

    /// Tells what became of the exchange. Nobody listens any more when the reader has left.
    pub(super) fn tell(mut self, exchange: &Exchange, record: UsageRecord, limits: &Limits) {
        for counter in self.steps.iter_mut().flat_map(|step| &mut step.counters) {
            counter.used = limits.used(counter.key);
        }
        let hit = exchange.held.iter().find_map(|held| match held {
            Held::Hit(found) => Some((found.similarity, found.age)),
            _ => None,
        });
        let attempts = exchange.attempts.clone();
        let _ = self.tell.send(Told { record, steps: self.steps, attempts, hit });
    }
}

impl Exchange {
    /// Notes what a policy did; `held_before` is how much was held when it was asked.
    pub(super) fn note(&mut self, policy: &Arc<Policy>, verdict: Verdict, held_before: usize) {
        let Some(witness) = &mut self.witness else { return };
        // Who let the request through may refuse its answer.
        if let Some(step) = witness.steps.iter_mut().find(|step| step.policy.id == policy.id) {
            step.verdict = verdict;
            return;
        }
        let mut counters = Vec::new();
        for held in &self.held[held_before.min(self.held.len())..] {
            if let Held::Reservation { reservation, .. } = held {
                counters.extend(reservation.holds().map(|(limit, value, key, _)| Counter {
                    limit: limit.clone(),
                    value: value.into(),
                    key,
                    used: 0,
                }));
            }
        }
        witness.steps.push(Step { policy: policy.clone(), verdict, counters });
    }
}
