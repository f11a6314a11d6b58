//! The way in: `/llm/...` and `/rest/...`. It reads the body once, finds the caller and the route, and tells errors in the
//! dialect of whoever asks. Everything else is [`Traffic`]'s.
//!
//! It stands before the router and its layers: what they do for pages and the register costs more than a request through
//! the gateway may.

mod body;
mod error;
mod inside;
mod path;

use super::exchange::{Asked, Exchange, Reply};
use super::hops::hops;
use super::settings;
use super::stored_response::StoredResponse;
use super::traffic::{ReplyBody, Traffic};
use super::{Route, Snapshot};
use crate::audit::Refusal;
use crate::auth::Actor;
use crate::base::{BackendId, ClientAddress, Problem};
use crate::wire::call::{Call, CallError, Dialect};
use crate::wire::{anthropic, openai};
use bytes::Bytes;
use error::Voice;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use path::Target;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

pub use inside::{Inside, ask};
pub use path::is_ours;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's clients look for it.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The headers that clients send their keys in.
static CREDENTIALS: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("api-key"), HeaderName::from_static("x-api-key")];
/// A request that passed so many gateways of ours goes in a circle.
const MOST_HOPS: u32 = 5;

/// Answers a request whose path [`is_ours`].
pub async fn serve<B>(traffic: &Traffic, request: Request<B>, peer: SocketAddr) -> Response<ReplyBody>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    let trusted = &traffic.config().server.trusted_proxies;
    let id = request_id(&head.headers, trusted.iter().any(|network| network.contains(peer.ip())));
    let target = Target::of(head.uri.path(), head.uri.query());
    let voice = Voice::of(head.uri.path());
    let ClientAddress(ip) = ClientAddress::of(peer.ip(), &head.headers, trusted);
    let asking = Asking { traffic, id: &id, begun, ip };
    let (method, version) = (head.method.clone(), head.version);
    let outcome = match target {
        Some(target) => asking.answer(target, head.method, head.headers, body).await,
        None => Err((Box::new(path::unknown(head.uri.path())), HeaderMap::new())),
    };
    let mut response = outcome.unwrap_or_else(|(problem, headers)| {
        if problem.status == StatusCode::UNAUTHORIZED {
            traffic.refused(refusal(&problem, &method, head.uri.path(), ip, &id));
        }
        voice.render(&problem, headers, &id)
    });
    if version == Version::HTTP_2 {
        response = traffic.handed(response);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        if voice == Voice::Anthropic {
            headers.insert(ANTHROPIC_REQUEST_ID, value.clone());
        }
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// A caller without a credential that holds, for the audit record. What may not be called is not there for a caller, and what a
/// policy refuses stands in the record of usage.
fn refusal(problem: &Problem, method: &Method, path: &str, ip: IpAddr, id: &str) -> Refusal {
    let mut trace = Actor::anonymous().trace();
    trace.address = Some(ip);
    trace.request_id = Some(id.to_owned());
    Refusal {
        trace,
        route: format!("{method} gateway"),
        path: format!("{method} {path}"),
        workspace: None,
        status: problem.status.as_u16(),
        kind: problem.kind.to_owned(),
    }
}

type Refused = (Box<Problem>, HeaderMap);

fn plainly(problem: Problem) -> Refused {
    (Box::new(problem), HeaderMap::new())
}

/// A request that is being answered.
struct Asking<'a> {
    traffic: &'a Traffic,
    id: &'a Arc<str>,
    begun: Instant,
    ip: IpAddr,
}

