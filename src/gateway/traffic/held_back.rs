//! A stream that is held back until it is whole, because a policy looks at the whole of what it says.

use super::answer::Refused;
use super::reply::{ReplyBody, not_again};
use super::stream::{Flow, Step};
use crate::gateway::exchange::Ending;
use bytes::Bytes;
use http::{HeaderMap, Response};
use std::future::poll_fn;

/// The longest stream that is held back, in bytes: a token takes some three hundred as an event.
const MOST: usize = 32 << 20;

/// The stream with all its events, once the policies let them go on.
///
/// # Errors
/// The refusal of a policy; 502 where it becomes too long to be held.
pub(super) async fn held_back(response: Response<ReplyBody>) -> Result<Response<ReplyBody>, Refused> {
    let (mut head, mut metered) = match response.into_parts() {
        (head, ReplyBody::Streamed(metered)) => (head, metered),
        (head, body) => return Ok(Response::from_parts(head, body)),
    };
    // It stays where it is, so that a client that leaves meanwhile settles it.
    let Some(flow) = &mut metered.flow else { return Ok(Response::from_parts(head, ReplyBody::Streamed(metered))) };
    let (pieces, mut ending) = flow.gathered().await;
    let refusal = flow.refusal.take();
    let exchange = flow.running.exchange_mut();
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let said = match refusal {
        // Nothing has gone on, so it is no stream that breaks off.
        Some(problem) => Err(problem),
        None if length > MOST => exchange.too_long_to_hold(MOST),
        None => exchange.judged(None).await,
    };
    let mut told = HeaderMap::new();
    match &said {
        Ok(()) => exchange.tell(&mut head.headers),
        Err(problem) => {
            ending = Ending::Refused;
            exchange.reply.status = Some(problem.status);
            exchange.reply.kept.clear();
            exchange.tell(&mut told);
        }
    }
    if let Some(flow) = metered.flow.take() {
        flow.finish(ending);
    }
    match said {
        Ok(()) => Ok(Response::from_parts(head, ReplyBody::Pieces(pieces.into()))),
        Err(problem) => Err(not_again(problem, told)),
    }
}

impl Flow {
    /// All its pieces, or those that come to more than [`MOST`] bytes, and how it ended; it is not settled yet.
    async fn gathered(&mut self) -> (Vec<Bytes>, Ending) {
        let (mut pieces, mut length) = (Vec::new(), 0);
        loop {
            let (bytes, ending) = match poll_fn(|cx| self.step(cx)).await {
                Step::Piece(bytes) => (bytes, None),
                // The event that tells of a failure is the last piece.
                Step::End(bytes, ending) | Step::Broken(bytes, ending, _) => (bytes, Some(ending)),
            };
            length += bytes.len();
            if !bytes.is_empty() {
                pieces.push(bytes);
            }
            match ending {
                Some(ending) => return (pieces, ending),
                None if length > MOST => return (pieces, Ending::Refused),
                None => {}
            }
        }
    }
}
