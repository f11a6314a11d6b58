//! What pools and their breakers are doing, for people.

use super::Traffic;
use crate::base::PoolId;
use crate::gateway::balance::breaker::State;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A backend as it stands now, on this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMember {
    pub backend: String,
    pub priority: u32,
    pub weight: u32,
    /// `closed`, `open`, `half-open`, or `drained` by somebody's hand.
    pub state: &'static str,
    pub opens_in: Option<Duration>,
    /// Why it opened last, and how long ago.
    pub last_trip: Option<(String, Duration)>,
    pub busy: u32,
    /// Peak EWMA of the time to the first byte.
    pub latency: Duration,
    pub answered: u64,
    pub failed: u64,
}

impl Traffic {
    /// The members of a pool as they stand now; nothing when there is no such pool.
    #[must_use]
    pub fn live(&self, pool: PoolId) -> Option<Vec<LiveMember>> {
        let snapshot = self.snapshot();
        let now = Instant::now();
        let members = &snapshot.pool(pool)?.members;
        Some(
            members
                .iter()
                .map(|member| {
                    let state = self.inner.states.backend(member.backend.id);
                    let (breaker, trip) = state.breaker(now);
                    LiveMember {
                        backend: member.backend.name.clone(),
                        priority: member.priority,
                        weight: member.weight,
                        state: match breaker {
                            _ if member.backend.settings.drained => "drained",
                            State::Closed => "closed",
                            State::Open { .. } => "open",
                            State::HalfOpen => "half-open",
                        },
                        opens_in: state.opens_in(now),
                        last_trip: trip.map(|trip| (trip.reason, now.saturating_duration_since(trip.at))),
                        busy: state.busy(),
                        latency: Duration::from_micros(state.latency(now)),
                        answered: state.answered.load(Ordering::Relaxed),
                        failed: state.failed.load(Ordering::Relaxed),
                    }
                })
                .collect(),
        )
    }
}

impl Traffic {
    /// Whether some backend of the exchange's route counts tokens itself.
    pub(in crate::gateway) fn counts_upstream(&self, exchange: &crate::gateway::exchange::Exchange) -> bool {
        self.planned(&exchange.snapshot, &exchange.route)
            .is_some_and(|route| route.members.iter().any(|member| super::order::serves(member, exchange)))
    }
}
