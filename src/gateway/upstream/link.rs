//! One connection, and the body of the answer that comes over it.

use super::origin::Origin;
use super::stream::Stream;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// The longest head of an answer.
const MAX_HEAD: usize = 64 * 1024;

/// A connection between two requests, or with one under way.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<TokioIo<Stream>, Full<Bytes>>>>,
    is_closed: bool,
    /// When its last answer ended; none before the first.
    pub(super) idle_since: Option<Instant>,
}

impl Link {
    pub(super) async fn open(stream: Stream) -> hyper::Result<Self> {
        let (sender, connection) =
            hyper::client::conn::http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection: Box::pin(connection), is_closed: false, idle_since: None })
    }

    /// Lets the connection do what it can now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.is_closed && self.connection.as_mut().poll(cx).is_ready() {
            self.is_closed = true;
        }
    }

    /// Whether another request can go over it, as far as is known here.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(!self.is_closed && self.sender.is_ready())
        })
        .await
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let mut answer = pin!(self.sender.send_request(request));
        let (connection, is_closed) = (&mut self.connection, &mut self.is_closed);
        poll_fn(|cx| {
            if !*is_closed && connection.as_mut().poll(cx).is_ready() {
                *is_closed = true;
            }
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct BodyError(#[from] hyper::Error);

/// The body of an answer. Read to its end it gives the connection back; dropped before, it closes it, and the backend
/// sees that nobody waits any more.
pub struct AnswerBody {
    incoming: Incoming,
    link: Option<Link>,
    origin: Arc<Origin>,
}

impl AnswerBody {
    pub(super) fn new(incoming: Incoming, link: Link, origin: Arc<Origin>) -> Self {
        Self { incoming, link: Some(link), origin }
    }

    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// When the backend broke off, or its framing is wrong.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some(link) = &mut self.link {
                link.drive(cx);
            }
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if self.incoming.is_end_stream() {
                        self.give_back(cx);
                    }
                    // Trailers say nothing that we act on.
                    match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => return Poll::Ready(Some(Ok(data))),
                        Err(_) => {}
                    }
                }
                Some(Err(error)) => {
                    self.link = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => {
                    self.give_back(cx);
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// How long the body is, where its head said so.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    fn give_back(&mut self, cx: &mut Context<'_>) {
        let Some(mut link) = self.link.take() else { return };
        // It sees the end of its answer when it is asked once more.
        link.drive(cx);
        if !link.is_closed && link.sender.is_ready() {
            link.idle_since = Some(Instant::now());
            self.origin.keep(link);
        }
    }
}
