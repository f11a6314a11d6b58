//! A connection's stream with its deadlines: for the first byte, for each head, and for writes that stand still.

use super::framing::Framing;
use crate::base::config::Limits;
use std::{
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
}

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

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.framing.is_spoiled() {
            return Poll::Ready(this.end_spoiled(buffer));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Pending => this.check_deadline(cx).map(Err),
            Poll::Ready(Ok(())) => {
                let was_in_head = this.framing.in_head();
                this.framing.inspect(&mut buffer.filled_mut()[before..]);
                this.set_deadline(was_in_head);
                Poll::Ready(Ok(()))
            }
            failed => failed,
        }
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
