//! The body of an answer, as it comes over its connection.

use super::framing::Framing;
use super::link::{Begun, Link, Sending};
use super::origin::Origin;
use bytes::Bytes;
use http::response::Parts;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

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

    /// All of it, where it came with its head; none where more is waited for.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        self.framing.is_end().then(|| std::mem::take(&mut self.first))
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

#[cfg(test)]
mod tests {
    use super::super::Request;
    use super::super::{Answered, Origins, SendError};
    use super::*;
    use crate::base::Egress;
    use http::{HeaderMap, Method};
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn backend() -> (TcpListener, Arc<Origin>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let origins = Origins::new(Egress::to_hosts(&["127.0.0.1".to_owned()]));
        (listener, origins.of(&url).unwrap())
    }

    async fn send(origin: &Arc<Origin>, body: &Bytes) -> Result<Answered, SendError> {
        let (uri, headers, patience) = ("/x".parse().unwrap(), HeaderMap::new(), Duration::from_secs(20));
        let request = Request { method: &Method::POST, uri: &uri, headers: &headers, body };
        origin.send(request, true, patience, patience).await
    }

    async fn rest(answered: &mut Answered) -> Result<String, BodyError> {
        let mut text = Vec::new();
        while let Some(piece) = poll_fn(|cx| answered.body.poll_piece(cx)).await {
            text.extend_from_slice(&piece?);
        }
        Ok(String::from_utf8(text).unwrap())
    }

    /// Reads until the head of a request is there.
    async fn head_of(tcp: &mut TcpStream) {
        let mut seen = Vec::new();
        while memchr::memmem::find(&seen, b"\r\n\r\n").is_none() {
            assert_ne!(tcp.read_buf(&mut seen).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn what_comes_in_pieces_is_read_as_if_it_came_at_once() {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let (listener, origin) = backend().await;
        let serving = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            for _ in 0..2 {
                head_of(&mut tcp).await;
                for byte in ANSWER {
                    tcp.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        for _ in 0..2 {
            // The second one goes over the same connection: there is no other.
            let mut answered = send(&origin, &Bytes::from_static(b"{}")).await.unwrap();
            assert_eq!(rest(&mut answered).await.unwrap(), "hello");
        }
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_may_begin_before_the_question_is_whole() {
        const LONG: usize = 16 << 20;
        let (listener, origin) = backend().await;
        let serving = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            head_of(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await.unwrap();
            let mut left = vec![0; 64 << 10];
            let mut seen = 0;
            while seen < LONG - (1 << 20) {
                seen += tcp.read(&mut left).await.unwrap();
            }
            tcp.write_all(b"done").await.unwrap();
        });
        let mut answered = send(&origin, &vec![b'x'; LONG].into()).await.unwrap();
        assert_eq!(rest(&mut answered).await.unwrap(), "done");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_read_although_the_question_was_not() {
        let (listener, origin) = backend().await;
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            head_of(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            // Closing at once would throw away what was sent.
            tokio::time::sleep(Duration::from_secs(20)).await;
        });
        let answered = send(&origin, &vec![b'x'; 64 << 20].into()).await.unwrap();
        assert_eq!(answered.head.status.as_u16(), 413);
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_or_says_more_than_it_was_asked_is_not_used_again() {
        let (listener, origin) = backend().await;
        tokio::spawn(async move {
            for more in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother", ""] {
                let (mut tcp, _) = listener.accept().await.unwrap();
                head_of(&mut tcp).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{more}");
                tcp.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        for _ in 0..3 {
            let mut answered = send(&origin, &Bytes::new()).await.unwrap();
            assert_eq!(rest(&mut answered).await.unwrap(), "ok");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_is_an_error() {
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\nhalf", true),
        ] {
            let (listener, origin) = backend().await;
            tokio::spawn(async move {
                let (mut tcp, _) = listener.accept().await.unwrap();
                head_of(&mut tcp).await;
                tcp.write_all(answer.as_bytes()).await.unwrap();
            });
            let mut answered = send(&origin, &Bytes::new()).await.unwrap();
            assert_eq!(rest(&mut answered).await.is_ok(), whole, "{answer:?}");
        }
    }
}
