//! What goes out as the body of an answer.

use super::guarded::InFlightGuard;
use crate::gateway::ReplyBody;
use axum::{BoxError, body::Body};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A body that counts as work until it is sent or given up.
pub(super) struct Counted {
    body: Answer,
    _guard: InFlightGuard,
}

pub(super) enum Answer {
    Traffic(ReplyBody),
    Routed(Body),
}

impl Counted {
    pub(super) fn new(body: Answer, guard: InFlightGuard) -> Self {
        Self { body, _guard: guard }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.body {
            Answer::Traffic(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Answer::Routed(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Answer::Traffic(body) => body.is_end_stream(),
            Answer::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Answer::Traffic(body) => body.size_hint(),
            Answer::Routed(body) => body.size_hint(),
        }
    }
}
