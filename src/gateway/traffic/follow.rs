//! Responses that a vendor makes in the background. Whoever asked for one does not wait for it, or has left, and its usage is
//! told when it is done: so the gateway asks after it, and settles it then. Until then its reservations stand.

use super::Traffic;
use super::attempt::whole;
use super::order::expected_tokens;
use super::outgoing::Outgoing;
use super::plan::PlannedMember;
use super::running::Running;
use crate::gateway::balance::Taken;
use crate::gateway::exchange::{Ending, Exchange};
use crate::gateway::stored_response::{StoredQuery, StoredResponse};
use crate::wire::usage::{Usage, reported};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// So many at once; what is asked for beyond that is settled by what is expected of it.
pub(super) const MOST: usize = 10_000;
/// The first pause; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one may take. Research in the background takes up to an hour.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a process that ends waits for a last answer.
const PARTING: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;

/// How things stand with a response.
enum State {
    UnderWay,
    /// With its body where it is whole.
    Done(Usage, Option<Bytes>),
    /// It ended, and its vendor says nothing of its usage.
    Over,
    /// It is not there any more.
    Gone,
}

impl Traffic {
    /// Settles an exchange when the response that it began is done. `ending` is how it ended for its client.
    pub(super) fn follow(&self, mut running: Running, taken: Taken, ending: Ending) {
        let exchange = running.exchange_mut();
        exchange.count_prompt();
        exchange.let_question_go();
        let traffic = self.clone();
        let Ok(place) = self.inner.followers.clone().try_acquire_owned() else {
            tracing::warn!(request.id = %running.exchange().id, "Too many responses in the background are asked after");
            return settle(running, taken, ending, State::UnderWay);
        };
        self.tasks().spawn(async move {
            let followed = metrics::gauge!("wharfinger_gateway_background_responses");
            followed.increment(1);
            let state = traffic.outcome(running.exchange()).await;
            followed.decrement(1);
            settle(running, taken, ending, state);
            drop(place);
        });
    }

    /// Asks until the response is done, or may not be waited for any longer.
    async fn outcome(&self, exchange: &Exchange) -> State {
        let (Some(route), Some(backend)) = (self.planned(&exchange.snapshot, &exchange.route), &exchange.reply.backend)
        else {
            return State::UnderWay;
        };
        let member = route.members.iter().find(|member| member.backend.id == backend.id);
        let (Some(member), Some(id)) = (member, &exchange.reply.in_background) else { return State::UnderWay };
        let stored = StoredResponse {
            backend: backend.id,
            model: exchange.model().to_owned(),
            method: Method::GET,
            path: id.to_string(),
            query: StoredQuery::default(),
        };
        let (until, mut pause) = (Instant::now() + LONGEST, FIRST_PAUSE);
        loop {
            let is_last = tokio::select! {
                () = tokio::time::sleep(pause) => Instant::now() >= until,
                () = self.inner.stopping.cancelled() => true,
            };
            let patience = if is_last { PARTING } else { LONGEST };
            let looked = tokio::time::timeout(patience, look(member, exchange, &stored)).await;
            let state = looked.unwrap_or_else(|_| Err("timed out".to_owned())).unwrap_or_else(|reason| {
                let (id, name) = (&exchange.id, &member.backend.name);
                tracing::warn!(request.id = %id, backend.name = %name, reason, "A response cannot be asked after now");
                State::UnderWay
            });
            if is_last || !matches!(state, State::UnderWay) {
                return state;
            }
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}

async fn look(member: &PlannedMember, exchange: &Exchange, stored: &StoredResponse) -> Result<State, String> {
    let timeouts = &member.backend.settings.timeouts;
    let mut outgoing = Outgoing::of_stored(member, &HeaderMap::new(), stored).map_err(|problem| problem.detail)?;
    outgoing.complete(member, exchange, timeouts.first_byte.0).await?;
    let sent = member.origin.send(outgoing.request(), true, timeouts.connect.0, timeouts.first_byte.0).await;
    let answered = sent.map_err(|error| format!("{error:?}"))?;
    match answered.head.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(State::Gone),
        status if !status.is_success() => return Err(status.to_string()),
        _ => {}
    }
    let body = tokio::time::timeout(timeouts.total.0, whole(answered.body, LONGEST_ANSWER, timeouts.idle.0));
    let body = body.await.map_err(|_| "total".to_owned())?.map_err(|result| result.words())?;
    state(body)
}

fn state(body: Bytes) -> Result<State, String> {
    #[derive(Deserialize)]
    struct Response {
        status: String,
    }
    let response: Response = serde_json::from_slice(&body).map_err(|_| "it answers with no response".to_owned())?;
    Ok(match (response.status.as_str(), reported(&body)) {
        ("queued" | "in_progress", _) => State::UnderWay,
        (status, Some(usage)) => State::Done(usage, (status == "completed").then_some(body)),
        (_, None) => State::Over,
    })
}

fn settle(mut running: Running, mut taken: Taken, ending: Ending, state: State) {
    let exchange = running.exchange_mut();
    exchange.reply.is_complete = false;
    match state {
        State::Done(usage, body) => {
            exchange.reply.in_background = None;
            exchange.reply.is_complete = body.is_some();
            exchange.reply.counted_output = 0;
            exchange.report(Some(usage));
            if let Some(body) = body.filter(|body| body.len() <= exchange.keep_reply) {
                exchange.reply.kept = vec![body];
            }
        }
        State::Over => exchange.reply.in_background = None,
        // What it used will not be told: what was expected is charged.
        State::UnderWay | State::Gone => {
            let expected = expected_tokens(exchange).saturating_sub(exchange.prompt_tokens.unwrap_or(0));
            exchange.reply.counted_output = exchange.reply.counted_output.max(expected);
        }
    }
    taken.used(exchange.settlement(ending).usage.total());
    drop(taken);
    running.finish(ending);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_done_when_it_ended_and_over_when_its_usage_is_not_told() {
        let of = |text: &'static str| match state(Bytes::from_static(text.as_bytes())) {
            Ok(State::UnderWay) => "under way".to_owned(),
            Ok(State::Done(usage, _)) => format!("done with {}", usage.total()),
            Ok(State::Over) => "over".to_owned(),
            Ok(State::Gone) => "gone".to_owned(),
            Err(why) => why,
        };
        for (told, expected) in [
            (r#"{"status":"queued","usage":null}"#, "under way"),
            (r#"{"status":"in_progress"}"#, "under way"),
            (r#"{"status":"completed","usage":{"input_tokens":3,"output_tokens":4}}"#, "done with 7"),
            (r#"{"status":"cancelled","usage":{"input_tokens":3,"output_tokens":1}}"#, "done with 4"),
            (r#"{"status":"failed","usage":null,"error":{"code":"server_error"}}"#, "over"),
            (r#"{"object":"list"}"#, "it answers with no response"),
            ("<html>", "it answers with no response"),
        ] {
            assert_eq!(of(told), expected, "{told}");
        }
    }
}
