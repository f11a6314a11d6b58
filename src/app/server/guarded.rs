//! A connection's stream, what it says first, and its deadlines: for the first byte, for each head, and for writes that
//! stand still.

use super::{conversation::Http, framing::Framing};
use crate::base::config::Limits;
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How many requests of a connection are being worked on, their answers' bodies included.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU32,
    running: AtomicU32,
}

impl InFlight {
    /// Counts one until the guard is dropped.
    pub(super) fn begin(&self) -> InFlightGuard {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.running.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(self.clone())
    }

    /// How many were begun so far; wraps around.
    pub(super) fn begun(&self) -> u32 {
        self.0.begun.load(Ordering::Relaxed)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.running.load(Ordering::Relaxed) == 0
    }
}

pub(super) struct InFlightGuard(InFlight);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stream. A deadline that passes ends it with [`io::ErrorKind::TimedOut`].
pub(super) struct Guarded {
    stream: TcpStream,
    framing: Framing,
    in_flight: InFlight,
    header_timeout: Duration,
    write_timeout: Duration,
    /// When what is being read must be there: the first byte, or the end of a head.
    read_by: Option<Instant>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    /// Whether the parser was given an end to a head that was spoiled.
    ended: bool,
    /// The first bytes, which [`Guarded::speaks`] read for whoever reads next.
    early: Vec<u8>,
}

/// A stream between two runtimes; arrives on that on which it is called.
pub(super) type OnItsWay = Box<dyn FnOnce() -> io::Result<Guarded> + Send>;

/// What a connection of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Guarded {
    pub(super) fn new(stream: TcpStream, limits: &Limits, in_flight: InFlight) -> Self {
        Self {
            stream,
            framing: Framing::new(),
            in_flight,
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            read_by: Some(Instant::now() + limits.first_byte_timeout),
            read_timer: None,
            write_timer: None,
            ended: false,
            early: Vec::new(),
        }
    }

    /// The version of HTTP that the connection begins with. What is read to tell it is read again afterwards.
    ///
    /// # Errors
    /// When its first bytes do not come in time, or the connection is closed or breaks before.
    pub(super) async fn speaks(&mut self) -> io::Result<Http> {
        poll_fn(|cx| self.poll_speaks(cx)).await
    }

    fn poll_speaks(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Http>> {
        let mut room = [0; PREFACE.len()];
        while self.early.len() < PREFACE.len() {
            let mut buffer = ReadBuf::new(&mut room[self.early.len()..]);
            let by = self.read_by;
            ready!(self.poll_further(cx, &mut buffer))?;
            let came = buffer.filled();
            if came.is_empty() && self.early.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.early.extend_from_slice(came);
            if came.is_empty() || !PREFACE.starts_with(&self.early) {
                return Poll::Ready(Ok(Http::One));
            }
            // The begin of a preface is no head, and must be gone on with all the same.
            self.read_by = self.read_by.or(by);
        }
        self.read_by = None;
        Poll::Ready(Ok(Http::Two))
    }

    /// Whether it asks first how the program is, as far as its first bytes tell.
    pub(super) fn asks_how_it_is(&self) -> bool {
        asks_how_it_is(&self.early)
    }

    /// Takes it off its runtime, on its way to another.
    ///
    /// # Errors
    /// When the system does not let it go.
    pub(super) fn leave(self) -> io::Result<OnItsWay> {
        // Timers are of a runtime; none runs between two reads.
        let Self { stream, framing, in_flight, header_timeout, write_timeout, read_by, ended, early, .. } = self;
        let (read_timer, write_timer) = (None, None);
        let stream = stream.into_std()?;
        Ok(Box::new(move || {
            let stream = TcpStream::from_std(stream)?;
            stream.set_nodelay(true)?;
            #[rustfmt::skip]
            let there = Self {
                stream, framing, in_flight, header_timeout, write_timeout, read_by, read_timer, write_timer, ended, early,
            };
            Ok(there)
        }))
    }

    /// Reads what comes after the early bytes.
    fn poll_further(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.framing.is_spoiled() {
            return Poll::Ready(self.end_spoiled(buffer));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.check_deadline(cx).map(Err),
            Poll::Ready(Ok(())) => {
                let was_in_head = self.framing.in_head();
                self.framing.inspect(&mut buffer.filled_mut()[before..]);
                self.set_deadline(was_in_head);
                Poll::Ready(Ok(()))
            }
            failed => failed,
        }
    }

    /// After bytes came in: a head that goes on keeps its deadline, one that began gets one, else there is none.
    fn set_deadline(&mut self, was_in_head: bool) {
        self.read_by = match (self.framing.in_head(), was_in_head) {
            (true, true) => self.read_by,
            (true, false) => Some(Instant::now() + self.header_timeout),
            (false, _) => None,
        };
        self.read_timer = None;
    }

    /// After a breach nothing is read any more. The parser looks at a head when it seems complete, so it gets an end to
    /// find the breach before; that it asks once more means it was not looking for one.
    fn end_spoiled(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        const END: &[u8] = b"\r\n\r\n";
        if std::mem::replace(&mut self.ended, true) || buffer.remaining() < END.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the framing of a request is ambiguous"));
        }
        buffer.put_slice(END);
        Ok(())
    }

    fn check_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(mut by) = self.read_by else { return Poll::Pending };
        if !self.in_flight.is_idle() {
            // The head of a next request came early; its time runs when we could read it.
            by = Instant::now() + self.header_timeout;
            self.read_by = Some(by);
            self.read_timer = None;
        }
        let timer = self.read_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(by)));
        timer.as_mut().poll(cx).map(|()| {
            metrics::counter!("wharfinger_connections_timed_out_total", "waiting_for" => "head").increment(1);
            io::Error::new(io::ErrorKind::TimedOut, "the head of a request did not arrive in time")
        })
    }

    /// The outcome of a write, or the end of patience with it.
    fn patient<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        let patience = self.write_timeout;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        metrics::counter!("wharfinger_connections_timed_out_total", "waiting_for" => "write").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer")))
    }
}

