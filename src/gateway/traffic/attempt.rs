//! One attempt at one backend, up to the first byte of its answer.

use super::fault::{self, Fault};
use super::outgoing::Outgoing;
use super::plan::PlannedMember;
use crate::base::Clock;
use crate::gateway::balance::{Taken, breaker::Verdict};
use crate::gateway::exchange::{Asked, AttemptResult, Exchange};
use crate::gateway::provider::Outcome;
use crate::gateway::settings::BreakerSettings;
use crate::gateway::upstream::{AnswerBody, Answered, SendError};
use crate::wire::call::Dialect;
use crate::wire::sse;
use crate::wire::usage::{Usage, reported};
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::{HeaderValue, Method, StatusCode, header, response::Parts};
use serde::de::IgnoredAny;
use std::future::poll_fn;
use std::time::{Duration, Instant};

/// The longest answer that is no stream.
const WHOLE: usize = 32 * 1024 * 1024;
/// The longest refusal that is passed on.
const REFUSAL: usize = 1024 * 1024;

/// An answer that goes to the client.
pub(super) enum Served {
    /// It goes on piece by piece. The first is there where it was waited for.
    Stream { answered: Answered, first: Option<Bytes>, outgoing: Outgoing, taken: Taken },
    /// It is there as a whole; a refusal of the vendor's may be one.
    Whole { head: Parts, body: Bytes, reported: Option<Usage>, outgoing: Outgoing, taken: Taken },
}

/// Another backend may do better.
pub(super) struct Failure {
    pub(super) result: AttemptResult,
    /// How long the backend asks to be left alone.
    pub(super) wait: Option<Duration>,
}

