//! One connection, and the body of the answer that comes over it.
//!
//! It is driven by the task that waits for its answer, and by nobody while it is idle. What comes is read into a buffer that
//! the connections of a thread share, and what is kept of it is copied out: ten thousand open streams that wait for their
//! next event hold no buffer of ours. A client library's connection holds some 40 KiB, which was most of what a stream cost.

use super::framing::Framing;
use super::head::{self, Head, MAX_HEAD, Request};
use super::origin::Origin;
use super::stream::Stream;
use bytes::Bytes;
use http::Method;
use http::response::Parts;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
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
    stream: Stream,
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
    framing: Framing,
    /// What came of the body with the head.
    first: Bytes,
    /// What is still to be sent, where the answer began before.
    unsent: Option<Box<Sending>>,
    stays: bool,
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
    fn poll_read<R>(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8]) -> R) -> Poll<io::Result<R>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(take(buffer.filled())))
        })
    }
}

/// A request on its way out.
#[derive(Debug)]
struct Sending {
    head: Vec<u8>,
    body: Bytes,
    written: usize,
    is_flushed: bool,
}

impl Sending {
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer broke off: {0}")]
    Io(#[from] io::Error),
    #[error("the answer broke off: {0}")]
    Framing(&'static str),
}

/// The body of an answer. Read to its end it gives the connection back; dropped before, it closes it, and the backend
/// sees that nobody waits any more.
pub struct AnswerBody {
    framing: Framing,
    /// What came and was not given out yet.
    first: Bytes,
    unsent: Option<Box<Sending>>,
    stays: bool,
    link: Option<Link>,
    origin: Arc<Origin>,
}

impl AnswerBody {
    /// The head, and the body that follows it.
    pub(super) fn of(begun: Begun, link: Link, origin: Arc<Origin>) -> (Parts, Self) {
        let Begun { head, framing, first, unsent, stays } = begun;
        let mut body = Self { framing, first, unsent, stays, link: Some(link), origin };
        body.give_back_at_end();
        (head, body)
    }

    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// When the backend broke off, or its framing is wrong.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.first))));
        }
        while !self.framing.is_end() {
            let (Some(link), framing) = (&mut self.link, &mut self.framing) else { break };
            if let Some(Poll::Ready(sent)) = self.unsent.as_mut().map(|sending| sending.poll(&mut link.stream, cx)) {
                // Who answers need not take the rest of the question.
                self.stays &= sent.is_ok();
                self.unsent = None;
            }
            let mut piece = Vec::new();
            let read = link.poll_read(cx, |bytes| match bytes.len() {
                0 => framing.closed().map(|()| None),
                length => framing.take(bytes, &mut piece).map(|taken| Some(taken == length)),
            });
            match ready!(read) {
                Ok(Ok(Some(is_all))) => self.stays &= is_all,
                Ok(Ok(None)) => break,
                Ok(Err(why)) => return self.broken(BodyError::Framing(why)),
                Err(error) => return self.broken(error.into()),
            }
            self.give_back_at_end();
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(piece.into())));
            }
        }
        self.link = None;
        Poll::Ready(None)
    }

    /// How long the body is, where its head said so.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left + self.first.len() as u64),
            _ => None,
        }
    }

    fn broken(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.link = None;
        Poll::Ready(Some(Err(error)))
    }

    fn give_back_at_end(&mut self) {
        if !self.framing.is_end() {
            return;
        }
        if let Some(mut link) = self.link.take().filter(|_| self.stays && self.unsent.is_none()) {
            link.idle_since = Some(Instant::now());
            self.origin.keep(link);
        }
    }
}
