//! The layers every request passes, outermost first: its id and its record, the rendering of problems and the headers
//! of pages, the catching of panics, compression, and the bounds of its target and body.

use super::{
    body::{BodyBounds, BodyFault, BoundedBody},
    extract::unescaped,
    forgery,
    handles::Handles,
    problem_page::{self, AsItIs, ProblemContext, ProblemPage},
    refused::{Asked, Asker},
    respond::render_problem,
};
use crate::base::{ClientAddress, FieldError, Problem, config::Limits};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::{self, Next},
    response::Response,
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use metrics::{Histogram, Label};
use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, Predicate, SizeAbove},
};

/// Under which a request is found in the log, the audit record and the answer.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<str>);

impl RequestId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths whose bodies are read piece by piece and may be long.
const LONG_BODIES: &[&str] = &["/api/v1/import"];

/// Answers shorter than this cost more to compress than to send.
const COMPRESS_ABOVE: u64 = 1024;

/// Paths on which problems are always JSON, whoever asks.
const JSON_ONLY: &[&str] = &["/api/v1/", "/v0/", "/v0.1/", "/mcp", "/healthz", "/readyz", "/metrics"];

/// Cloned for every request, so one pointer.
#[derive(Clone)]
struct Outer(Arc<Shared>);

struct Shared {
    handles: Handles,
    page: Option<ProblemPage>,
}

/// Puts the layers around all routes. `page` renders problems for browsers; without it they get JSON too.
pub fn apply(router: Router<Handles>, handles: &Handles, page: Option<ProblemPage>) -> Router {
    let outer = Outer(Arc::new(Shared { handles: handles.clone(), page }));
    let compression =
        CompressionLayer::new().gzip(true).compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESS_ABOVE)));
    router
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(middleware::from_fn_with_state(handles.clone(), forgery::guard))
        .layer(middleware::from_fn_with_state(outer.clone(), bound))
        .layer(compression)
        .layer(middleware::from_fn(catch_panic))
        .layer(middleware::from_fn_with_state(outer, finish))
        .with_state(handles.clone())
}

/// Gives the request its id, keeps the record of it, and renders what went wrong.
async fn finish(State(outer): State<Outer>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let id = request_id(request.headers(), trusts(&outer.0.handles, peer));
    let trusted = &outer.0.handles.config.server.trusted_proxies;
    let address = peer.map(|peer| ClientAddress::of(peer.ip(), request.headers(), trusted));
    let asker = Asker::default();
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(asker.clone());
    if let Some(address) = address {
        request.extensions_mut().insert(address);
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // What a page of a problem needs to know; copying all headers of every request would be wasted on most.
    let kept = [header::ACCEPT, header::COOKIE].into_iter().filter_map(|name| {
        let value = request.headers().get(&name)?.clone();
        Some((name, value))
    });
    let context = ProblemContext { request_id: id.as_str().to_owned(), path, headers: kept.collect() };

    let mut response = next.run(request).await;

    let (path, request_id) = (&context.path, id.as_str());
    let route_name = route.as_ref().map(MatchedPath::as_str);
    let asked = Asked { method: &method, route: route_name, path, request_id, address, asker: &asker };
    if let Some(refusal) = asked.refused_by(&response) {
        outer.0.handles.audit_trail.refused(refusal);
    }
    response = outer.rendered(response, &context, &method);
    finish_headers(response.headers_mut(), outer.0.handles.public_url.is_secure());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    record(&method, route_name, &context, response.status(), begun);
    response
}

/// Whether what this peer says about the client is believed.
pub(super) fn trusts(handles: &Handles, peer: Option<SocketAddr>) -> bool {
    let trusted = &handles.config.server.trusted_proxies;
    peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(peer.ip())))
}

