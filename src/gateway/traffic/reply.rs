//! From what a backend answered to what the client gets: as a stream that is metered on its way, or as a whole.

use super::Traffic;
use super::answer::Refused;
use super::fault::{self, Fault};
use super::finish::add_finish_reasons;
use super::handed::Handed;
use super::handling::{Handling, Partial};
use super::outgoing::Outgoing;
use super::passed::pass_headers;
use super::running::Running;
use super::stream::Metered;
use super::watch::Watch;
use crate::base::Problem;
use crate::gateway::balance::Taken;
use crate::gateway::exchange::{Ending, Exchange};
use crate::gateway::tokens;
use crate::gateway::upstream::Answered;
use crate::wire::call::{Dialect, each_text_of_whole};
use crate::wire::translate::{self, Telling};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer through the gateway.
pub enum ReplyBody {
    /// What is there as a whole, or in pieces that were kept.
    Pieces(VecDeque<Bytes>),
    Streamed(Metered),
    Handed(Handed),
}

impl ReplyBody {
    #[must_use]
    pub fn whole(body: Bytes) -> Self {
        Self::Pieces(if body.is_empty() { VecDeque::new() } else { VecDeque::from([body]) })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Pieces(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Self::Streamed(metered) => Pin::new(metered).poll_frame(cx),
            Self::Handed(handed) => Pin::new(handed).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.is_empty(),
            Self::Streamed(metered) => metered.is_end_stream(),
            Self::Handed(handed) => handed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Pieces(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Self::Streamed(metered) => metered.size_hint(),
            Self::Handed(handed) => handed.size_hint(),
        }
    }
}

impl Traffic {
    /// An answer that goes on piece by piece.
    pub(super) fn streamed(
        &self,
        mut running: Running,
        answered: Answered,
        first: Option<Bytes>,
        outgoing: &Outgoing,
        taken: Taken,
    ) -> Response<ReplyBody> {
        let Answered { head, body } = answered;
        let exchange = running.exchange_mut();
        exchange.reply.status = Some(head.status);
        exchange.reply.vendor_model.clone_from(&outgoing.vendor_model);
        let asked = exchange.dialect().map(|dialect| (dialect, exchange.model().to_owned()));
        let handling = match (asked, outgoing.spoken) {
            (Some((asked, model)), Some(spoken)) if asked != spoken => {
                let translator = translate::stream(asked, spoken, telling(exchange, outgoing, &model));
                Handling::Translated(Watch::new(spoken), Partial::default(), translator)
            }
            (Some(_), Some(spoken)) if outgoing.asked_usage => {
                Handling::WithoutUsage(Watch::new(spoken), Partial::default())
            }
            (Some(_), Some(spoken)) => Handling::Events(Watch::new(spoken), Partial::default()),
            _ => Handling::Pass,
        };
        if let (Some(Dialect::Responses), Some(first)) = (outgoing.spoken, &first) {
            self.remember_response(exchange, first);
        }
        let mut headers = HeaderMap::with_capacity(12);
        pass_headers(&head.headers, outgoing.spoken.is_some(), &mut headers);
        if outgoing.method == Method::HEAD
            && let Some(length) = head.headers.get(header::CONTENT_LENGTH)
        {
            // It tells of the body that GET would have.
            headers.insert(header::CONTENT_LENGTH, length.clone());
        }
        // A model says what it was trained to say; what a REST API says is not known.
        if outgoing.spoken.is_none() {
            for hidden in outgoing.hidden() {
                hidden.strip(&mut headers);
                exchange.filters.push(Box::new(hidden));
            }
        }
        exchange.reply.content_type = headers.get(header::CONTENT_TYPE).cloned();
        exchange.tell(&mut headers);
        exchange.let_question_go();
        let metered = Metered::new(running, taken, body, first, handling);
        let mut response = Response::new(ReplyBody::Streamed(metered));
        *response.status_mut() = head.status;
        *response.headers_mut() = headers;
        response
    }

    /// Notes what an answer says that is there as a whole, and whether it tells of a failure. First of all: a client may
    /// leave while somebody decides on the answer.
    pub(super) fn noted(
        &self,
        exchange: &mut Exchange,
        (status, body): (StatusCode, &Bytes),
        outgoing: &Outgoing,
        taken: &Taken,
    ) -> Option<Fault> {
        exchange.reply.status = Some(status);
        exchange.reply.vendor_model.clone_from(&outgoing.vendor_model);
        exchange.reply.first_byte = Some(exchange.begun.elapsed());
        let spoken = outgoing.spoken.unwrap_or(Dialect::Chat);
        // Whatever is told of a response that was given before happened then.
        let is_new = status.is_success() && exchange.call().is_some();
        let fault = if is_new { fault::told(spoken, body) } else { None };
        if let Some(fault) = fault {
            fault.note(exchange, taken);
        }
        exchange.reply.is_complete = fault.is_none();
        if status.is_success() {
            if exchange.reply.reported.is_none() && exchange.is_charged() {
                let mut text = String::new();
                each_text_of_whole(spoken, body, |piece| text.push_str(piece));
                exchange.reply.counted_output = tokens::count_text(exchange.vendor_model(), &text);
                exchange.count_prompt();
            }
            if spoken == Dialect::Responses {
                self.remember_response(exchange, body);
            }
            if exchange.trace.is_some() {
                add_finish_reasons(spoken, body, &mut exchange.reply.finish_reasons);
            }
        }
        fault
    }

