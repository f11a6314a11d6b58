//! From an admitted exchange to its answer: members one after the other, within the retry budget, until one serves.

use super::Traffic;
use super::attempt::{Tried, attempt, is_idempotent};
use super::order::{expected_tokens, order, serves};
use super::outgoing::Outgoing;
use super::passed::pass_headers;
use super::plan::PlannedRoute;
use super::running::Running;
use super::stream::{Handling, Metered, Partial};
use super::watch::Watch;
use crate::base::Problem;
use crate::gateway::balance::Taken;
use crate::gateway::exchange::{Asked, Attempt, AttemptResult, Ending, Exchange};
use crate::gateway::policy::{Admission, Answer};
use crate::gateway::settings::OnDisconnect;
use crate::gateway::tokens;
use crate::gateway::upstream::Answered;
use crate::wire::call::{Call, Dialect, each_text};
use crate::wire::translate;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{Either, select};
use http::{HeaderMap, Method, Response, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use serde_json::json;
use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The body of an answer through the gateway.
pub enum ReplyBody {
    /// What is there as a whole, or in pieces that were kept.
    Pieces(VecDeque<Bytes>),
    Streamed(Metered),
}

impl ReplyBody {
    #[must_use]
    pub fn whole(body: Bytes) -> Self {
        Self::Pieces(if body.is_empty() { VecDeque::new() } else { VecDeque::from([body]) })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Pieces(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Self::Streamed(metered) => Pin::new(metered).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.is_empty(),
            Self::Streamed(metered) => metered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Pieces(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Self::Streamed(metered) => metered.size_hint(),
        }
    }
}

impl Traffic {
    /// Takes an exchange through its policies to a backend and gives the answer. What is refused or fails is told by a
    /// [`Problem`], which the door renders in the client's dialect.
    ///
    /// # Errors
    /// The refusal of a policy; 429, 503, 502 or 504 when no backend served, with what was tried.
    pub async fn answer(&self, exchange: Box<Exchange>) -> Result<Response<ReplyBody>, (Box<Problem>, HeaderMap)> {
        let mut members = exchange.route.pool.members.iter();
        if !members.any(|member| member.backend.settings.on_disconnect == OnDisconnect::Drain) {
            return self.answered(exchange).await;
        }
        // What is read on also when its client has left must not end with the wait for it.
        let traffic = self.clone();
        let answering = self.tasks().spawn(async move { traffic.answered(exchange).await });
        answering.await.unwrap_or_else(|_| Err((Box::new(Problem::internal()), HeaderMap::new())))
    }

    async fn answered(&self, exchange: Box<Exchange>) -> Result<Response<ReplyBody>, (Box<Problem>, HeaderMap)> {
        let Some(route) = self.planned(&exchange.snapshot, &exchange.route) else {
            return Err((Box::new(Problem::unavailable("The gateway's settings are changing.")), HeaderMap::new()));
        };
        let mut running = Running::new(exchange, route.chain.clone(), self.clone());
        match running.chain().admit(running.exchange_mut()).await {
            Ok(Admission::Continue) => {}
            Ok(Admission::Answer(answer)) => return Ok(answered_by_policy(running, answer)),
            Err(problem) => return Err(refused(running, problem, Ending::Refused)),
        }
        match self.tried(&route, &mut running).await {
            Ok(Tried::Stream { answered, first, outgoing, taken }) => {
                Ok(self.streamed(running, answered, first, &outgoing, taken))
            }
            Ok(Tried::Whole { head, body, reported, outgoing, taken }) => {
                running.exchange_mut().reply.reported = reported;
                Ok(self.whole(running, head, body, &outgoing, taken))
            }
            Ok(Tried::Impossible(problem)) => Err(refused(running, problem, Ending::Refused)),
            Ok(Tried::Failed { .. }) => Err(refused(running, Box::new(Problem::internal()), Ending::Failed)),
            Err(problem) => Err(refused(running, problem, Ending::Failed)),
        }
    }

    /// Goes through the members until one serves.
    async fn tried(&self, route: &PlannedRoute, running: &mut Running) -> Result<Tried, Box<Problem>> {
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

    /// An answer that goes on piece by piece.
    fn streamed(
        &self,
        mut running: Running,
        answered: Answered,
        first: Option<Bytes>,
        outgoing: &Outgoing,
        taken: Taken,
    ) -> Response<ReplyBody> {
        let Answered { head, body } = answered;
        let exchange = running.exchange_mut();
        exchange.reply.status = Some(head.status);
        exchange.reply.vendor_model.clone_from(&outgoing.vendor_model);
        let asked = exchange.call().map(|call| (call.dialect, call.model.clone()));
        let handling = match (asked, outgoing.spoken) {
            (Some((asked, model)), Some(spoken)) if asked != spoken => {
                let translator =
                    translate::stream(asked, spoken, &model, exchange.call().is_some_and(|call| call.wants_usage));
                Handling::Translated(Watch::new(spoken), Partial::default(), translator)
            }
            (Some(_), Some(spoken)) if outgoing.asked_usage => {
                Handling::WithoutUsage(Watch::new(spoken), Partial::default())
            }
            (Some(_), Some(spoken)) => Handling::Events(Watch::new(spoken)),
            _ => Handling::Pass,
        };
        if let (Some(Dialect::Responses), Some(first)) = (outgoing.spoken, &first) {
            self.remember_response(exchange, first);
        }
        // All who ask for them have done so, and they hold the buffer of the connection over which they came.
        exchange.headers = HeaderMap::new();
        // A prompt that was counted is not needed again, and a stream may be open for long.
        if exchange.prompt_tokens.is_some() {
            exchange.body = Bytes::new();
        }
        let mut headers = HeaderMap::with_capacity(12);
        pass_headers(&head.headers, outgoing.spoken.is_some(), &mut headers);
        if outgoing.method == Method::HEAD
            && let Some(length) = head.headers.get(header::CONTENT_LENGTH)
        {
            // It tells of the body that GET would have.
            headers.insert(header::CONTENT_LENGTH, length.clone());
        }
        // A model says what it was trained to say; what a REST API says is not known.
        if outgoing.spoken.is_none() {
            for hidden in outgoing.hidden() {
                hidden.strip(&mut headers);
                exchange.filters.push(Box::new(hidden));
            }
        }
        exchange.reply.content_type = headers.get(header::CONTENT_TYPE).cloned();
        exchange.tell(&mut headers);
        let backend = exchange.reply.backend.clone();
        let timeouts = backend.map(|backend| backend.settings.timeouts).unwrap_or_default();
        let metered = Metered::new(running, taken, body, first, handling, &timeouts);
        let mut response = Response::new(ReplyBody::Streamed(metered));
        *response.status_mut() = head.status;
        *response.headers_mut() = headers;
        response
    }

    /// An answer that is there as a whole.
    fn whole(
        &self,
        mut running: Running,
        head: Parts,
        body: Bytes,
        outgoing: &Outgoing,
        taken: Taken,
    ) -> Response<ReplyBody> {
        let exchange = running.exchange_mut();
        let status = head.status;
        exchange.reply.status = Some(status);
        exchange.reply.vendor_model.clone_from(&outgoing.vendor_model);
        exchange.reply.first_byte = Some(exchange.begun.elapsed());
        exchange.reply.is_complete = true;
        let spoken = outgoing.spoken.unwrap_or(Dialect::Chat);
        if status.is_success() {
            if exchange.reply.reported.is_none() {
                let mut text = String::new();
                each_text(spoken, &body, |piece| text.push_str(piece));
                exchange.reply.counted_output = tokens::count_text(exchange.vendor_model(), &text);
                exchange.count_prompt();
            }
            if spoken == Dialect::Responses {
                self.remember_response(exchange, &body);
            }
        }
        let mut body = body;
        if !status.is_success() {
            body = outgoing.hidden().fold(body, |body, hidden| hidden.masked(body));
        }
        let asked = exchange.call().map(|call| (call.dialect, call.model.clone()));
        let mut body = match asked {
            Some((asked, model)) if asked != spoken => {
                if status.is_success() {
                    translate::reply(asked, spoken, &body, &model).map_or(body, Bytes::from)
                } else {
                    translate::refusal(asked, &body, status, &exchange.id).into()
                }
            }
            _ => body,
        };
        for filter in &mut exchange.filters {
            let (piece, rest) = (filter.piece(body), filter.end());
            body = if rest.is_empty() { piece } else { [piece, rest].concat().into() };
        }
        if exchange.keep_reply >= body.len() {
            exchange.reply.kept.push(body.clone());
        }
        let mut headers = HeaderMap::with_capacity(12);
        pass_headers(&head.headers, true, &mut headers);
        exchange.reply.content_type = headers.get(header::CONTENT_TYPE).cloned();
        exchange.tell(&mut headers);
        taken.used(exchange.settlement(Ending::Served).usage.total());
        drop(taken);
        running.finish(Ending::Served);
        let mut response = Response::new(ReplyBody::whole(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// Keeps in mind which backend a response is from, where a later request may go on from it.
    fn remember_response(&self, exchange: &Exchange, data: &[u8]) {
        use crate::gateway::settings::Affinity;
        const ID: &[u8] = b"\"id\":";
        let wanted = exchange.route.pool.settings.affinity.contains(&Affinity::PreviousResponse);
        let Some(backend) = exchange.reply.backend.as_ref().filter(|_| wanted) else { return };
        let id = memchr::memmem::find_iter(data, ID).find_map(|at| {
            let text = data[at + ID.len()..].trim_ascii_start().strip_prefix(b"\"")?;
            let end = memchr::memchr(b'"', text)?;
            std::str::from_utf8(&text[..end]).ok().filter(|id| id.starts_with("resp"))
        });
        if let Some(id) = id {
            self.inner.responses.insert(id.to_owned(), backend.id);
        }
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

fn answered_by_policy(mut running: Running, answer: Answer) -> Response<ReplyBody> {
    let exchange = running.exchange_mut();
    exchange.reply.status = Some(answer.status);
    let mut headers = answer.headers;
    exchange.tell(&mut headers);
    running.finish(Ending::Answered);
    let mut response = Response::new(ReplyBody::Pieces(answer.pieces.into()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers;
    response
}

/// Settles what was not served; the policies' headers go along with the problem.
fn refused(mut running: Running, problem: Box<Problem>, ending: Ending) -> (Box<Problem>, HeaderMap) {
    let exchange = running.exchange_mut();
    exchange.reply.status = Some(problem.status);
    let mut headers = HeaderMap::new();
    exchange.tell(&mut headers);
    running.finish(ending);
    (problem, headers)
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
