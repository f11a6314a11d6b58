//! Bodies with bounds: in length, in how long they may pause, and in how long they may take.

use crate::base::{Problem, config::ByteSize};
use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct BodyBounds {
    pub length: ByteSize,
    pub idle: Duration,
    pub total: Duration,
}

/// Why the reading of a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    #[error("the body is longer than {0}")]
    TooLong(ByteSize),
    #[error("the body paused for longer than {}", seconds(.0))]
    Idle(Duration),
    #[error("the body took longer than {}", seconds(.0))]
    Late(Duration),
}

fn seconds(span: &Duration) -> String {
    format!("{} s", span.as_secs_f32())
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLong(limit) => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-long",
                "Body too long",
                format!("The body is longer than {limit}, the most that is taken here."),
            )
            .with_help("Send less at once; many assets go through `POST /api/v1/import`, one a line.")
            .with("limit", limit.0),
            BodyFault::Idle(_) | BodyFault::Late(_) => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "Body too slow",
                format!("The request was given up: {fault}."),
            ),
        }
    }
}

/// A request's body within its bounds; passing one ends it with a [`BodyFault`].
pub struct BoundedBody {
    inner: Body,
    bounds: BodyBounds,
    read: u64,
    begun: Instant,
    /// Made with the first pause: most bodies arrive with their head and never need it.
    pause: Option<Pin<Box<Sleep>>>,
}

impl BoundedBody {
    pub fn new(inner: Body, bounds: BodyBounds) -> Self {
        Self { inner, bounds, read: 0, begun: Instant::now(), pause: None }
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.pause = None;
                this.read += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.read > this.bounds.length.0 {
                    return Poll::Ready(Some(Err(axum::Error::new(BodyFault::TooLong(this.bounds.length)))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                let last = this.begun + this.bounds.total;
                let (bounds, now) = (this.bounds, Instant::now());
                let pause =
                    this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(last.min(now + bounds.idle))));
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let fault =
                    if Instant::now() >= last { BodyFault::Late(bounds.total) } else { BodyFault::Idle(bounds.idle) };
                Poll::Ready(Some(Err(axum::Error::new(fault))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The whole body.
///
/// # Errors
/// 413 when it is too long, 408 when it is too slow, 400 when it breaks off or its framing is wrong.
pub async fn read_body(body: Body) -> Result<Bytes, Problem> {
    use http_body_util::BodyExt;
    body.collect().await.map(|whole| whole.to_bytes()).map_err(|error| problem_of(&error))
}

/// The problem behind an error of a body, however deep it is wrapped.
pub fn problem_of(error: &(dyn std::error::Error + 'static)) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<BodyFault>() {
            return (*fault).into();
        }
        cause = error.source();
    }
    Problem::bad_request("The body broke off, or its framing is wrong.").with_kind("body-incomplete")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(length: u64) -> BodyBounds {
        BodyBounds { length: ByteSize(length), idle: Duration::from_millis(200), total: Duration::from_millis(400) }
    }

    async fn read(body: Body, bounds: BodyBounds) -> Result<Bytes, Problem> {
        read_body(Body::new(BoundedBody::new(body, bounds))).await
    }

    fn slow(pause: Duration, pieces: usize) -> Body {
        Body::from_stream(async_stream::stream! {
            for _ in 0..pieces {
                yield Ok::<_, std::io::Error>(Bytes::from_static(b"x"));
                tokio::time::sleep(pause).await;
            }
        })
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound_and_not_a_byte_further() {
        assert_eq!(read(Body::from("12345"), bounds(5)).await.unwrap(), "12345");
        assert_eq!(read(Body::from("123456"), bounds(5)).await.unwrap_err().status.as_u16(), 413);
    }

    #[tokio::test]
    async fn a_body_that_pauses_or_drips_is_given_up() {
        assert!(read(slow(Duration::from_millis(1), 2), bounds(9)).await.is_ok());

        let paused = read(slow(Duration::from_millis(900), 2), bounds(99)).await.unwrap_err();
        let dripped = read(slow(Duration::from_millis(50), 20), bounds(99)).await.unwrap_err();

        assert!(paused.status.as_u16() == 408 && paused.detail.contains("paused"), "{paused}");
        assert!(dripped.status.as_u16() == 408 && dripped.detail.contains("took longer"), "{dripped}");
    }
}
