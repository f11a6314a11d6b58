//! The members of a pool one after the other, within the retry budget, until one serves.

use super::Traffic;
use super::attempt::{Failure, Served, attempt, is_idempotent};
use super::order::{expected_tokens, order, serves};
use super::outgoing::Outgoing;
use super::plan::{PlannedMember, PlannedRoute};
use crate::base::Problem;
use crate::gateway::balance::Taken;
use crate::gateway::exchange::{Asked, Attempt, AttemptResult, Ending, Exchange};
use crate::gateway::settings::{PoolSettings, RetryBudget};
use crate::wire::call::{Call, Dialect};
use futures::FutureExt;
use futures::future::{Either, select};
use http::StatusCode;
use serde_json::json;
use std::pin::pin;
use std::time::{Duration, Instant};

/// The members that a request has not been to, and what it may still ask of them.
struct Turns<'a> {
    route: &'a PlannedRoute,
    retries: RetryBudget,
    /// Places in `route.members`.
    members: std::vec::IntoIter<usize>,
    tokens: u64,
    attempts: u32,
    /// When the first of them is.
    first_at: Option<Instant>,
    /// What kept a member from being told the request.
    untold: Option<Problem>,
}

/// A place at a member, with the request made ready for it.
struct Turn<'a> {
    member: &'a PlannedMember,
    outgoing: Outgoing,
    taken: Taken,
    /// When the place was taken.
    at: Instant,
}

/// One try, and what came of it.
struct Try<'a> {
    member: &'a PlannedMember,
    begun: Instant,
    took: Duration,
    outcome: Result<Served, Failure>,
}

impl Traffic {
    /// Goes through the members until one serves.
    ///
    /// # Errors
    /// What is told when none did, and how that ends: 400 as refused when no member can be told the request.
    pub(super) async fn tried(
        &self,
        route: &PlannedRoute,
        exchange: &mut Exchange,
    ) -> Result<Served, (Box<Problem>, Ending)> {
        let now = Instant::now();
        let PoolSettings { retries, hedging, .. } = exchange.route.pool.settings;
        let members = order(self, route, exchange, now).into_iter();
        let tokens = expected_tokens(exchange);
        let mut turns = Turns { route, retries, members, tokens, attempts: 0, first_at: Some(now), untold: None };
        route.pool.count_request(now);
        let mut waits: Vec<Duration> = Vec::new();
        while let Some(turn) = turns.next(exchange) {
            let before = exchange.given_up_at(&turn.member.backend, turn.at);
            let (beside, last) = match hedging.filter(|_| may_hedge(exchange)) {
                None => (None, self.ask(turn, exchange).await),
                // Boxed: hedging is rare, and every request would be moved about with room for two more attempts.
                Some(hedging) => self.hedged(turn, hedging.after.0, &mut turns, exchange).boxed().await,
            };
            exchange.attempts.truncate(before);
            for (attempt, wait) in beside.into_iter().chain([last.noted()]) {
                exchange.attempts.push(attempt);
                waits.extend(wait);
            }
            if let Ok(served) = last.outcome {
                exchange.reply.backend = Some(last.member.backend.clone());
                return Ok(served);
            }
            if !may_go_on(exchange) {
                break;
            }
        }
        Err(turns.over(exchange, &waits))
    }

    async fn ask<'a>(&self, turn: Turn<'a>, exchange: &Exchange) -> Try<'a> {
        let Turn { member, outgoing, taken, at: begun } = turn;
        let outcome = attempt(member, exchange, outgoing, taken, begun, self.clock()).await;
        Try { member, begun, took: begun.elapsed(), outcome }
    }

    /// Asks a second member beside the first when that one is slow. Gives the try that decides, and before it the other
    /// where that had failed: as long as one is away, nothing has.
    async fn hedged<'a>(
        &self,
        first: Turn<'a>,
        after: Duration,
        turns: &mut Turns<'a>,
        exchange: &Exchange,
    ) -> (Option<(Attempt, Option<Duration>)>, Try<'a>) {
        let first = self.ask(first, exchange).boxed();
        let first = match select(first, pin!(tokio::time::sleep(after))).await {
            Either::Left((quick, _)) => return (None, quick),
            Either::Right(((), first)) => first,
        };
        let Some(second) = turns.next(exchange) else { return (None, first.await) };
        let second = self.ask(second, exchange).boxed();
        let (Either::Left((earlier, other)) | Either::Right((earlier, other))) = select(first, second).await;
        if earlier.outcome.is_ok() {
            return (None, earlier);
        }
        (Some(earlier.noted()), other.await)
    }
}

