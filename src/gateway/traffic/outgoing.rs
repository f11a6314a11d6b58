//! The request as it goes to a backend. The caller's own credential never goes along, and ours goes nowhere else.

use super::hidden::Hidden;
use super::passed::of_connection;
use super::plan::PlannedMember;
use crate::base::Problem;
use crate::gateway::Secret;
use crate::gateway::exchange::{Asked, Exchange};
use crate::gateway::hops::{HOPS, hops};
use crate::gateway::provider;
use crate::gateway::stored_response::StoredResponse;
use crate::gateway::telemetry::TRACEPARENT;
use crate::gateway::upstream::Request;
use crate::wire::call::{Dialect, rewritten};
use crate::wire::translate::{self, Calls};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::time::Duration;

/// Of a model's caller, these go on; what else a client sends is between it and us.
static FORWARDED: [HeaderName; 8] = [
    header::ACCEPT_LANGUAGE,
    TRACEPARENT,
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("idempotency-key"),
];

/// Of a REST caller, these stay here: they belong to this connection, or to us.
const KEPT: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "expect",
    "authorization",
    "api-key",
    "x-api-key",
    "cookie",
    "accept-encoding",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// A request made ready for one backend.
pub(super) struct Outgoing {
    pub(super) method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// The dialect the vendor is spoken to in; none of a REST API.
    pub(super) spoken: Option<Dialect>,
    pub(super) vendor_model: String,
    /// Whether usage was asked for on our own account.
    pub(super) asked_usage: bool,
    /// Our credential, where it is a token that was fetched.
    token: Option<Secret>,
    /// How an answer that is translated writes that a tool is called.
    pub(super) calls: Calls,
}