fn asks_how_it_is(head: &[u8]) -> bool {
    let target = head.strip_prefix(b"GET ").or_else(|| head.strip_prefix(b"HEAD "));
    // A head that comes in smaller pieces than this is not known by them, and stands in line.
    let path = target.and_then(|target| target.iter().position(|byte| b" ?".contains(byte)).map(|end| &target[..end]));
    path.is_some_and(|path| [&b"/healthz"[..], b"/readyz", b"/metrics"].contains(&path))
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return self.poll_further(cx, buffer);
        }
        let count = buffer.remaining().min(self.early.len());
        buffer.put_slice(&self.early[..count]);
        self.early.drain(..count);
        if self.early.is_empty() {
            self.early = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patient(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.patient(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Config;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[test]
    fn who_asks_how_the_program_is_is_known_by_the_first_bytes() {
        for (head, asks) in [
            ("GET /healthz HTTP/1.1\r\nh", true),
            ("HEAD /readyz HTTP/1.1\r\nh", true),
            ("GET /readyz?verbose HTTP/", true),
            ("GET /metrics HTTP/1.1\r\nh", true),
            ("GET /healthzebra HTTP/1.", false),
            ("GET /healthz", false),
            ("POST /healthz HTTP/1.1\r\n", false),
            ("POST /llm/v1/chat/comple", false),
            ("GET / HTTP/1.1\r\n/healthz", false),
            ("", false),
        ] {
            assert_eq!(asks_how_it_is(head.as_bytes()), asks, "{head:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_speaks_http2_when_it_begins_with_all_of_its_preface_and_nothing_is_lost() {
        let config = Config::from_sources(None, []).expect("the defaults are settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        for (text, http) in [
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes", Http::Two),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\rgrapes", Http::One),
            ("PRINT / HTTP/1.1\r\nHost: a\r\n\r\n", Http::One),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Http::One),
            ("PRI", Http::One),
        ] {
            for piece in [1, 7, 1_000] {
                let mut client = TcpStream::connect(address).await.expect("it listens");
                let (stream, _) = listener.accept().await.expect("somebody connected");
                let mut stream = Guarded::new(stream, &config.limits, InFlight::default());
                let sending = async {
                    for bytes in text.as_bytes().chunks(piece) {
                        client.write_all(bytes).await.expect("it is read");
                        tokio::task::yield_now().await;
                    }
                    client.shutdown().await.expect("it is open");
                };
                let mut read = Vec::new();
                let listening = async {
                    let spoken = stream.speaks().await.expect("it begins in time");
                    stream.read_to_end(&mut read).await.expect("its framing is not broken");
                    spoken
                };

                let ((), spoken) = tokio::join!(sending, listening);

                assert_eq!(spoken, http, "{text:?} in pieces of {piece}");
                assert_eq!(String::from_utf8_lossy(&read), text, "in pieces of {piece}");
            }
        }
        drop(TcpStream::connect(address).await.expect("it listens"));
        let (stream, _) = listener.accept().await.expect("somebody connected");
        let mut silent = Guarded::new(stream, &config.limits, InFlight::default());
        assert!(silent.speaks().await.is_err(), "it was closed");
    }
}
