//! What backends and their breakers are doing on this replica, for people.

use super::Traffic;
use crate::auth::Actor;
use crate::base::{BackendId, PoolId, Problem};
use crate::gateway::Backend;
use crate::gateway::balance::breaker::State;
use crate::gateway::settings::{Capacity, Section, Thing};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A backend as it stands now, on this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBackend {
    pub backend: String,
    /// `closed`, `open`, `half-open`, or `drained` by somebody's hand.
    pub state: &'static str,
    pub opens_in: Option<Duration>,
    /// Why it opened last, and how long ago.
    pub last_trip: Option<(String, Duration)>,
    /// The latest, the oldest first.
    pub trips: Vec<LiveTrip>,
    pub busy: u32,
    /// Answers that are read on although their client left.
    pub draining: u32,
    /// Peak EWMA of the time to the first byte.
    pub latency: Duration,
    pub answered: u64,
    pub failed: u64,
    pub capacity: Capacity,
    /// Of the last minute.
    pub used_tokens: u64,
    pub used_requests: u64,
}

/// A trip of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveTrip {
    pub ago: Duration,
    /// From the trip to the first probe.
    pub lasts: Duration,
    pub reason: String,
}

impl Traffic {
    /// The members of a pool as they stand now, in the order in which they are written; nothing when there is no such pool.
    #[must_use]
    pub fn live(&self, pool: PoolId) -> Option<Vec<LiveBackend>> {
        let (snapshot, now) = (self.snapshot(), Instant::now());
        let members = &snapshot.pool(pool)?.members;
        Some(members.iter().map(|member| self.live_backend(&member.backend, now)).collect())
    }

    /// A pool of this name with its members as they stand now.
    ///
    /// # Errors
    /// 404, 403 as for the pool itself; 503 while a new one is not in force here yet.
    pub async fn pool_state(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        name: &str,
    ) -> Result<(Thing, Vec<LiveBackend>), Problem> {
        let pool = self.inner.gateway.find(actor, Section::Pool, workspace, name).await?.thing;
        let live = self.live(PoolId(pool.id)).ok_or_else(not_in_force)?;
        Ok((pool, live))
    }

    /// A backend of this name as it stands now.
    ///
    /// # Errors
    /// 404, 403 as for the backend itself; 503 while a new one is not in force here yet.
    pub async fn backend_state(
        &self,
        actor: &Actor,
        workspace: Option<&str>,
        name: &str,
    ) -> Result<(Thing, LiveBackend), Problem> {
        let thing = self.inner.gateway.find(actor, Section::Backend, workspace, name).await?.thing;
        let snapshot = self.snapshot();
        let backend = snapshot.backend(BackendId(thing.id)).ok_or_else(not_in_force)?;
        Ok((thing, self.live_backend(backend, Instant::now())))
    }

    fn live_backend(&self, backend: &Backend, now: Instant) -> LiveBackend {
        let state = self.inner.states.backend(backend.id);
        let (breaker, trips) = state.breaker(now);
        let ago = |at: Instant| now.saturating_duration_since(at);
        let trips: Vec<_> = trips
            .into_iter()
            .map(|trip| LiveTrip { ago: ago(trip.at), lasts: trip.until - trip.at, reason: trip.reason })
            .collect();
        let (used_tokens, used_requests) = state.used(now);
        LiveBackend {
            backend: backend.name.clone(),
            state: match breaker {
                _ if backend.settings.drained => "drained",
                State::Closed => "closed",
                State::Open { .. } => "open",
                State::HalfOpen => "half-open",
            },
            opens_in: state.opens_in(now),
            last_trip: trips.last().map(|trip| (trip.reason.clone(), trip.ago)),
            trips,
            busy: state.busy(),
            draining: state.draining.load(Ordering::Relaxed),
            latency: Duration::from_micros(state.latency(now)),
            answered: state.answered.load(Ordering::Relaxed),
            failed: state.failed.load(Ordering::Relaxed),
            capacity: backend.settings.capacity,
            used_tokens,
            used_requests,
        }
    }
}

/// It is stored, and left out of the settings that are gone by, or not read yet.
fn not_in_force() -> Problem {
    Problem::unavailable("It is stored and not in force on this replica.")
        .with_help("Try again in a second. When it stays so, the page of the pools says what is left out, and why.")
}