impl Asking<'_> {
    async fn answer<B>(
        &self,
        target: Target,
        method: Method,
        mut headers: HeaderMap,
        body: B,
    ) -> Result<Response<ReplyBody>, Refused>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: std::error::Error + 'static,
    {
        target.check_method(&method).map_err(|problem| (Box::new(problem), target.allowed()))?;
        target.check_upgrade(&headers).map_err(plainly)?;
        let caller = self.caller(&headers).await.map_err(plainly)?;
        if hops(&headers) >= MOST_HOPS {
            let words = "The request went in a circle: it passed through gateways that lead to one another.";
            let status = StatusCode::LOOP_DETECTED;
            return Err(plainly(Problem::new(status, "loop-detected", "Loop detected", words)));
        }
        for name in CREDENTIALS.iter().chain(&[header::COOKIE, header::PROXY_AUTHORIZATION]) {
            headers.remove(name);
        }
        let snapshot = self.traffic.snapshot();
        let (limits, room) = (&self.traffic.config().limits, self.traffic.room());
        let (route, asked, (body, taken)) = match target {
            Target::Models { anthropic, model } => {
                return models(&snapshot.models(&caller), anthropic, model).map_err(plainly);
            }
            Target::Call { dialect, model } => {
                let body = body::read(body, &headers, limits, room).await.map_err(plainly)?;
                let mut call =
                    Call::read(dialect, &body.0, model.as_deref()).map_err(|error| plainly(unreadable(error)))?;
                let route = called(&snapshot, &caller, &mut call).map_err(plainly)?;
                self.traffic.check_conversation(&caller, &call).await.map_err(plainly)?;
                (route, Asked::Model(call), body)
            }
            Target::Response { path, query } => {
                body::read(body, &headers, limits, room).await.map_err(plainly)?;
                let (route, backend, model) = self.keeper(&snapshot, &caller, &path).await.map_err(plainly)?;
                (route, Asked::Stored(StoredResponse { backend, model, method, path, query }), (Bytes::new(), None))
            }
            Target::Rest { workspace, asset, path } => {
                let (route, path) = rest(&snapshot, &caller, &workspace, &asset, path).map_err(plainly)?;
                let body = body::read(body, &headers, limits, room).await.map_err(plainly)?;
                (route, Asked::Rest { method, path }, body)
            }
        };
        let mut exchange = self.exchange(caller, headers, snapshot, route, asked, body).map_err(plainly)?;
        exchange.room = taken;
        self.traffic.answer(exchange).await
    }

    /// The route to the backend that stores a response of the caller's, that backend, and the response's alias.
    async fn keeper(
        &self,
        snapshot: &Snapshot,
        caller: &Actor,
        path: &str,
    ) -> Result<(Arc<Route>, BackendId, String), Problem> {
        let id = path.split('/').next().unwrap_or_default();
        let unknown = || {
            Problem::not_found(format!("You were given no response {id} here, or its backend is gone."))
                .with_help("Responses are known for thirty days.")
        };
        let (backend, model) = self.traffic.find_response(caller, id).await?.ok_or_else(unknown)?;
        let route = snapshot.route_for_model(caller, &model).ok_or_else(unknown)?;
        if !route.pool.members.iter().any(|member| member.backend.id == backend) {
            return Err(unknown());
        }
        Ok((route.clone(), backend, route.alias(&model).to_owned()))
    }

    /// The exchange of a request that leads to this route.
    fn exchange(
        &self,
        caller: Arc<Actor>,
        mut headers: HeaderMap,
        snapshot: Arc<Snapshot>,
        route: Arc<Route>,
        asked: Asked,
        body: Bytes,
    ) -> Result<Box<Exchange>, Problem> {
        if route.settings.disabled {
            let words = format!("The route {} is switched off.", route.name);
            let problem = Problem::unavailable(words).with_kind("route-disabled");
            return Err(problem.with_help("Ask the owner of the route."));
        }
        let trace = self.traffic.trace(&mut headers);
        Ok(Box::new(Exchange {
            id: self.id.clone(),
            begun: self.begun,
            at: self.traffic.clock().now(),
            caller,
            ip: self.ip,
            headers,
            trace,
            snapshot,
            route,
            asked,
            body,
            room: None,
            prompt_tokens: None,
            upstream_headers: Vec::new(),
            standings: Vec::new(),
            answer_headers: Vec::new(),
            filters: Vec::new(),
            screens: Vec::new(),
            keep_reply: 0,
            attempts: Vec::new(),
            reply: Reply::default(),
            held: Vec::new(),
            refused_by: None,
            witness: None,
        }))
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Actor>, Problem> {
        let credential = credential(headers)?;
        let missing = || Problem::unauthenticated("The gateway is called with a key.");
        self.traffic.identify(credential.ok_or_else(missing)?).await
    }
}

/// The key a request carries, in whichever header its client sends it.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let wrong = || Problem::unauthenticated("The Authorization header is not of the form `Bearer <key>`.");
    let mut found: Option<&str> = None;
    for name in &CREDENTIALS {
        let Some(value) = headers.get(name) else { continue };
        let text = value.to_str().map_err(|_| wrong())?.trim();
        let text = if *name == header::AUTHORIZATION {
            let (scheme, rest) = text.split_once(' ').ok_or_else(wrong)?;
            if !scheme.eq_ignore_ascii_case("bearer") || rest.trim().is_empty() {
                return Err(wrong());
            }
            rest.trim()
        } else {
            text
        };
        if found.is_some_and(|other| other != text) {
            return Err(Problem::unauthenticated("The request carries two different credentials."));
        }
        found = Some(text);
    }
    Ok(found)
}

