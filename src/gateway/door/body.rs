//! The body of a request, read once, within the bounds of the settings.

use crate::base::Problem;
use crate::base::config::Limits;
use crate::gateway::room::{Room, Taken};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use std::{future::poll_fn, pin::Pin, task::Poll};
use tokio::time::{Instant, timeout_at};

/// Bodies up to this many bytes are copied.
const SMALL: usize = 4 * 1024;
/// Bodies up to this many bytes need no room: connections are bounded, too.
const FREE: u64 = 64 * 1024;

/// A body, and the room it takes.
pub(super) type Read = (Bytes, Option<Taken>);

/// # Errors
/// 413 when it is too long, before it is read where it says so; 408 when it is too slow; 400 when it breaks off; 415 when
/// it is packed; 503 when there is no room.
pub(super) async fn read<B>(mut body: B, headers: &HeaderMap, limits: &Limits, room: &Room) -> Result<Read, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let most = limits.max_body;
    let too_long = || {
        let words = format!("The body is longer than {most}, the most that is taken here.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", "Body too long", words).with("limit", most.0)
    };
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let words = "The body is packed; send it plain.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Packed body", words));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most.0) {
        return Err(too_long());
    }
    let mut taken = announced.filter(|length| *length > FREE).map(|length| room.take(length)).transpose()?;
    let mut until = None;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = next(&mut body, &mut until, limits).await? {
        let Ok(data) = frame.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let length = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            rest.reserve(length.max(first.len() + data.len()));
            rest.extend_from_slice(&first);
        }
        let length = (rest.len() + data.len()) as u64;
        if length > most.0 {
            return Err(too_long());
        }
        // How long it becomes is not said.
        if length > FREE && taken.is_none() {
            taken = Some(room.take(most.0)?);
        }
        rest.extend_from_slice(&data);
    }
    if first.len() as u64 > most.0 {
        return Err(too_long());
    }
    // A small body is copied out of the buffer of its connection, which would be held with it else.
    let body = match (rest.is_empty(), first.len() <= SMALL) {
        (true, true) => Bytes::copy_from_slice(&first),
        (true, false) => first,
        (false, _) => rest.freeze(),
    };
    Ok((body, taken))
}

/// `until` is set when something is waited for the first time.
async fn next<B>(
    body: &mut B,
    until: &mut Option<Instant>,
    limits: &Limits,
) -> Result<Option<http_body::Frame<Bytes>>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return Ok(None);
    }
    // Most bodies came with their heads: nothing is waited for.
    let frame = match poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await {
        Poll::Ready(frame) => Ok(frame),
        Poll::Pending => {
            let now = Instant::now();
            let until = *until.get_or_insert(now + limits.body_timeout);
            timeout_at(until.min(now + limits.body_idle_timeout), body.frame()).await
        }
    };
    match frame {
        Err(_) => {
            let words = "The request was given up: its body came too slowly.";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "Body too slow", words))
        }
        Ok(Some(Err(_))) => {
            Err(Problem::bad_request("The body broke off, or its framing is wrong.").with_kind("body-incomplete"))
        }
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(None) => Ok(None),
    }
}
