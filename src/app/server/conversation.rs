//! `Conversation`: the requests and answers of a connection, in the version of HTTP that it begins with.
//!
//! hyper-util tells the versions apart, too, but each of its connections keeps the room that HTTP/2 takes, which is twice
//! that of HTTP/1: of ten thousand open streams it was a twentieth of what they cost.

use super::{counted::Counted, guarded::Guarded};
use crate::base::Config;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    rt::bounds::Http2ServerConnExec,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A version of HTTP, as far as a connection is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
}

/// What is allowed in conversations.
pub(super) struct Rules {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// A conversation under way; it ends with its connection.
#[expect(clippy::large_enum_variant, reason = "most speak HTTP/1: a box of theirs would be room on top")]
pub(super) enum Conversation<S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible>> {
    One(http1::Connection<TokioIo<Guarded>, S>),
    Two(Box<http2::Connection<TokioIo<Guarded>, S, TokioExecutor>>),
}

impl Rules {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // Runs from the end of the request before; `Guarded` bounds the head itself more tightly.
            .header_read_timeout(limits.keep_alive_timeout)
            // A head that does not fit is answered 431.
            .max_buf_size(limits.max_header_bytes.as_usize());
        // hyper keeps a hundred headers on the stack, and any other number on the heap.
        if limits.max_headers != 100 {
            http1.max_headers(limits.max_headers as usize);
        }
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_http2_streams)
            .max_header_list_size(u32::try_from(limits.max_header_bytes.0).unwrap_or(u32::MAX))
            // Streams reset before they were answered (CVE-2023-44487), and by errors of the client's own.
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(128)
            .max_send_buf_size(64 * 1024)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        Self { http1, http2 }
    }

    /// Begins a conversation over a connection that [speaks](Guarded::speaks) so.
    pub(super) fn converse<S>(&self, http: Http, stream: Guarded, service: S) -> Conversation<S>
    where
        S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible>,
        TokioExecutor: Http2ServerConnExec<S::Future, Counted>,
    {
        let stream = TokioIo::new(stream);
        match http {
            Http::One => Conversation::One(self.http1.serve_connection(stream, service)),
            Http::Two => Conversation::Two(Box::new(self.http2.serve_connection(stream, service))),
        }
    }
}

impl<S> Conversation<S>
where
    S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible>,
    TokioExecutor: Http2ServerConnExec<S::Future, Counted>,
{
    /// Lets it end with the requests it has.
    pub(super) fn finish(&mut self) {
        match self {
            Self::One(connection) => Pin::new(connection).graceful_shutdown(),
            Self::Two(connection) => Pin::new(&mut **connection).graceful_shutdown(),
        }
    }
}

impl<S> Future for Conversation<S>
where
    S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible> + Unpin,
    TokioExecutor: Http2ServerConnExec<S::Future, Counted>,
{
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match &mut *self {
            Self::One(connection) => Pin::new(connection).poll(cx),
            Self::Two(connection) => Pin::new(connection).poll(cx),
        }
    }
}