/// The route that answers a call, in the dialect it is asked in; from here on the call names the route's own alias.
fn called(snapshot: &Snapshot, caller: &Actor, call: &mut Call) -> Result<Arc<Route>, Problem> {
    let route = snapshot.route_for_model(caller, &call.model).ok_or_else(|| no_model(&call.model))?;
    check_dialect(route, call.dialect)?;
    let alias = route.alias(&call.model);
    if alias.len() < call.model.len() {
        call.model = alias.to_owned();
    }
    Ok(route.clone())
}

/// What the actor may not call is not there, in the same words.
fn no_model(model: &str) -> Problem {
    Problem::not_found(format!("There is no model {model} here that you may call."))
        .with_kind("model-unknown")
        .with_help("GET /llm/v1/models lists those you may.")
}

/// The route of an API and the path behind it. The name may be two segments of the path, its slash written as it is.
fn rest(
    snapshot: &Snapshot,
    caller: &Actor,
    workspace: &str,
    asset: &str,
    path: String,
) -> Result<(Arc<Route>, String), Problem> {
    if let Some(route) = snapshot.route_for_rest(caller, workspace, asset) {
        return Ok((route.clone(), path));
    }
    let longer = || {
        let (asset, path) = path::with_bare_slash(asset, &path)?;
        Some((snapshot.route_for_rest(caller, workspace, &asset)?.clone(), path))
    };
    longer().ok_or_else(|| {
        Problem::not_found(format!("No API {workspace}/{asset} can be called here by you."))
            .with_help("Look at the asset's page for the address it is called at.")
    })
}

fn unreadable(error: CallError) -> Problem {
    let problem = Problem::bad_request(error.message.clone()).with_kind("body-unreadable");
    match error.field {
        Some(field) => problem.with_errors(vec![crate::base::FieldError::new(format!("body.{field}"), error.message)]),
        None => problem,
    }
}

fn check_dialect(route: &Route, dialect: Dialect) -> Result<(), Problem> {
    let as_set = match dialect {
        Dialect::Chat => settings::Dialect::OpenaiChat,
        Dialect::Responses => settings::Dialect::OpenaiResponses,
        Dialect::Embeddings => settings::Dialect::OpenaiEmbeddings,
        Dialect::Messages | Dialect::CountTokens => settings::Dialect::AnthropicMessages,
    };
    let dialects = &route.settings.dialects;
    if dialects.is_empty() || dialects.contains(&as_set) {
        return Ok(());
    }
    let names: Vec<_> = dialects.iter().map(|dialect| dialect.as_str()).collect();
    let words = format!("The route {} is not called in this way, only as {}.", route.name, names.join(", "));
    Err(Problem::bad_request(words).with_kind("not-served"))
}

fn models(
    models: &[(&str, &Arc<Route>)],
    is_anthropic: bool,
    one: Option<String>,
) -> Result<Response<ReplyBody>, Problem> {
    let wanted = models.iter().filter(|(name, _)| one.as_deref().is_none_or(|one| one == *name)).map(|(name, _)| *name);
    let list = match is_anthropic {
        true => anthropic::models(wanted.map(|name| (name.to_owned(), "1970-01-01T00:00:00Z".to_owned()))),
        false => openai::models(wanted.map(|name| (name, 0))),
    };
    match &one {
        None => Ok(json(&list)),
        Some(name) => list["data"].get(0).map(json).ok_or_else(|| no_model(name)),
    }
}

fn json(value: &serde_json::Value) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(value.to_string().into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The id a trusted proxy gave, where it is plain; else a new one.
fn request_id(headers: &HeaderMap, trusted: bool) -> Arc<str> {
    let given = headers.get(&REQUEST_ID).filter(|_| trusted).and_then(|value| value.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    match given.filter(is_plain) {
        Some(id) => id.into(),
        None => {
            let mut buffer = uuid::Uuid::encode_buffer();
            // Without the counter of `now_v7`, for which all requests would wait in turn.
            let id = uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext));
            let id: &str = id.hyphenated().encode_lower(&mut buffer);
            id.into()
        }
    }
}