impl Outer {
    fn rendered(&self, response: Response, context: &ProblemContext, method: &Method) -> Response {
        if response.extensions().get::<AsItIs>().is_some() {
            return response;
        }
        let problem = match response.extensions().get::<Problem>() {
            Some(problem) => problem.clone(),
            None if is_bare_error(&response) => problem_page::of_status(response.status(), context, method),
            None => return response,
        };
        let json_only =
            JSON_ONLY.iter().any(|start| context.path.starts_with(start)) || context.path.contains("/v0.1/");
        let mut response =
            problem_page::render(&problem, response, context, self.0.page.as_ref().filter(|_| !json_only));
        if problem.status == StatusCode::REQUEST_TIMEOUT || problem.status == StatusCode::PAYLOAD_TOO_LARGE {
            // What is left of the body is not waited for.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if *method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }
}

/// An error of a library: a status and at most a line of text.
fn is_bare_error(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    (response.status().is_client_error() || response.status().is_server_error())
        && kind.is_none_or(|kind| kind.starts_with(b"text/plain"))
}

/// The id a trusted proxy gave, where it is plain; else a new one.
pub(super) fn request_id(headers: &HeaderMap, trusted: bool) -> RequestId {
    let given = headers.get(&REQUEST_ID).filter(|_| trusted).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    RequestId(match given.filter(plain) {
        Some(id) => id.into(),
        None => uuid::Uuid::now_v7().to_string().into(),
    })
}

/// Headers that guard pages; an answer that set one of them itself knows better.
pub(super) fn finish_headers(headers: &mut HeaderMap, secure: bool) {
    const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; \
                       connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CONTENT_SECURITY_POLICY, CSP);
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    if secure {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

fn record(method: &Method, route: Option<&str>, context: &ProblemContext, status: StatusCode, begun: Instant) {
    let elapsed = begun.elapsed();
    // Routes, not paths, and known methods only: strangers must not be able to make new series.
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let method = KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
    request_seconds(method, route.unwrap_or("none"), status.as_str()).record(elapsed.as_secs_f64());
    log(&context.request_id, method, &context.path, status, elapsed);
}

/// Where the durations of such requests are kept.
pub(super) fn request_seconds(method: &'static str, route: &str, status: &str) -> Histogram {
    let labels = [
        Label::from_static_parts("method", method),
        Label::new("route", route.to_owned()),
        Label::new("status", status.to_owned()),
    ];
    metrics::histogram!("wharfinger_http_request_seconds", labels.iter())
}

/// The log line of a request.
pub(super) fn log(id: &str, method: &str, path: &str, status: StatusCode, elapsed: Duration) {
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::warn!(request.id = %id, method, path, status = status.as_u16(), duration_ms, "A request failed");
    } else {
        tracing::debug!(request.id = %id, method, path, status = status.as_u16(), duration_ms, "Answered a request");
    }
}

/// A panic in a handler is our fault and costs one request, not the process.
async fn catch_panic(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            let id = id.as_ref().map_or("", RequestId::as_str);
            tracing::error!(request.id = id, panic = said, "A handler panicked");
            metrics::counter!("wharfinger_panics_total").increment(1);
            render_problem(&Problem::internal())
        }
    }
}

/// Refuses targets that cannot be decoded and bodies announced too long, and bounds the reading of the rest.
async fn bound(State(outer): State<Outer>, request: Request, next: Next) -> Response {
    if let Err(problem) = check_target(request.uri()).and_then(|()| check_host(&request)) {
        return render_problem(&problem);
    }
    let bounds = body_bounds(&outer.0.handles.config.limits, request.uri().path());
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bounds.length.0) {
        return render_problem(&BodyFault::TooLong(bounds.length).into());
    }
    next.run(request.map(|body| Body::new(BoundedBody::new(body, bounds)))).await
}

/// An HTTP/1.1 request names its host once, as a host (RFC 9112, 3.2). HTTP/2 has it in the target; a request that came
/// over no connection needs none.
pub(super) fn check_host(request: &Request) -> Result<(), Problem> {
    if request.version() != http::Version::HTTP_11 || request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let legal = host.is_some_and(|host| host.is_empty() || host.parse::<http::uri::Authority>().is_ok());
    if legal && hosts.next().is_none() {
        return Ok(());
    }
    Err(Problem::bad_request("A request names its host once, in the Host header.").with_kind("host-missing"))
}

fn body_bounds(limits: &Limits, path: &str) -> BodyBounds {
    if LONG_BODIES.contains(&path) {
        BodyBounds { length: limits.max_import_body, idle: limits.body_idle_timeout, total: limits.body_timeout * 10 }
    } else {
        BodyBounds { length: limits.max_body, idle: limits.body_idle_timeout, total: limits.body_timeout }
    }
}

/// A path is escaped UTF-8 without NUL; so is a query. Postgres could not store the NUL, and half an escape means that
/// somebody on the way reads the path otherwise than we do.
fn check_target(uri: &http::Uri) -> Result<(), Problem> {
    for (location, text) in [("path", uri.path()), ("query", uri.query().unwrap_or_default())] {
        unescaped(text).map_err(|reason| {
            Problem::bad_request(format!("The {location} {reason}."))
                .with_kind("target-unreadable")
                .with_errors(vec![FieldError::new(location, reason)])
        })?;
    }
    Ok(())
}