/// Tries one backend with a request made ready for it; `taken` is the place there, since `begun`.
pub(super) async fn attempt(
    member: &PlannedMember,
    exchange: &Exchange,
    mut outgoing: Outgoing,
    mut taken: Taken,
    begun: Instant,
    clock: &Clock,
) -> Result<Served, Failure> {
    let timeouts = &member.backend.settings.timeouts;
    let left = timeouts.total.0.saturating_sub(begun.duration_since(exchange.begun));
    let first_byte = timeouts.first_byte.0.min(left);
    if let Err(reason) = outgoing.complete(member, exchange, first_byte).await {
        tracing::error!(request.id = %exchange.id, backend.name = %member.backend.name, reason, "No credential");
        taken.used(0);
        return Err(Failure { result: AttemptResult::NoCredential(reason), wait: None });
    }
    // A connection that closed under our hands may be tried again where a second call does no harm.
    let again = outgoing.spoken.is_some() || is_idempotent(&outgoing.method);
    let mut left = first_byte;
    let mut answered = loop {
        let sent = member.origin.send(outgoing.request(), again, timeouts.connect.0, left).await;
        let answered = match sent {
            Ok(answered) => answered,
            Err(error) => return failed(member, exchange, taken, result_of(error)),
        };
        // A token may be withdrawn before its time. What was refused for it was not done, so it may be asked again.
        if answered.head.status != StatusCode::UNAUTHORIZED || !outgoing.may_renew() {
            break answered;
        }
        left = first_byte.saturating_sub(begun.elapsed());
        if !outgoing.renew(member, left).boxed().await {
            break answered;
        }
        left = first_byte.saturating_sub(begun.elapsed());
    };

    let head = &answered.head;
    let status = head.status;
    let outcome = member.provider.outcome(status, &head.headers, clock);
    match outcome {
        Outcome::Busy(wait) | Outcome::Failed(wait) => {
            taken.judge(verdict(&member.backend.settings.breaker, outcome, status), None, || reason(status, wait));
            // What a vendor says of our credential is not for callers, and what it says of its health is told in our words.
            tracing::warn!(
                request.id = %exchange.id, backend.name = %member.backend.name, status = status.as_u16(),
                "A backend did not serve a request"
            );
            let is_rest = outgoing.spoken.is_none();
            if is_rest && !is_idempotent(&outgoing.method) {
                return Ok(Served::Stream { answered, first: None, outgoing, taken });
            }
            taken.used(0);
            return Err(Failure { result: AttemptResult::Answered(status), wait });
        }
        Outcome::Served | Outcome::Refused => {}
    }

    if outgoing.spoken.is_none() {
        taken.judge(Verdict::Good, Some(begun.elapsed()), String::new);
        return Ok(Served::Stream { answered, first: None, outgoing, taken });
    }
    // Following would take the request and our credential to an address that nobody judged.
    if status.is_redirection() {
        return failed(
            member,
            exchange,
            taken,
            AttemptResult::Broken("it points elsewhere, which is not followed".into()),
        );
    }
    if head.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let why = "it packed its answer, which was not asked for".to_owned();
        return failed(member, exchange, taken, AttemptResult::Broken(why));
    }
    let is_events = || head.headers.get(header::CONTENT_TYPE).is_some_and(is_event_stream);
    if exchange.is_stream() && status.is_success() && is_events() {
        let left = first_byte.saturating_sub(begun.elapsed());
        let first = tokio::time::timeout(left, poll_fn(|cx| answered.body.poll_piece(cx))).await;
        return match first {
            Err(_) => failed(member, exchange, taken, AttemptResult::TimedOut("first byte")),
            Ok(None) => failed(member, exchange, taken, AttemptResult::Broken("its stream was empty".into())),
            Ok(Some(Err(error))) => failed(member, exchange, taken, AttemptResult::Broken(error.to_string())),
            Ok(Some(Ok(first))) if begins_with_fault(&outgoing, exchange, &first) => {
                failed(member, exchange, taken, AttemptResult::Broken("its stream begins with a failure".into()))
            }
            Ok(Some(Ok(first))) => {
                taken.judge(Verdict::Good, latency(exchange, begun), String::new);
                Ok(Served::Stream { answered, first: Some(first), outgoing, taken })
            }
        };
    }
    let Answered { head, mut body } = answered;
    // Most answers came with their heads: nothing is waited for.
    let body = match body.take_whole() {
        Some(body) => body,
        None => {
            let most = if status.is_success() { WHOLE } else { REFUSAL };
            let left = timeouts.total.0.saturating_sub(exchange.begun.elapsed());
            match tokio::time::timeout(left, whole(body, most, timeouts.idle.0)).await {
                Err(_) => return failed(member, exchange, taken, AttemptResult::TimedOut("total")),
                Ok(Err(result)) => return failed(member, exchange, taken, result),
                Ok(Ok(body)) => body,
            }
        }
    };
    let reported = if status.is_success() { reported(&body) } else { None };
    // What reports its usage is an object that came to its end: it need not be read once more.
    if status.is_success() && !(is_braced(&body) && (reported.is_some() || is_json(&body))) {
        return failed(member, exchange, taken, AttemptResult::Broken("its answer is no JSON object".into()));
    }
    taken.judge(Verdict::Good, latency(exchange, begun), String::new);
    Ok(Served::Whole { head, body, reported, outgoing, taken })
}

/// Whether the first event tells that the backend failed: nothing was passed on, so another may be asked.
fn begins_with_fault(outgoing: &Outgoing, exchange: &Exchange, first: &[u8]) -> bool {
    let Some(spoken) = outgoing.spoken.filter(|_| exchange.call().is_some()) else { return false };
    let mut rest = first;
    while let Some(end) = sse::event_end(rest) {
        let event = &rest[..end];
        rest = &rest[end..];
        let Some(data) = sse::data(event) else { continue };
        let told = fault::told(spoken, &data).or(fault::is_named_so(event).then_some(Fault::Backend));
        let is_ping = spoken == Dialect::Messages && event.starts_with(b"event: ping");
        if told.is_some() || !is_ping {
            return told == Some(Fault::Backend);
        }
    }
    false
}

/// How fast the backend began, for who chooses by that; what it has stored says nothing of how fast it makes something.
fn latency(exchange: &Exchange, begun: Instant) -> Option<Duration> {
    (!matches!(exchange.asked, Asked::Stored(_))).then(|| begun.elapsed())
}

