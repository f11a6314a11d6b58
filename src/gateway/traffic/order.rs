//! In which order the members of a pool are tried for a request.

use super::Traffic;
use super::plan::{PlannedMember, PlannedRoute};
use crate::gateway::balance::{Candidate, hashed, sticky, strategy};
use crate::gateway::exchange::{Asked, Exchange};
use crate::gateway::settings::{Affinity, Strategy};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Reply tokens that are reckoned with where the request names no bound.
const USUAL_REPLY: u64 = 256;

/// Places in `route.members`, best first; those that cannot serve the request now are left out.
pub(super) fn order(traffic: &Traffic, route: &PlannedRoute, exchange: &Exchange, now: Instant) -> Vec<usize> {
    let tokens = expected_tokens(exchange);
    let usable = |member: &PlannedMember| {
        serves(member, exchange) && member.state.is_usable(&member.backend.settings, tokens, now)
    };
    if let [only] = &route.members[..] {
        return if usable(only) { vec![0] } else { Vec::new() };
    }
    let settings = &exchange.route.pool.settings;
    let session = session(traffic, route, exchange);
    let (chosen, draw) = match session {
        Some(Session::Hash(draw)) => (sticky(), draw),
        _ if settings.strategy == Strategy::RoundRobin => {
            (strategy(settings.strategy), route.pool.turn.fetch_add(1, Ordering::Relaxed))
        }
        _ => (strategy(settings.strategy), traffic.draw()),
    };
    let mut ordered = Vec::with_capacity(route.members.len());
    let mut candidates: Vec<Candidate> = Vec::with_capacity(route.members.len());
    for (place, member) in route.members.iter().enumerate() {
        if usable(member) {
            candidates.push(Candidate {
                member: place,
                identity: member.identity,
                weight: member.weight,
                busy: member.state.busy(),
                latency: member.state.latency(now),
            });
        }
        let is_last_of_group = route.members.get(place + 1).is_none_or(|next| next.priority != member.priority);
        if is_last_of_group {
            chosen.order(&mut candidates, draw);
            ordered.extend(candidates.drain(..).map(|candidate| candidate.member));
        }
    }
    // The backend that holds the conversation goes first, whatever its group.
    if let Some(Session::Member(member)) = session
        && let Some(at) = ordered.iter().position(|place| *place == member)
    {
        ordered[..=at].rotate_right(1);
    }
    ordered
}

/// Whether this backend can serve the request at all.
pub(super) fn serves(member: &PlannedMember, exchange: &Exchange) -> bool {
    match &exchange.asked {
        Asked::Rest { .. } => true,
        Asked::Stored(stored) => {
            let settings = &member.backend.settings;
            member.backend.id == stored.backend && member.provider.response_path(settings, stored).is_some()
        }
        Asked::Model(call) => {
            member.provider.dialect(call.dialect).is_some()
                && member.backend.settings.vendor_model(&call.model).is_some()
        }
    }
}

pub(super) fn expected_tokens(exchange: &Exchange) -> u64 {
    let prompt = exchange.prompt_tokens.unwrap_or(exchange.body.len() as u64 / 4);
    prompt + exchange.call().map_or(0, |call| call.max_output.unwrap_or(USUAL_REPLY))
}

#[derive(Clone, Copy)]
enum Session {
    Hash(u64),
    /// A place in `route.members`.
    Member(usize),
}

/// What keeps the request where its conversation is: the first kind of affinity that has a value.
fn session(traffic: &Traffic, route: &PlannedRoute, exchange: &Exchange) -> Option<Session> {
    exchange.route.pool.settings.affinity.iter().find_map(|affinity| match affinity {
        Affinity::Header(name) => exchange.headers.get(name).map(|value| Session::Hash(hashed(value.as_bytes()))),
        Affinity::Caller => Some(Session::Hash(hashed(exchange.caller.to_string().as_bytes()))),
        Affinity::User => exchange.call()?.user.as_ref().map(|user| Session::Hash(hashed(user.as_bytes()))),
        Affinity::PreviousResponse => {
            let previous = exchange.call()?.previous_response.as_ref()?;
            let backend = traffic.inner.conversations.backend(previous)?;
            route.members.iter().position(|member| member.backend.id == backend).map(Session::Member)
        }
    })
}
