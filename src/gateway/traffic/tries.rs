//! The members of a pool one after the other, within the retry budget, until one serves.

use super::Traffic;
use super::attempt::{Tried, attempt, is_idempotent};
use super::order::{expected_tokens, order, serves};
use super::plan::PlannedRoute;
use super::running::Running;
use crate::base::Problem;
use crate::gateway::exchange::{Asked, Attempt, AttemptResult, Exchange};
use crate::wire::call::{Call, Dialect};
use futures::FutureExt;
use futures::future::{Either, select};
use http::StatusCode;
use serde_json::json;
use std::pin::pin;
use std::time::{Duration, Instant};

impl Traffic {
    /// Goes through the members until one serves.
    pub(super) async fn tried(&self, route: &PlannedRoute, running: &mut Running) -> Result<Tried, Box<Problem>> {
        let now = Instant::now();
        let exchange = running.exchange();
        let pool = exchange.route.pool.clone();
        let order = order(self, route, exchange, now);
        let tokens = expected_tokens(exchange);
        route.pool.count_request(now);
        let mut next = order.into_iter();
        let mut attempts = 0;
        let mut waits: Vec<Duration> = Vec::new();
        while attempts < pool.settings.retries.attempts {
            let Some(place) = next.next() else { break };
            if attempts > 0 && !route.pool.take_retry(&pool.settings.retries, Instant::now()) {
                break;
            }
            let member = &route.members[place];
            let Some(taken) = member.state.take(&member.backend, tokens, Instant::now()) else { continue };
            attempts += 1;
            let begun = Instant::now();
            let clock_now = self.clock().now();
            let one = running.exchange_mut().given_up_at(&member.backend);
            let exchange = running.exchange();
            let (place, tried) = match pool.settings.hedging.filter(|_| may_hedge(exchange)) {
                None => (place, attempt(member, exchange, taken, clock_now).await),
                Some(hedging) => {
                    // Boxed: hedging is rare, and every request would be moved about with room for two more attempts.
                    let first = attempt(member, exchange, taken, clock_now).boxed();
                    let hedge = pin!(async {
                        tokio::time::sleep(hedging.after.0).await;
                        let second = next.next()?;
                        let member = &route.members[second];
                        if !route.pool.take_retry(&pool.settings.retries, Instant::now()) {
                            return None;
                        }
                        let taken = member.state.take(&member.backend, tokens, Instant::now())?;
                        Some((second, attempt(member, exchange, taken, clock_now).boxed().await))
                    });
                    match select(first, hedge).await {
                        Either::Left((tried, _)) => (place, tried),
                        Either::Right((Some((second, tried)), _)) if !matches!(tried, Tried::Failed { .. }) => {
                            (second, tried)
                        }
                        Either::Right((_, first)) => (place, first.await),
                    }
                }
            };
            let exchange = running.exchange_mut();
            exchange.attempts.truncate(one);
            let result = match &tried {
                Tried::Stream { answered, .. } => AttemptResult::Answered(answered.head.status),
                Tried::Whole { head, .. } => AttemptResult::Answered(head.status),
                Tried::Failed { result, wait } => {
                    waits.extend(*wait);
                    result.clone()
                }
                Tried::Impossible(_) => AttemptResult::GivenUp,
            };
            let backend = route.members[place].backend.clone();
            let served = !matches!(tried, Tried::Failed { .. } | Tried::Impossible(_));
            if served {
                exchange.reply.backend = Some(backend.clone());
            }
            if !matches!(tried, Tried::Impossible(_)) {
                exchange.attempts.push(Attempt { backend, result, begun, took: begun.elapsed() });
            }
            if !matches!(tried, Tried::Failed { .. }) {
                return Ok(tried);
            }
            if !may_go_on(running.exchange()) {
                break;
            }
        }
        Err(Box::new(all_out(route, running.exchange(), &waits)))
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
    }
}

/// What is told when no backend served: the earliest time at which one may, and what was tried.
fn all_out(route: &PlannedRoute, exchange: &Exchange, waits: &[Duration]) -> Problem {
    let now = Instant::now();
    let able: Vec<_> = route.members.iter().filter(|member| serves(member, exchange)).collect();
    if able.is_empty() {
        let words = format!("No backend of the route {} serves requests of this kind.", exchange.route.name);
        return Problem::bad_request(words).with_kind("not-served");
    }
    let earliest = able.iter().filter_map(|member| member.state.opens_in(now)).chain(waits.iter().copied()).min();
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
    let tried_words = if words.is_empty() { "none may be asked now".to_owned() } else { words.join(", ") };
    let detail = format!("No backend of the route {} served the request ({tried_words}).", exchange.route.name);
    let is_busy = |result: &AttemptResult| matches!(result, AttemptResult::Answered(StatusCode::TOO_MANY_REQUESTS));
    let (status, kind, title) = if all(|result| matches!(result, AttemptResult::TimedOut(_))) {
        (StatusCode::GATEWAY_TIMEOUT, "backends-timed-out", "Backends timed out")
    } else if all(is_busy) {
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
