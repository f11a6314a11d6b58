//! `Exchange`: one request through the gateway, from its admission to its settling. One value carries all that follows.

use super::limit::Standing;
use super::policy::{Held, Screen};
use super::room::Taken;
use super::settings::OnDisconnect;
use super::snapshot::{Backend, Route, Snapshot};
use super::stored_response::StoredResponse;
use super::telemetry::Trace;
use super::witness::Witness;
use crate::auth::Actor;
use crate::wire::call::{Call, Dialect};
use crate::wire::usage::Usage;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// One request, and what became of it so far.
///
/// It is owned by whoever works on it: the door, then the body of the answer, then the finishing task. Who ends up with it
/// gives it to [`super::policy::Chain::settle`], once.
pub struct Exchange {
    /// The id under which it is found in logs and records.
    pub id: Arc<str>,
    pub begun: Instant,
    pub at: OffsetDateTime,
    pub caller: Arc<Actor>,
    /// Of the client, behind trusted proxies.
    pub ip: IpAddr,
    /// The client's, without its credentials.
    pub headers: HeaderMap,
    /// Where it stands in a trace; none when its spans are not wanted.
    pub trace: Option<Box<Trace>>,
    /// The settings it goes by, to its end.
    pub snapshot: Arc<Snapshot>,
    pub route: Arc<Route>,
    pub asked: Asked,
    /// As the client sent it; a policy that changes it reads it anew ([`Exchange::replace_body`]).
    pub body: Bytes,
    /// The memory that a long body takes.
    pub room: Option<Taken>,
    /// Prompt tokens, counted before; set by the policies that need it.
    pub prompt_tokens: Option<u64>,
    /// What policies do to the head of the request to the backend.
    pub upstream_headers: Vec<HeaderChange>,
    /// How things stand with the tightest limits; told in the head of the answer.
    pub standings: Vec<Standing>,
    /// What policies do to the head of the answer.
    pub answer_headers: Vec<HeaderChange>,
    /// What changes the pieces of the answer on their way to the client, in this order.
    pub filters: Vec<Box<dyn ReplyFilter>>,
    /// Policies that look at the answer on its way, and may end it.
    pub screens: Vec<Screen>,
    /// So many bytes of the answer, as the client gets it, are kept in [`Reply::kept`], for the cache.
    pub keep_reply: usize,
    pub attempts: Vec<Attempt>,
    pub reply: Reply,
    /// What policies hold for it: reservations, marks.
    pub held: Vec<Held>,
    /// The policy that refused it, or would have in shadow.
    pub refused_by: Option<Arc<str>>,
    /// Told at its end what became of it, where somebody asked for that.
    pub witness: Option<Box<Witness>>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    Model(Call),
    /// A REST API behind the gateway; the path is what follows the asset's name, with its query.
    Rest {
        method: Method,
        path: String,
    },
    /// A response that was given before.
    Stored(StoredResponse),
}

/// One change to a head.
#[derive(Clone, Debug)]
pub enum HeaderChange {
    Set(HeaderName, HeaderValue),
    Remove(HeaderName),
}

impl HeaderChange {
    pub fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Set(name, value) => {
                headers.insert(name.clone(), value.clone());
            }
            Self::Remove(name) => {
                headers.remove(name);
            }
        }
    }
}

/// Changes the pieces of an answer on their way, such as putting masked data back.
pub trait ReplyFilter: Send + Sync {
    /// What goes on for this piece; it may hold back an end that the next piece decides on.
    fn piece(&mut self, piece: Bytes) -> Bytes;
    /// What was held back.
    fn end(&mut self) -> Bytes {
        Bytes::new()
    }
    /// Whether as many bytes go on as came.
    fn keeps_length(&self) -> bool {
        false
    }
}

/// One try at one backend.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub backend: Arc<Backend>,
    pub result: AttemptResult,
    pub begun: Instant,
    pub took: Duration,
}

