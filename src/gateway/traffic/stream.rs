//! `Metered`: the body of an answer on its way to the client. It goes on as it comes; what it says is read beside.

use super::handling::{Handling, error_event, handle};
use super::running::Running;
use crate::base::Problem;
use crate::gateway::balance::Taken;
use crate::gateway::exchange::{Ending, Exchange};
use crate::gateway::upstream::AnswerBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// How long the last piece of a broken stream has to get out.
const PARTING: Duration = Duration::from_millis(20);

/// So many pieces wait for a policy that cannot decide before more is said.
const MOST_WAITING: usize = 16;

/// The body.
pub struct Metered {
    pub(super) flow: Option<Box<Flow>>,
    /// Told after the last piece.
    failure: Option<io::Error>,
    /// Lets the last piece out before the failure ends the connection and drops what was not yet sent.
    parting: Option<Pin<Box<Sleep>>>,
}

pub(super) struct Flow {
    pub(super) running: Running,
    taken: Taken,
    body: AnswerBody,
    first: Option<Bytes>,
    handling: Handling,
    /// Boxed: most streams have none, and each of thousands holds the room.
    unsure: Option<Box<Unsure>>,
    /// The policy's words that ended it.
    pub(super) refusal: Option<Box<Problem>>,
    last: Instant,
    until: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What policies cannot decide on before more is said.
#[derive(Default)]
struct Unsure {
    bytes: BytesMut,
    pieces: usize,
}

/// A step of the flow.
pub(super) enum Step {
    Piece(Bytes),
    End(Bytes, Ending),
    Broken(Bytes, Ending, io::Error),
}

impl Metered {
    pub(super) fn new(
        running: Running,
        taken: Taken,
        body: AnswerBody,
        first: Option<Bytes>,
        handling: Handling,
    ) -> Self {
        let until = running.exchange().begun + taken.backend().settings.timeouts.total.0;
        let (unsure, refusal, last, timer) = (None, None, Instant::now(), None);
        let flow = Flow { running, taken, body, first, handling, unsure, refusal, last, until, timer };
        Self { flow: Some(Box::new(flow)), failure: None, parting: None }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if this.failure.is_some() {
            let parting = this.parting.get_or_insert_with(|| Box::pin(tokio::time::sleep(PARTING)));
            ready!(parting.as_mut().poll(cx));
            return Poll::Ready(this.failure.take().map(Err));
        }
        let Some(flow) = &mut this.flow else { return Poll::Ready(None) };
        loop {
            let (bytes, ending) = match ready!(flow.step(cx)) {
                Step::Piece(bytes) if bytes.is_empty() => continue,
                Step::Piece(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Step::End(bytes, ending) => (bytes, ending),
                Step::Broken(bytes, ending, error) => {
                    this.failure = Some(error);
                    (bytes, ending)
                }
            };
            if let Some(flow) = this.flow.take() {
                flow.finish(ending);
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if this.failure.is_none() {
                return Poll::Ready(None);
            }
            let parting = this.parting.get_or_insert_with(|| Box::pin(tokio::time::sleep(PARTING)));
            ready!(parting.as_mut().poll(cx));
            return Poll::Ready(this.failure.take().map(Err));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.flow.is_none() && self.failure.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let announced = match &self.flow {
            Some(flow)
                if matches!(flow.handling, Handling::Pass)
                    && flow.running.exchange().filters.iter().all(|filter| filter.keeps_length()) =>
            {
                let first = flow.first.as_ref().map_or(0, |first| first.len() as u64);
                flow.body.announced().map(|rest| rest + first)
            }
            _ => None,
        };
        announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(flow) = self.flow.take() {
            flow.abandoned();
        }
    }
}

impl Flow {
    pub(super) fn step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let next = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.body.poll_piece(cx),
        };
        let outcome = match next {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                let what = ready!(self.poll_timer(cx));
                let words = format!("The backend sent nothing more in time ({what}).");
                return Poll::Ready(self.broken(io::Error::new(io::ErrorKind::TimedOut, what), &words));
            }
        };
        Poll::Ready(match outcome {
            Some(Ok(piece)) => self.passed(piece),
            None => self.ended(),
            Some(Err(error)) => self.broken(io::Error::other(error), "The backend broke off its answer."),
        })
    }

