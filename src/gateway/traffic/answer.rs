//! From an admitted exchange to its answer: its policies, the members of its pool, and what is told when none served.

use super::Traffic;
use super::attempt::Served;
use super::held_back::held_back;
use super::order::serves;
use super::plan::PlannedRoute;
use super::reply::{ReplyBody, not_again};
use super::running::Running;
use crate::base::Problem;
use crate::gateway::exchange::{Ending, Exchange};
use crate::gateway::policy::{Admission, Answer};
use crate::gateway::settings::OnDisconnect;
use crate::gateway::tokens::estimate_aside;
use crate::wire::call::{Call, Dialect};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// What is told in place of an answer, with the headers that go along.
pub(super) type Refused = (Box<Problem>, HeaderMap);

impl Traffic {
    /// Takes an exchange through its policies to a backend and gives the answer. What is refused or fails is told by a
    /// [`Problem`], which the door renders in the client's dialect.
    ///
    /// # Errors
    /// The refusal of a policy; 429, 503, 502 or 504 when no backend served, with what was tried.
    pub async fn answer(&self, exchange: Box<Exchange>) -> Result<Response<ReplyBody>, Refused> {
        let mut members = exchange.route.pool.members.iter();
        if !members.any(|member| member.backend.settings.on_disconnect == OnDisconnect::Drain) {
            return self.answered(exchange).await;
        }
        // What is read on also when its client has left must not end with the wait for it.
        let traffic = self.clone();
        let answering = self.tasks().spawn(async move { traffic.answered(exchange).await });
        answering.await.unwrap_or_else(|_| Err((Box::new(Problem::internal()), HeaderMap::new())))
    }

    async fn answered(&self, exchange: Box<Exchange>) -> Result<Response<ReplyBody>, Refused> {
        let Some(route) = self.planned(&exchange.snapshot, &exchange.route) else {
            return Err((Box::new(Problem::unavailable("The gateway's settings are changing.")), HeaderMap::new()));
        };
        let mut running = Running::new(exchange, route, self.clone());
        let (route, exchange) = running.on_its_way();
        match route.chain.admit(exchange).await {
            Ok(Admission::Continue) => {}
            Ok(Admission::Answer(answer)) => return Ok(answered_by_us(running, answer)),
            Err(problem) => return Err(refused(running, problem, Ending::Refused)),
        }
        if let Some(call) = counted_here(route, exchange) {
            let answer = counted(call, exchange).await;
            return Ok(answered_by_us(running, answer));
        }
        match self.tried(route, exchange).await {
            Ok(Served::Stream { answered, first, outgoing, taken }) => {
                let exchange = running.exchange_mut();
                if let (None, Some(length)) = (outgoing.spoken, answered.body.announced())
                    && let Err(problem) = exchange.announces(length)
                {
                    let (problem, headers) = refused(running, problem, Ending::Refused);
                    return Err(not_again(problem, headers));
                }
                let is_held_back = exchange.holds_streams();
                let response = self.streamed(running, answered, first, &outgoing, taken);
                if is_held_back { Box::pin(held_back(response)).await } else { Ok(response) }
            }
            Ok(Served::Whole { head, body, reported, outgoing, taken }) => {
                let exchange = running.exchange_mut();
                exchange.report(reported);
                let fault = self.noted(exchange, (head.status, &body), &outgoing, &taken);
                let judged = match exchange.shown(head.status, &body).filter(|_| exchange.is_judged()) {
                    Some(shown) => Box::pin(exchange.judged(Some(&shown))).await,
                    None => Ok(()),
                };
                self.whole(running, (head, body), &outgoing, taken, (fault, judged))
            }
            Err((problem, ending)) => Err(refused(running, problem, ending)),
        }
    }
}

/// The call, where the tokens of its prompt are asked for and no backend of the route counts them.
fn counted_here<'a>(route: &PlannedRoute, exchange: &'a Exchange) -> Option<&'a Call> {
    let is_counted = |call: &&Call| call.dialect == Dialect::CountTokens;
    let call = exchange.call().filter(is_counted)?;
    (!route.members.iter().any(|member| serves(member, exchange))).then_some(call)
}

async fn counted(call: &Call, exchange: &Exchange) -> Answer {
    let estimate = estimate_aside(call, exchange.model(), &exchange.body).await;
    let body = serde_json::json!({"input_tokens": estimate.input}).to_string();
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Answer { status: StatusCode::OK, headers: HeaderMap::from_iter([content_type]), pieces: vec![body.into()] }
}

/// An answer that no backend was asked for: of a policy, or a count.
fn answered_by_us(mut running: Running, answer: Answer) -> Response<ReplyBody> {
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
fn refused(mut running: Running, problem: Box<Problem>, ending: Ending) -> Refused {
    let exchange = running.exchange_mut();
    exchange.reply.status = Some(problem.status);
    let mut headers = HeaderMap::new();
    exchange.tell(&mut headers);
    running.finish(ending);
    (problem, headers)
}
