//! One connection, and how a request goes over it.
//!
//! It is driven by the task that waits for its answer, and by nobody while it is idle. What comes is read into a buffer that
//! the connections of a thread share, and what is kept of it is copied out: ten thousand open streams that wait for their
//! next event hold no buffer of ours. A client library's connection holds some 40 KiB, which was most of what a stream cost.

use super::framing::Framing;
use super::head::{self, Head, MAX_HEAD, Request};
use super::stream::Stream;
use bytes::Bytes;
use http::Method;
use http::response::Parts;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once.
const READ: usize = 32 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// A connection between two requests, or with one under way.
pub(super) struct Link {
    pub(super) stream: Stream,
    /// When its last answer ended; none before the first.
    pub(super) idle_since: Option<Instant>,
}

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection was closed before anything of an answer came.
    Gone(String),
    Broken(String),
}

/// The beginning of an answer.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) head: Parts,
    pub(super) framing: Framing,
    /// What came of the body with the head.
    pub(super) first: Bytes,
    /// What is still to be sent, where the answer began before.
    pub(super) unsent: Option<Box<Sending>>,
    /// Whether the connection can be used again after it.
    pub(super) stays: bool,
}

impl Link {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, idle_since: None }
    }

    /// Whether another request can go over it, as far as is known here. An idle connection has nothing to say: one that
    /// does was closed, or says what nobody asked for.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.poll_read(cx, |_| ()).is_pending())).await
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<'_>) -> Result<Begun, Fault> {
        let mut sending = Sending { head: request.head(), body: request.body.clone(), written: 0, is_flushed: false };
        let mut came = Vec::new();
        let begun = poll_fn(|cx| self.poll_send(cx, &mut sending, request.method, &mut came)).await?;
        let unsent = (!sending.is_flushed).then(|| Box::new(sending));
        Ok(Begun { unsent, ..begun })
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
        method: &Method,
        came: &mut Vec<u8>,
    ) -> Poll<Result<Begun, Fault>> {
        // Who is refused while still sending may find the connection closed; the refusal can be read all the same.
        let written = sending.poll(&mut self.stream, cx);
        loop {
            let read = self.poll_read(cx, |bytes| {
                if bytes.is_empty() {
                    return Err(match came.is_empty() {
                        true => Fault::Gone("the connection was closed".to_owned()),
                        false => Fault::Broken("the connection was closed in the midst of its head".to_owned()),
                    });
                }
                // Most heads come whole.
                if came.is_empty() {
                    let begun = Begun::read(method, bytes)?;
                    if begun.is_none() {
                        came.extend_from_slice(bytes);
                    }
                    return Ok(begun);
                }
                came.extend_from_slice(bytes);
                Begun::read(method, came)
            });
            match (read, &written) {
                (Poll::Ready(Ok(Ok(Some(begun)))), _) => return Poll::Ready(Ok(begun)),
                (Poll::Ready(Ok(Ok(None))), _) if came.len() <= MAX_HEAD + READ => {}
                (Poll::Ready(Ok(Ok(None))), _) => {
                    return Poll::Ready(Err(Fault::Broken("its head is too long".into())));
                }
                (Poll::Ready(Ok(Err(Fault::Gone(_)))), Poll::Ready(Err(error)))
                | (Poll::Pending, Poll::Ready(Err(error))) => {
                    return Poll::Ready(Err(Fault::of(error, came.is_empty())));
                }
                (Poll::Ready(Ok(Err(fault))), _) => return Poll::Ready(Err(fault)),
                (Poll::Ready(Err(error)), _) => return Poll::Ready(Err(Fault::of(&error, came.is_empty()))),
                (Poll::Pending, _) => return Poll::Pending,
            }
        }
    }

    /// Gives what came to `take`; nothing came when the connection was closed.
    pub(super) fn poll_read<R>(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8]) -> R) -> Poll<io::Result<R>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(take(buffer.filled())))
        })
    }
}

/// A request on its way out.
#[derive(Debug)]
pub(super) struct Sending {
    head: Vec<u8>,
    body: Bytes,
    written: usize,
    is_flushed: bool,
}

impl Sending {
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while self.written < self.head.len() + self.body.len() {
            let head = &self.head[self.written.min(self.head.len())..];
            let body = &self.body[self.written.saturating_sub(self.head.len())..];
            let written = match stream.is_write_vectored() {
                true => ready!(stream.as_mut().poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))?,
                false => ready!(stream.as_mut().poll_write(cx, if head.is_empty() { body } else { head }))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        if !self.is_flushed {
            ready!(stream.poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Fault {
    fn of(error: &io::Error, nothing_came: bool) -> Self {
        use io::ErrorKind as Kind;
        let is_gone = matches!(error.kind(), Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted);
        match is_gone && nothing_came {
            true => Self::Gone(error.to_string()),
            false => Self::Broken(error.to_string()),
        }
    }
}

impl Begun {
    fn read(method: &Method, bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let Some((head, length)) = head::read(method, bytes).map_err(Fault::Broken)? else { return Ok(None) };
        let Head { parts, mut framing, stays } = head;
        let (rest, mut first) = (&bytes[length..], Vec::new());
        let taken = framing.take(rest, &mut first).map_err(|why| Fault::Broken(why.to_owned()))?;
        // Whatever follows an answer that nobody asked for another of, the connection is not to be trusted any more.
        let stays = stays && taken == rest.len();
        Ok(Some(Self { head: parts, framing, first: first.into(), unsent: None, stays }))
    }
}