impl<'a> Turns<'a> {
    /// A place at the next member that can be told the request and has room, within the retry budget.
    fn next(&mut self, exchange: &Exchange) -> Option<Turn<'a>> {
        if self.attempts >= self.retries.attempts {
            return None;
        }
        let mut is_afforded = self.attempts == 0;
        loop {
            let member = &self.route.members[self.members.next()?];
            let outgoing = match Outgoing::of(member, exchange) {
                Ok(outgoing) => outgoing,
                Err(problem) => {
                    self.untold.get_or_insert(problem);
                    continue;
                }
            };
            let at = self.first_at.take().unwrap_or_else(Instant::now);
            is_afforded = is_afforded || self.route.pool.take_retry(&self.retries, at);
            if !is_afforded {
                return None;
            }
            if let Some(taken) = member.state.take(&member.backend, self.tokens, at) {
                self.attempts += 1;
                return Some(Turn { member, outgoing, taken, at });
            }
        }
    }

    /// What is told when none served.
    fn over(self, exchange: &Exchange, waits: &[Duration]) -> (Box<Problem>, Ending) {
        let mut able: Vec<_> = self.route.members.iter().filter(|member| serves(member, exchange)).collect();
        if let Some(problem) = self.untold {
            // Those that were not come to may be able to be told, later.
            able.retain(|member| Outgoing::of(member, exchange).is_ok());
            if able.is_empty() {
                return (Box::new(problem), Ending::Refused);
            }
        }
        (Box::new(all_out(&able, self.tokens, exchange, waits)), Ending::Failed)
    }
}

impl Try<'_> {
    /// For the record; with the wait that was asked for.
    fn noted(&self) -> (Attempt, Option<Duration>) {
        let (result, wait) = match &self.outcome {
            Ok(Served::Stream { answered, .. }) => (AttemptResult::Answered(answered.head.status), None),
            Ok(Served::Whole { head, .. }) => (AttemptResult::Answered(head.status), None),
            Err(failure) => (failure.result.clone(), failure.wait),
        };
        let (backend, begun, took) = (self.member.backend.clone(), self.begun, self.took);
        (Attempt { backend, result, begun, took }, wait)
    }
}

/// Whether another backend may be asked after the last attempt: what a REST API may have done must not be done twice, where
/// twice is not the same as once.
fn may_go_on(exchange: &Exchange) -> bool {
    let Asked::Rest { method, .. } = &exchange.asked else { return true };
    let result = exchange.attempts.last().map(|attempt| &attempt.result);
    is_idempotent(method)
        || matches!(
            result,
            Some(
                AttemptResult::NotConnected(_)
                    | AttemptResult::Untrusted(_)
                    | AttemptResult::NoCredential(_)
                    | AttemptResult::TimedOut("connect")
            )
        )
}

/// Counting is cheap and changes nothing, and so is asking again what does.
fn may_hedge(exchange: &Exchange) -> bool {
    match &exchange.asked {
        Asked::Model(Call { dialect, .. }) => matches!(dialect, Dialect::Embeddings | Dialect::CountTokens),
        Asked::Rest { method, .. } => is_idempotent(method),
        // One backend alone has it.
        Asked::Stored(_) => false,
    }
}

/// What is told when none of those that can serve did: the earliest time at which one may, and what was tried.
fn all_out(able: &[&PlannedMember], tokens: u64, exchange: &Exchange, waits: &[Duration]) -> Problem {
    let now = Instant::now();
    if able.is_empty() {
        let words = format!("No backend of the route {} serves requests of this kind.", exchange.route.name);
        return Problem::bad_request(words).with_kind("not-served");
    }
    let opens_in = |member: &PlannedMember| member.state.opens_in(now);
    let frees_in = |member: &PlannedMember| member.state.frees_in(&member.backend.settings, tokens, now);
    // When a drained one comes back is up to somebody's hand.
    let standing = || able.iter().copied().filter(|member| !member.backend.settings.drained);
    let later = standing().filter_map(|member| opens_in(member).max(frees_in(member)));
    let earliest = later.chain(waits.iter().copied()).min();
    let is_full = standing().any(|member| opens_in(member).is_none() && frees_in(member).is_some());
    let tried: Vec<_> = exchange
        .attempts
        .iter()
        .map(|attempt| {
            let took_ms = u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX);
            json!({"backend": attempt.backend.name, "result": attempt.result.words(), "took_ms": took_ms})
        })
        .collect();
    let all = |is: fn(&AttemptResult) -> bool| {
        !exchange.attempts.is_empty() && exchange.attempts.iter().all(|attempt| is(&attempt.result))
    };
    let words: Vec<_> = exchange
        .attempts
        .iter()
        .map(|attempt| format!("{}: {}", attempt.backend.name, attempt.result.words()))
        .collect();
    let tried_words = match words.is_empty() {
        true if is_full => "their capacity is used up".to_owned(),
        true => "none may be asked now".to_owned(),
        false => words.join(", "),
    };
    let detail = format!("No backend of the route {} served the request ({tried_words}).", exchange.route.name);
    let is_busy = |result: &AttemptResult| matches!(result, AttemptResult::Answered(StatusCode::TOO_MANY_REQUESTS));
    let (status, kind, title) = if all(|result| matches!(result, AttemptResult::TimedOut(_))) {
        (StatusCode::GATEWAY_TIMEOUT, "backends-timed-out", "Backends timed out")
    } else if all(is_busy) || (words.is_empty() && is_full) {
        (StatusCode::TOO_MANY_REQUESTS, "backends-busy", "Backends are busy")
    } else if earliest.is_none() && all(|result| matches!(result, AttemptResult::Broken(_))) {
        (StatusCode::BAD_GATEWAY, "backends-broken", "Backends answered nothing usable")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "backends-out", "No backend is available")
    };
    let problem = Problem::new(status, kind, title, detail).with("tried", tried);
    match earliest {
        Some(wait) => problem.with_retry_after(wait).with_help("Try again after the time in Retry-After."),
        None => problem.with_help("Try again later; the operator sees the state of the pool on the gateway's page."),
    }
}