/// How a try ended, before the first byte of an answer was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    Answered(StatusCode),
    /// It could not be reached.
    NotConnected(String),
    /// What is wrong with its certificate.
    Untrusted(&'static str),
    /// It broke off, or what it said was no HTTP.
    Broken(String),
    /// What took too long: `connect`, `first byte`, `idle`, `total`.
    TimedOut(&'static str),
    /// Its credential could not be had.
    NoCredential(String),
    /// The client left.
    GivenUp,
}

impl AttemptResult {
    /// In a word or two, for errors and records; never what a vendor wrote.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Answered(status) => status.as_u16().to_string(),
            Self::NotConnected(_) => "not connected".to_owned(),
            Self::Untrusted(why) => format!("not trusted ({why})"),
            Self::Broken(_) => "broke off".to_owned(),
            Self::TimedOut(what) => format!("timed out ({what})"),
            Self::NoCredential(_) => "no credential".to_owned(),
            Self::GivenUp => "given up".to_owned(),
        }
    }
}

/// What is known of the answer.
#[derive(Default)]
pub struct Reply {
    /// What the client was answered.
    pub status: Option<StatusCode>,
    /// Whose answer it is; none of one that we gave ourselves.
    pub backend: Option<Arc<Backend>>,
    /// What the vendor calls the model.
    pub vendor_model: String,
    /// From the begin to the first byte of the body.
    pub first_byte: Option<Duration>,
    pub content_type: Option<HeaderValue>,
    /// What the vendor reported.
    pub reported: Option<Usage>,
    /// Tokens of the reply that were counted as they passed, where nothing was reported.
    pub counted_output: u64,
    /// Why the vendor says it ended, by choice; of a whole answer only where its spans are wanted.
    pub finish_reasons: Vec<&'static str>,
    /// The answer as the client got it, up to [`Exchange::keep_reply`]; empty when it was longer.
    pub kept: Vec<Bytes>,
    /// The id of a response that its vendor goes on making when nobody waits, as long as its usage is not known.
    pub in_background: Option<Box<str>>,
    /// Whether it came to its end.
    pub is_complete: bool,
}

/// Where the numbers of a settlement are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// The vendor said so.
    Reported,
    /// We counted the prompt, and what was passed on.
    Counted,
    /// Neither was possible.
    Estimated,
    /// Nothing was used.
    Nothing,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Served,
    /// By a policy, or because nobody may call it.
    Refused,
    /// A policy answered: the cache.
    Answered,
    /// The client left before the end.
    ClientLeft,
    /// No backend answered, or one broke off.
    Failed,
    /// We were stopped.
    Stopped,
}

/// What an exchange is settled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub usage: Usage,
    pub source: UsageSource,
    pub ending: Ending,
    /// From the begin to the last byte.
    pub took: Duration,
}