fn failed(
    member: &PlannedMember,
    exchange: &Exchange,
    mut taken: Taken,
    result: AttemptResult,
) -> Result<Served, Failure> {
    taken.judge(Verdict::Bad { wait: None }, None, || result.words());
    taken.used(0);
    tracing::warn!(request.id = %exchange.id, backend.name = %member.backend.name, ?result, "An attempt failed");
    Err(Failure { result, wait: None })
}

/// What an answer that does not serve means to the breaker: a failure where its status counts as one. Who asks to be left
/// alone is, whatever counts, where such wishes are accepted; who refuses us for other reasons is not.
fn verdict(settings: &BreakerSettings, outcome: Outcome, status: StatusCode) -> Verdict {
    let counts = settings.statuses.iter().any(|range| range.contains(status.as_u16()));
    match outcome {
        Outcome::Busy(wait) | Outcome::Failed(wait) if counts => Verdict::Bad { wait },
        Outcome::Busy(Some(wait)) if settings.accept_retry_after => Verdict::Bad { wait: Some(wait) },
        _ => Verdict::Good,
    }
}

fn result_of(error: SendError) -> AttemptResult {
    match error {
        SendError::NotConnected(why) => AttemptResult::NotConnected(why),
        SendError::Untrusted(why) => AttemptResult::Untrusted(why),
        SendError::ConnectTimedOut => AttemptResult::TimedOut("connect"),
        SendError::FirstByteTimedOut => AttemptResult::TimedOut("first byte"),
        SendError::Broken(why) => AttemptResult::Broken(why),
    }
}

fn reason(status: StatusCode, wait: Option<Duration>) -> String {
    match wait {
        Some(wait) => format!("answered {}, asking to wait {} s", status.as_u16(), wait.as_secs_f64().ceil()),
        None => format!("answered {}", status.as_u16()),
    }
}

/// The whole of an answer that is no stream.
pub(super) async fn whole(mut body: AnswerBody, most: usize, idle: Duration) -> Result<Bytes, AttemptResult> {
    let too_long = || AttemptResult::Broken(format!("its answer is longer than {most} bytes"));
    if body.announced().is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let mut next = async || tokio::time::timeout(idle, poll_fn(|cx| body.poll_piece(cx))).await;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let piece = match next().await {
            Err(_) => return Err(AttemptResult::TimedOut("idle")),
            Ok(Some(Err(error))) => return Err(AttemptResult::Broken(error.to_string())),
            Ok(Some(Ok(piece))) => piece,
            Ok(None) if rest.is_empty() => return Ok(first),
            Ok(None) => return Ok(rest.freeze()),
        };
        if first.is_empty() && rest.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&piece);
        if rest.len() > most {
            return Err(too_long());
        }
    }
}

fn is_braced(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn is_event_stream(value: &HeaderValue) -> bool {
    value.as_bytes().get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
}

/// RFC 9110, 9.2.2.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings::StatusRange;

    #[test]
    fn a_status_counts_as_the_settings_say_and_a_wait_only_where_it_is_accepted() {
        let wait = Some(Duration::from_secs(20));
        let (bad, good) = (|wait| Verdict::Bad { wait }, Verdict::Good);
        for (statuses, accepts, outcome, status, expected) in [
            ((500, 599), true, Outcome::Failed(None), 500, bad(None)),
            ((500, 599), true, Outcome::Failed(wait), 500, bad(wait)),
            ((500, 599), true, Outcome::Failed(None), 401, good),
            ((500, 599), true, Outcome::Failed(wait), 401, good),
            ((500, 599), true, Outcome::Busy(None), 429, good),
            ((500, 599), true, Outcome::Busy(wait), 429, bad(wait)),
            ((500, 599), false, Outcome::Busy(wait), 429, good),
            ((429, 429), false, Outcome::Busy(wait), 429, bad(wait)),
        ] {
            let statuses = vec![StatusRange { min: statuses.0, max: statuses.1 }];
            let settings = BreakerSettings { statuses, accept_retry_after: accepts, ..BreakerSettings::default() };
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(verdict(&settings, outcome, status), expected, "{settings:?} {outcome:?}");
        }
    }
}
