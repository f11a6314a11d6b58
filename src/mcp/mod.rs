//! The discovery endpoint: agents find and read what the register holds, over the Model Context Protocol.
//!
//! One path, `/mcp`, serves both eras of the protocol, and keeps no session in either: any replica answers any request.
//! [`serve`] decides who may call and whether the message is one (`wire::mcp`); rmcp speaks the protocol; [`Discovery`]
//! answers. A caller sees what its key may see, and without a key what is public.

mod address;
mod answer;
mod discovery;
mod guard;
mod prompts;
mod resources;
mod tools;

use crate::base::Problem;
use crate::door::{Caller, Handles, read_body, render_problem};
use crate::wire::mcp::{Era, Fault, examine};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use discovery::Discovery;
use guard::{Guard, Verdict};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;

type Service = StreamableHttpService<Discovery, NeverSessionManager>;

#[derive(Clone)]
struct Endpoint {
    handles: Handles,
    guard: Arc<Guard>,
    service: Service,
}

/// The route of the endpoint.
pub fn router(handles: &Handles) -> Router<Handles> {
    let server = &handles.config.server;
    let guard = Guard::new(handles.public_url.as_str(), &server.allowed_hosts, &server.allowed_origins);
    // Host and Origin are judged by our guard, which knows the public address; rmcp would know loopback names only.
    let mut settings = StreamableHttpServerConfig::default().disable_allowed_hosts();
    settings.legacy_session_mode = false;
    settings.json_response = true;
    let discovery = Discovery::new(handles.clone());
    let service =
        StreamableHttpService::new(move || Ok(discovery.clone()), Arc::new(NeverSessionManager::default()), settings);
    let endpoint = Endpoint { handles: handles.clone(), guard: Arc::new(guard), service };
    Router::new().route("/mcp", any(serve).with_state(endpoint))
}

/// Answers one message; everything that is wrong with the request itself is said before rmcp sees it.
async fn serve(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let verdict = endpoint.guard.judge(request.uri(), request.headers());
    let origin = match verdict {
        Verdict::Refused(problem) => return render_problem(&problem),
        Verdict::Admitted(origin) => origin,
    };
    let mut response = match *request.method() {
        Method::POST => answered(&endpoint, request).await.unwrap_or_else(|refused| *refused),
        Method::OPTIONS if origin.is_some() => preflight(),
        _ => method_not_allowed(),
    };
    if let Some(origin) = origin {
        share_with(response.headers_mut(), origin);
    }
    response
}

/// Refusals are whole responses, and large beside the good case.
type Refused = Box<Response>;

async fn answered(endpoint: &Endpoint, request: Request) -> Result<Response, Refused> {
    let refused = |problem: &Problem| Box::new(render_problem(problem));
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &endpoint.handles)
        .await
        .map_err(|failure| Box::new(failure.into_response()))?;
    check_media_types(&parts.headers).map_err(|problem| refused(&problem))?;
    let body = read_body(body).await.map_err(|problem| refused(&problem))?;
    let message = examine(&parts.headers, &body).map_err(|fault| Box::new(faulty(&fault)))?;

    // What we tolerate and rmcp does not: a client that takes only JSON, which is all we send, and headers on
    // `initialize` that name a version other than its body.
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if message.era == Era::Legacy && message.method == "initialize" {
        for name in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
            parts.headers.remove(name);
        }
    }
    parts.extensions.insert(caller.0);
    let mut response = endpoint.service.handle(Request::from_parts(parts, Body::from(body))).await.map(Body::new);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn check_media_types(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    if sent.as_deref() != Some("application/json") {
        return Err(Box::new(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Unsupported media type",
            "A message is sent as `Content-Type: application/json`.",
        )));
    }
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    let takes_json = accepted.peek().is_none()
        || accepted
            .flat_map(|value| value.split(','))
            .map(essence)
            .any(|one| ["application/json", "text/event-stream", "application/*", "*/*"].contains(&one.as_str()));
    if takes_json {
        return Ok(());
    }
    Err(Box::new(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "Not acceptable",
        "Answers are JSON; send `Accept: application/json, text/event-stream`.",
    )))
}

fn faulty(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
    let content = (header::CONTENT_TYPE, "application/json");
    (status, [content, (header::CACHE_CONTROL, "no-store")], fault.body().to_string()).into_response()
}

/// The transport's GET stream and DELETE belong to sessions, which there are none of.
fn method_not_allowed() -> Response {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        "Messages are sent by POST; there are no sessions to listen to or to end.",
    );
    let mut response = render_problem(&problem);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn share_with(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate, X-Request-Id"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}