impl Exchange {
    /// The call, when a model is asked for.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match &self.asked {
            Asked::Model(call) => Some(call),
            Asked::Rest { .. } | Asked::Stored(_) => None,
        }
    }

    /// How the client speaks; none of a REST call.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        match &self.asked {
            Asked::Model(call) => Some(call.dialect),
            Asked::Stored(_) => Some(Dialect::Responses),
            Asked::Rest { .. } => None,
        }
    }

    /// The alias that was asked for; empty of a REST call.
    #[must_use]
    pub fn model(&self) -> &str {
        match &self.asked {
            Asked::Model(call) => &call.model,
            Asked::Stored(stored) => &stored.model,
            Asked::Rest { .. } => "",
        }
    }

    /// The vendor's name of the model, once one was asked; else the alias.
    #[must_use]
    pub fn vendor_model(&self) -> &str {
        if self.reply.vendor_model.is_empty() { self.model() } else { &self.reply.vendor_model }
    }

    /// Lets go what has no more use once an answer has begun, which may take long to end: the client's headers (who asks for
    /// them has done so, and they hold the buffer of the connection over which they came), a prompt that was counted and is
    /// not sent again, and the room in lists for more than they will have.
    pub(super) fn let_question_go(&mut self) {
        self.headers = HeaderMap::new();
        if self.prompt_tokens.is_some() {
            (self.body, self.room) = (Bytes::new(), None);
        }
        self.attempts.shrink_to_fit();
        self.held.shrink_to_fit();
    }

    /// Counts the prompt, where no policy did and nobody reported it.
    pub(super) fn count_prompt(&mut self) {
        if let (None, Asked::Model(call)) = (self.prompt_tokens, &self.asked) {
            self.prompt_tokens = Some(super::tokens::estimate(call, self.vendor_model(), &self.body).input);
        }
    }

    /// Whether the answer is a stream of events.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        match &self.asked {
            Asked::Model(call) => call.stream,
            Asked::Stored(stored) => stored.query.stream,
            Asked::Rest { .. } => false,
        }
    }

    /// Notes what the vendor reported. What it says of a response that was given before was charged then.
    pub(super) fn report(&mut self, usage: Option<Usage>) {
        self.reply.reported = usage.filter(|_| self.is_charged());
    }

    /// Writes into the head of an answer what policies want told there.
    pub fn tell(&self, headers: &mut HeaderMap) {
        // Limits first: what the settings say of headers holds for these, too.
        self.standings.iter().for_each(|standing| standing.write_headers(headers));
        self.answer_headers.iter().for_each(|change| change.apply(headers));
    }

    /// Puts another body in the place of the client's.
    ///
    /// # Errors
    /// When it is no request of the same dialect: the policy that made it is at fault.
    pub fn replace_body(&mut self, body: Bytes) -> Result<(), crate::wire::call::CallError> {
        if let Asked::Model(call) = &mut self.asked {
            // The model stays the one that was looked at, whatever the body calls it.
            *call = Call::read(call.dialect, &body, Some(&call.model))?;
        }
        self.body = body;
        Ok(())
    }

    /// Notes that a request is away at this backend since `begun`, for the case that nobody is there to see it return; gives
    /// how many attempts there were before.
    pub(super) fn given_up_at(&mut self, backend: &Arc<Backend>, begun: Instant) -> usize {
        let before = self.attempts.len();
        let (result, took) = (AttemptResult::GivenUp, Duration::ZERO);
        self.attempts.push(Attempt { backend: backend.clone(), result, begun, took });
        before
    }

    /// Whose answer it is; of a client that left before the first byte, who was asked then.
    pub(super) fn backend(&self) -> Option<&Arc<Backend>> {
        let mut away = self.attempts.iter().rev().filter(|attempt| attempt.result == AttemptResult::GivenUp);
        self.reply.backend.as_ref().or_else(|| away.next().map(|attempt| &attempt.backend))
    }

    /// Whether a backend has it, or had it when nobody was there any more to see what it did.
    pub(super) fn went_out(&self) -> bool {
        self.backend().is_some()
    }

    /// Whether the answer is read on when the client has left.
    #[must_use]
    pub fn drains(&self) -> bool {
        self.reply.backend.as_ref().is_some_and(|backend| backend.settings.on_disconnect == OnDisconnect::Drain)
    }

    /// Counting tokens, looking at what was answered before and calling REST APIs uses none.
    pub(super) fn is_charged(&self) -> bool {
        self.call().is_some_and(|call| call.dialect != Dialect::CountTokens)
    }

    /// What it is settled with when it ends so.
    #[must_use]
    pub fn settlement(&self, ending: Ending) -> Settlement {
        let (usage, source) = self.used(ending);
        Settlement { usage, source, ending, took: self.begun.elapsed() }
    }

    /// What it used when it ends so: what the vendor reported, else what was counted.
    #[must_use]
    pub fn used(&self, ending: Ending) -> (Usage, UsageSource) {
        let counted =
            Usage { input: self.prompt_tokens.unwrap_or(0), output: self.reply.counted_output, ..Usage::default() };
        // An error of the vendor's costs nothing, and an answer that a vendor did not finish is not reported whole. What the
        // client was told of an answer that a policy refused is no error of the vendor's.
        let is_error = self.reply.status.is_some_and(|status| !status.is_success())
            && !matches!(ending, Ending::ClientLeft | Ending::Refused);
        match self.reply.reported {
            Some(reported) if self.reply.is_complete || reported.output >= counted.output => {
                (reported, UsageSource::Reported)
            }
            Some(reported) => (Usage { input: reported.input, ..reported.with(counted) }, UsageSource::Counted),
            None if !self.went_out() || is_error || !self.is_charged() => (Usage::default(), UsageSource::Nothing),
            None if self.prompt_tokens.is_none() || self.reply.in_background.is_some() => {
                (counted, UsageSource::Estimated)
            }
            None => (counted, UsageSource::Counted),
        }
    }
}
