//! A stream that is held back until it is whole, because a policy looks at the whole of what it says.

use super::answer::Refused;
use super::reply::{ReplyBody, not_again};
use super::stream::{Flow, Step};
use crate::gateway::exchange::Ending;
use crate::gateway::policy::too_large;
use bytes::Bytes;
use http::{HeaderMap, Response};
use std::future::poll_fn;

/// The longest stream that is held back; a model's longest answers are a tenth of it.
const MOST: usize = 8 << 20;

/// The stream with all its events, once the policies let them go on.
///
/// # Errors
/// The refusal of a policy; 502 where it becomes too long to be held.
pub(super) async fn held_back(response: Response<ReplyBody>) -> Result<Response<ReplyBody>, Refused> {
    let (head, mut metered) = match response.into_parts() {
        (head, ReplyBody::Streamed(metered)) => (head, metered),
        (head, body) => return Ok(Response::from_parts(head, body)),
    };
    // It stays where it is, so that a client that leaves meanwhile settles it.
    let Some(flow) = &mut metered.flow else { return Ok(Response::from_parts(head, ReplyBody::Streamed(metered))) };
    let (pieces, mut ending) = flow.gathered().await;
    let exchange = flow.running.exchange_mut();
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let said = match length <= MOST {
        true => exchange.judged(&pieces.concat(), true).await,
        false => {
            let detail = format!("A policy looks at whole answers here, and this one is longer than {MOST} bytes.");
            Err(Box::new(too_large(detail)))
        }
    };
    let mut told = HeaderMap::new();
    if let Err(problem) = &said {
        ending = Ending::Refused;
        exchange.reply.status = Some(problem.status);
        exchange.tell(&mut told);
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