    fn passed(&mut self, piece: Bytes) -> Step {
        self.last = Instant::now();
        if self.last >= self.until {
            let error = io::Error::new(io::ErrorKind::TimedOut, "total");
            return self.broken(error, "The backend's answer took longer than it may (total).");
        }
        let exchange = self.running.exchange_mut();
        if exchange.reply.first_byte.is_none() {
            exchange.reply.first_byte = Some(exchange.begun.elapsed());
        }
        match handle(&mut self.handling, exchange, piece) {
            Ok(bytes) => match self.screened(bytes) {
                Ok(bytes) => Step::Piece(bytes),
                Err(problem) => self.refused(problem),
            },
            Err(error) => self.broken(io::Error::other(error), "The backend's stream cannot be read."),
        }
    }

    /// The timer runs to the nearer of both ends, and is looked at only when nothing comes.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            let (at, what) = match self.last + self.taken.backend().settings.timeouts.idle.0 {
                idle if idle < self.until => (idle, "idle"),
                _ => (self.until, "total"),
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
            ready!(timer.as_mut().poll(cx));
            if at <= Instant::now() {
                return Poll::Ready(what);
            }
            timer.as_mut().reset(at.into());
        }
    }

    fn ended(&mut self) -> Step {
        let exchange = self.running.exchange_mut();
        let (mut was_cut, mut fault) = (false, None);
        if let Some(watch) = self.handling.watch() {
            watch.end(exchange.vendor_model());
            fault = watch.fault();
            was_cut = !watch.saw_end() && fault.is_none();
        }
        if was_cut {
            return self.broken(io::ErrorKind::UnexpectedEof.into(), "The backend's stream stopped before its end.");
        }
        let mut out = Vec::new();
        match &mut self.handling {
            Handling::Pass => {}
            Handling::Events(_, partial) | Handling::WithoutUsage(_, partial) => out.extend_from_slice(&partial.0),
            Handling::Translated(_, _, translator) if fault.is_none() => translator.end(&mut out),
            // What it told of the failure is the last that is said.
            Handling::Translated(..) => {}
        }
        // Whatever is told of a response that was given before happened then.
        let fault = fault.filter(|_| exchange.call().is_some());
        if let Some(fault) = fault {
            fault.note(exchange, &self.taken);
        }
        exchange.reply.is_complete = fault.is_none();
        let mut last = match last_said(exchange, self.unsure.take(), out) {
            Ok(bytes) => through_filters(exchange, bytes),
            Err(problem) => return self.refused(problem),
        };
        let held_back: Vec<Bytes> = exchange.filters.iter_mut().map(|filter| filter.end()).collect();
        for piece in held_back.into_iter().filter(|piece| !piece.is_empty()) {
            last = [last, piece].concat().into();
        }
        if let Err(problem) = exchange.sends(last.len() as u64) {
            return self.refused(problem);
        }
        Step::End(last, if fault.is_none() { Ending::Served } else { Ending::Failed })
    }

    /// Ends the stream where a policy does not let it go on.
    fn refused(&mut self, problem: Box<Problem>) -> Step {
        let exchange = self.running.exchange_mut();
        exchange.reply.is_complete = false;
        let step = match exchange.dialect() {
            Some(dialect) => Step::End(error_event(dialect, &problem, &exchange.id), Ending::Refused),
            // Only a connection that breaks tells that there is more.
            None => Step::Broken(Bytes::new(), Ending::Refused, io::Error::other(problem.detail.clone())),
        };
        self.refusal = Some(problem);
        step
    }

    /// What goes on, if policies that look at answers let it; nothing as long as they cannot decide.
    fn screened(&mut self, bytes: Bytes) -> Result<Bytes, Box<Problem>> {
        let exchange = self.running.exchange_mut();
        if exchange.screens.is_empty() {
            return Ok(through_filters(exchange, bytes));
        }
        let is_sure = exchange.says_events(&bytes)?;
        let bytes = if is_sure && self.unsure.is_none() {
            bytes
        } else {
            let mut unsure = self.unsure.take().unwrap_or_default();
            unsure.bytes.extend_from_slice(&bytes);
            unsure.pieces += 1;
            if !is_sure && unsure.pieces < MOST_WAITING {
                self.unsure = Some(unsure);
                return Ok(Bytes::new());
            }
            if !is_sure {
                // A text that is not gone on with in all this time has ended.
                exchange.says_no_more()?;
            }
            unsure.bytes.freeze()
        };
        let bytes = through_filters(exchange, bytes);
        exchange.sends(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Ends the stream as broken: the client gets an event that says so, and never an end that looks whole.
    fn broken(&mut self, error: io::Error, words: &str) -> Step {
        self.taken.spoil(|| words.to_owned());
        let exchange = self.running.exchange();
        tracing::warn!(
            request.id = %exchange.id,
            backend.name = exchange.reply.backend.as_ref().map(|backend| backend.name.as_str()),
            error = %error,
            "{words}"
        );
        let out = match (&self.handling, exchange.dialect()) {
            (Handling::Pass, _) | (_, None) => Bytes::new(),
            (_, Some(dialect)) => {
                let status = http::StatusCode::BAD_GATEWAY;
                let problem = Problem::new(status, "upstream-broke-off", "The backend broke off", words);
                error_event(dialect, &problem, &exchange.id)
            }
        };
        Step::Broken(out, Ending::Failed, error)
    }

    pub(super) fn finish(self: Box<Self>, ending: Ending) {
        let Self { mut running, mut taken, mut handling, body, .. } = *self;
        // First, so that the backend sees at once that nobody waits: what follows may have to count.
        drop(body);
        let exchange = running.exchange_mut();
        if let Some(watch) = handling.watch() {
            let alias = exchange.vendor_model().to_owned();
            watch.end(&alias);
            exchange.report(watch.reported());
            exchange.reply.finish_reasons = watch.finish_reasons();
            if !exchange.reply.is_complete || exchange.reply.reported.is_none() {
                exchange.reply.counted_output = watch.counted(&alias);
                exchange.count_prompt();
            }
        }
        let exchange = running.exchange_mut();
        if exchange.reply.is_complete || exchange.reply.reported.is_some() {
            exchange.reply.in_background = None;
        }
        if exchange.reply.in_background.is_some() {
            return running.traffic().clone().follow(running, taken, ending);
        }
        taken.used(running.exchange().used(ending).0.total());
        drop(taken);
        running.finish(ending);
    }

    /// The client has left: the answer is read on where its backend's settings say so, else given up.
    fn abandoned(mut self: Box<Self>) {
        let drain = match &self.running.exchange().reply.backend {
            Some(backend) if self.running.exchange().drains() => backend.settings.drain,
            _ => return self.finish(Ending::ClientLeft),
        };
        let state = self.taken.state().clone();
        if state.draining.fetch_add(1, Ordering::Relaxed) >= drain.at_once {
            state.draining.fetch_sub(1, Ordering::Relaxed);
            return self.finish(Ending::ClientLeft);
        }
        self.until = self.until.min(Instant::now() + drain.time.0);
        self.timer = None;
        let tasks = self.running.traffic().tasks().clone();
        tasks.spawn(async move {
            let mut left = drain.bytes;
            while let Step::Piece(piece) = std::future::poll_fn(|cx| self.step(cx)).await {
                match left.checked_sub(piece.len() as u64) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
            state.draining.fetch_sub(1, Ordering::Relaxed);
            self.finish(Ending::ClientLeft);
        });
    }
}

/// The last that goes on, with what waited for it: an event without an end, or what ends a translation.
fn last_said(exchange: &mut Exchange, unsure: Option<Box<Unsure>>, out: Vec<u8>) -> Result<Bytes, Box<Problem>> {
    if exchange.screens.is_empty() {
        return Ok(out.into());
    }
    exchange.says_events(&out)?;
    exchange.says_no_more()?;
    let mut bytes = unsure.map(|unsure| unsure.bytes).unwrap_or_default();
    bytes.extend_from_slice(&out);
    Ok(bytes.freeze())
}

fn through_filters(exchange: &mut Exchange, mut bytes: Bytes) -> Bytes {
    for filter in &mut exchange.filters {
        bytes = filter.piece(bytes);
    }
    if exchange.keep_reply > 0 && !bytes.is_empty() {
        match exchange.keep_reply.checked_sub(bytes.len()) {
            Some(room) => {
                exchange.keep_reply = room;
                exchange.reply.kept.push(bytes.clone());
            }
            None => {
                exchange.keep_reply = 0;
                exchange.reply.kept.clear();
            }
        }
    }
    bytes
}