impl Outgoing {
    /// # Errors
    /// 400 when the request cannot be told in the vendor's dialect.
    pub(super) fn of(member: &PlannedMember, exchange: &Exchange) -> Result<Self, Problem> {
        let settings = &member.backend.settings;
        match &exchange.asked {
            Asked::Rest { method, path } => {
                let mut headers = exchange.headers.clone();
                let named = of_connection(&headers);
                KEPT.iter().for_each(|name| drop(headers.remove(*name)));
                named.iter().for_each(|name| drop(headers.remove(name)));
                let uri = uri(&member.base, path)?;
                let (spoken, vendor_model) = (None, String::new());
                let method = method.clone();
                let body = exchange.body.clone();
                let (asked_usage, token, calls) = (false, None, Calls::default());
                Ok(Self { method, uri, headers, body, spoken, vendor_model, asked_usage, token, calls })
            }
            Asked::Stored(stored) => Self::of_stored(member, &exchange.headers, stored),
            Asked::Model(call) => {
                let spoken = member.provider.dialect(call.dialect).ok_or_else(unserved)?;
                let model = settings.vendor_model(&call.model).ok_or_else(unserved)?;
                let asked_usage = call.stream && !call.wants_usage && spoken == Dialect::Chat;
                let (body, calls) = if spoken == call.dialect {
                    let body = rewritten(call, &exchange.body, model, asked_usage);
                    (body.map_or_else(|| exchange.body.clone(), Bytes::from), Calls::default())
                } else {
                    let bound = member.provider.max_tokens_name(settings, model);
                    let told = translate::request(call.dialect, spoken, &exchange.body, model, bound)
                        .map_err(|error| Problem::bad_request(error.to_string()).with_kind("not-translatable"))?;
                    (told.body.into(), told.calls)
                };
                let mut headers = forwarded(&exchange.headers);
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::ACCEPT, accept(call.stream));
                let path = member.provider.path(settings, spoken, model);
                let uri = uri(&member.base, &path)?;
                let (method, vendor_model) = (Method::POST, model.to_owned());
                let (spoken, token) = (Some(spoken), None);
                Ok(Self { method, uri, headers, body, spoken, vendor_model, asked_usage, token, calls })
            }
        }
    }

    /// What is asked of a response that the vendor stores.
    ///
    /// # Errors
    /// 400 when this vendor stores none.
    pub(super) fn of_stored(
        member: &PlannedMember,
        client: &HeaderMap,
        stored: &StoredResponse,
    ) -> Result<Self, Problem> {
        let settings = &member.backend.settings;
        let path = member.provider.response_path(settings, stored).ok_or_else(unserved)?;
        let uri = uri(&member.base, &path)?;
        let mut headers = forwarded(client);
        headers.insert(header::ACCEPT, accept(stored.query.stream));
        let vendor_model = settings.vendor_model(&stored.model).unwrap_or(&stored.model).to_owned();
        let (method, body, spoken) = (stored.method.clone(), Bytes::new(), Some(Dialect::Responses));
        let (asked_usage, token, calls) = (false, None, Calls::default());
        Ok(Self { method, uri, headers, body, spoken, vendor_model, asked_usage, token, calls })
    }

    /// Adds what is ours: the vendor's wishes, the settings' headers, the policies', and last our credential, which
    /// nothing may replace.
    ///
    /// # Errors
    /// When there is no credential, or none within `patience`.
    pub(super) async fn complete(
        &mut self,
        member: &PlannedMember,
        exchange: &Exchange,
        patience: Duration,
    ) -> Result<(), String> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("wharfinger/", env!("CARGO_PKG_VERSION")));
        let headers = &mut self.headers;
        member.provider.complete(headers);
        for (name, value) in &member.backend.settings.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        for change in &exchange.upstream_headers {
            change.apply(headers);
        }
        headers.insert(header::HOST, member.origin.authority.clone());
        headers.entry(header::USER_AGENT).or_insert(AGENT);
        // What is packed would have to be unpacked to be read, and can unpack to anything.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let passed = hops(&exchange.headers) + 1;
        headers.insert(HOPS, HeaderValue::from(passed));
        if let Some(parent) = exchange.trace.as_ref().and_then(|trace| trace.header_for(member.backend.id)) {
            headers.insert(TRACEPARENT, parent);
        }
        if let Ok(id) = HeaderValue::from_str(&exchange.id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        self.authorize(member, patience).await
    }

    async fn authorize(&mut self, member: &PlannedMember, patience: Duration) -> Result<(), String> {
        let Some(credential) = &member.backend.credential else { return Ok(()) };
        let secret = credential.secret_within(patience).await.map_err(|error| error.to_string())?;
        provider::inject(member.provider, &secret, &mut self.headers)?;
        self.token = credential.is_fetched().then_some(secret);
        Ok(())
    }

    /// Whether it carries a token that another can be fetched for.
    pub(super) fn may_renew(&self) -> bool {
        self.token.is_some()
    }

    /// Puts a new token in the place of one that was refused, once; tells whether there is one.
    pub(super) async fn renew(&mut self, member: &PlannedMember, patience: Duration) -> bool {
        let (Some(refused), Some(credential)) = (self.token.take(), &member.backend.credential) else { return false };
        let renewal = async {
            if !credential.forget_token(&refused).await {
                return false;
            }
            let renewed = self.authorize(member, patience).await.is_ok();
            self.token = None;
            renewed
        };
        tokio::time::timeout(patience, renewal).await.unwrap_or(false)
    }

    /// Our credentials, which the answer must not repeat to the caller.
    pub(super) fn hidden(&self) -> impl Iterator<Item = Hidden> {
        Hidden::all(&self.headers)
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request { method: &self.method, uri: &self.uri, headers: &self.headers, body: &self.body }
    }
}

/// What of a model's caller goes on.
fn forwarded(client: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in client.iter().filter(|(name, _)| FORWARDED.contains(name)) {
        headers.append(name.clone(), value.clone());
    }
    headers
}

fn accept(stream: bool) -> HeaderValue {
    HeaderValue::from_static(if stream { "text/event-stream" } else { "application/json" })
}

fn unserved() -> Problem {
    Problem::bad_request("This backend does not serve requests of this kind.")
}

fn uri(base: &str, path: &str) -> Result<Uri, Problem> {
    Uri::try_from([base, path].concat()).map_err(|_| Problem::bad_request("The path cannot be sent on."))
}