    /// An answer that is there as a whole and noted, unless those refuse it who look at answers: `judged` is what was said
    /// by who decides on whole ones.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn whole(
        &self,
        mut running: Running,
        (head, mut body): (Parts, Bytes),
        outgoing: &Outgoing,
        mut taken: Taken,
        (fault, judged): (Option<Fault>, Result<(), Box<Problem>>),
    ) -> Result<Response<ReplyBody>, Refused> {
        let exchange = running.exchange_mut();
        let status = head.status;
        let spoken = outgoing.spoken.unwrap_or(Dialect::Chat);
        let shown = exchange.shown(status, &body);
        if !status.is_success() {
            body = outgoing.hidden().fold(body, |body, hidden| hidden.masked(body));
        }
        let asked = exchange.dialect().map(|dialect| (dialect, exchange.model().to_owned()));
        let mut body = match asked {
            Some((asked, model)) if asked != spoken => {
                if status.is_success() && fault.is_none() {
                    let telling = telling(exchange, outgoing, &model);
                    translate::reply(asked, spoken, &body, telling).map_or(body, Bytes::from)
                } else {
                    translate::refusal(asked, &body, status, &exchange.id).into()
                }
            }
            _ => body,
        };
        let said = judged.and_then(|()| shown.map_or(Ok(()), |shown| exchange.says(&shown)));
        for filter in &mut exchange.filters {
            let (piece, rest) = (filter.piece(body), filter.end());
            body = if rest.is_empty() { piece } else { [piece, rest].concat().into() };
        }
        // Why a vendor refuses is told, however long.
        let length = if status.is_success() { body.len() as u64 } else { 0 };
        let refusal = said.and_then(|()| exchange.sends(length)).err();
        if refusal.is_none() && exchange.keep_reply >= body.len() {
            exchange.reply.kept.push(body.clone());
        }
        let mut headers = HeaderMap::with_capacity(12);
        match &refusal {
            None => pass_headers(&head.headers, true, &mut headers),
            Some(problem) => exchange.reply.status = Some(problem.status),
        }
        exchange.reply.content_type = headers.get(header::CONTENT_TYPE).cloned();
        exchange.tell(&mut headers);
        let ending = match (&refusal, fault) {
            (Some(_), _) => Ending::Refused,
            (None, Some(_)) => Ending::Failed,
            (None, None) => Ending::Served,
        };
        if exchange.reply.in_background.is_some() {
            self.follow(running, taken, ending);
        } else {
            taken.used(exchange.used(ending).0.total());
            drop(taken);
            running.finish(ending);
        }
        if let Some(problem) = refusal {
            return Err(not_again(problem, headers));
        }
        let mut response = Response::new(ReplyBody::whole(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Keeps in mind which backend a response is from, and whose it is: a later request may go on from it, or ask for it.
    fn remember_response(&self, exchange: &mut Exchange, data: &[u8]) {
        const ID: &[u8] = b"\"id\":";
        let (Some(backend), Some(call)) = (&exchange.reply.backend, exchange.call()) else { return };
        let id = memchr::memmem::find_iter(data, ID).find_map(|at| {
            let text = data[at + ID.len()..].trim_ascii_start().strip_prefix(b"\"")?;
            let end = memchr::memchr(b'"', text)?;
            std::str::from_utf8(&text[..end]).ok().filter(|id| id.starts_with("resp"))
        });
        let Some(id) = id else { return };
        // With its workspace: other routes of the caller's may have the same alias.
        let alias = match exchange.route.owner.workspace_name() {
            Some(workspace) => &*format!("{workspace}/{}", call.model),
            None => &call.model,
        };
        self.inner.conversations.note(id, (backend.id, alias), &exchange.caller);
        if call.background && exchange.reply.reported.is_none() {
            exchange.reply.in_background = Some(id.into());
        }
    }
}

/// A refusal after a backend was paid: clients of the vendors ask again after some statuses, unless they are told not to.
pub(super) fn not_again(problem: Box<Problem>, mut headers: HeaderMap) -> Refused {
    headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    (problem, headers)
}

/// How the client is told an answer of another dialect.
fn telling<'a>(exchange: &Exchange, outgoing: &Outgoing, model: &'a str) -> Telling<'a> {
    let wants_usage = exchange.call().is_some_and(|call| call.wants_usage);
    Telling { model, at: exchange.at, wants_usage, calls: outgoing.calls }
}
