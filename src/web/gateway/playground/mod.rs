//! `/gateway/playground`: a prompt sent through the gateway in the reader's name, and what every part of it did.
//!
//! The request takes the way of every client's ([`crate::gateway::door::ask`]). Who asks is known from the session: no
//! key comes near the page. A browser with a script gets the answer as it comes; one without gets the page with all of it.

mod outcome;
mod prompt;

use crate::auth::{Actor, ApiKey, Auth};
use crate::base::{Clock, KeyId, Problem};
use crate::door::{Failure, PublicUrl};
use crate::gateway::door::{Inside, ask};
use crate::gateway::witness::Told;
use crate::gateway::{ReplyBody, Traffic};
use crate::web::fields::Fields;
use crate::web::layout::{Layout, Place, page};
use crate::web::same_origin;
use crate::wire::call::Dialect;
use crate::wire::sse;
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use outcome::Outcome;
use prompt::{Form, Reader};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the account of a request may come after its last piece.
const SETTLING: Duration = Duration::from_secs(5);
/// The longest answer a page without a script shows.
const LONGEST: usize = 1 << 20;

#[derive(Template)]
#[template(path = "gateway/playground.html")]
struct Playground {
    layout: Layout,
    form: Form,
    models: Vec<Choice>,
    keys: Vec<ApiKey>,
    answer: Option<Answer>,
    problem: Option<Problem>,
}

/// A model one may ask for.
struct Choice {
    alias: String,
    route: String,
}

/// What came back, for a page without a script.
struct Answer {
    text: String,
    is_cut: bool,
    /// HTML of our own.
    outcome: String,
}

impl Playground {
    fn wrong(&self, field: &str) -> Option<&str> {
        let errors = self.problem.iter().flat_map(|problem| &problem.errors);
        let mut errors = errors.filter(|error| error.location.strip_prefix("body.") == Some(field));
        errors.next().map(|error| error.message.as_str())
    }
}

/// Where the model of an asset can be tried by this reader; none where that calls no model of it.
#[must_use]
pub fn path_for(traffic: &Traffic, actor: &Actor, workspace: &str, asset: &str) -> Option<String> {
    let snapshot = traffic.snapshot();
    let routes = snapshot.routes_of_asset(workspace, asset).into_iter();
    let mut routes = routes.filter(|route| !route.settings.disabled && route.admits(actor));
    let route = routes.find(|route| prompt::dialect(route).is_some() && !route.models().is_empty())?;
    let alias = &route.models()[0];
    // The plain alias may lead to another workspace's route.
    let leads_here = snapshot.route_for_model(actor, alias).is_some_and(|found| found.id == route.id);
    let model = match route.owner.workspace_name() {
        Some(workspace) if !leads_here => format!("{workspace}/{alias}"),
        _ => alias.clone(),
    };
    Some(format!("/gateway/playground?model={}", crate::door::segment(&model)))
}

/// `GET /gateway/playground`, with `model` or not.
pub async fn show(
    layout: Layout,
    State(traffic): State<Traffic>,
    State(auth): State<Auth>,
    State(clock): State<Clock>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Response, Failure> {
    if layout.actor.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("The playground calls models in your name.")));
    }
    let query = query.unwrap_or_default();
    let model = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "model");
    let model = model.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let form = Form { model, ..Form::default() };
    shown(layout, &traffic, &auth, &clock, form, None, None).await
}

async fn shown(
    layout: Layout,
    traffic: &Traffic,
    auth: &Auth,
    clock: &Clock,
    form: Form,
    answer: Option<Answer>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let snapshot = traffic.snapshot();
    let models = snapshot.models(&layout.actor).into_iter();
    let models = models.filter(|(_, route)| prompt::dialect(route).is_some());
    let mut models: Vec<_> =
        models.map(|(alias, route)| Choice { alias: alias.to_owned(), route: route.qualified_name() }).collect();
    if !form.model.is_empty() && models.iter().all(|one| one.alias != form.model) {
        // `workspace/alias` asks for the route of that workspace.
        if let Some(route) = snapshot.route_for_model(&layout.actor, &form.model) {
            models.insert(0, Choice { alias: form.model.clone(), route: route.qualified_name() });
        }
    }
    let keys = match layout.actor.key {
        // Who came with a key calls with it.
        Some(_) => Vec::new(),
        None => auth.own_keys(&layout.actor).await?,
    };
    let keys = keys.into_iter().filter(|key| key.is_live(clock.now())).collect();
    page(&Playground { layout: layout.at(Place::Gateway), form, models, keys, answer, problem })
}

/// `POST /gateway/playground`: sends the prompt. The answer is the page, or, for `Accept: text/event-stream`, events:
/// `text` with a piece of the answer as a JSON text, and at the end `done` with the account of it as HTML.
pub async fn send(
    layout: Layout,
    State(traffic): State<Traffic>,
    State(auth): State<Auth>,
    State(clock): State<Clock>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    if layout.actor.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("The playground calls models in your name.")));
    }
    let form = Form {
        model: fields.get("model").to_owned(),
        system: fields.get("system").to_owned(),
        prompt: fields.get("prompt").to_owned(),
        temperature: fields.get("temperature").to_owned(),
        max_tokens: fields.get("maxTokens").to_owned(),
        key: fields.get("key").to_owned(),
        fresh: fields.get("fresh") == "yes",
    };
    let streams = headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream");
    let id: Arc<str> = layout.request_id.clone().unwrap_or_default().into();
    let (inside, dialect) = match asked(&layout, &traffic, &auth, &form, id.clone()).await {
        Ok(asked) => asked,
        Err(problem) if streams => return Ok(events(vec![done(&Outcome::refused(&problem, &id))?], problem.status)),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let mut answer = shown(layout, &traffic, &auth, &clock, form, None, Some(problem)).await?;
            *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(answer);
        }
        Err(problem) => return Err(Failure(problem)),
    };
    let (answer, told) = ask(&traffic, inside).await;
    let going = Going { reader: Reader::new(dialect), told, id };
    if streams {
        return match answer {
            Ok(answer) => Ok(streamed(answer, going)),
            Err(problem) => {
                let outcome = going.outcome(Some(&*problem)).await;
                Ok(events(vec![done(&outcome)?], problem.status))
            }
        };
    }
    let (text, is_cut, outcome, status) = match answer {
        Ok(answer) => whole(answer, going).await,
        Err(problem) => (String::new(), false, going.outcome(Some(&*problem)).await, problem.status),
    };
    let outcome = outcome.render().map_err(|_| Problem::internal())?;
    let answer = Answer { text, is_cut, outcome };
    let mut response = shown(layout, &traffic, &auth, &clock, form, Some(answer), None).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// The request of a form, in the reader's name, or as it is with a key of the reader's.
async fn asked(
    layout: &Layout,
    traffic: &Traffic,
    auth: &Auth,
    form: &Form,
    id: Arc<str>,
) -> Result<(Inside, Dialect), Problem> {
    let caller = match form.key.as_str() {
        "" => layout.actor.clone(),
        key => {
            let missing = || Problem::invalid_field("body.key", "you have no such key, or it has ended");
            let key: KeyId = key.parse().map_err(|_| missing())?;
            auth.with_own_key(&layout.actor, key).await.map_err(|problem| match problem.status {
                StatusCode::NOT_FOUND => missing(),
                _ => problem,
            })?
        }
    };
    let snapshot = traffic.snapshot();
    let route = snapshot.route_for_model(&caller, &form.model);
    // Without a route the gateway says what is to be said.
    let dialect = route.and_then(|route| prompt::dialect(route)).unwrap_or(Dialect::Chat);
    let body = form.body(dialect)?.to_string().into();
    let mut headers = HeaderMap::new();
    if form.fresh {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let ip = layout.actor.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok((Inside { caller, ip, id, dialect, headers, body }, dialect))
}

/// An answer on its way, and the account of it that follows.
struct Going {
    reader: Reader,
    told: oneshot::Receiver<Told>,
    id: Arc<str>,
}

impl Going {
    /// The account, once the request is settled; of one that reached no route, the problem alone.
    async fn outcome(self, problem: Option<&Problem>) -> Outcome {
        match tokio::time::timeout(SETTLING, self.told).await {
            Ok(Ok(told)) => Outcome::of(&told, problem, self.reader.error.as_deref(), &self.id),
            _ => {
                let unknown = || Problem::internal().with_help("The usage page has the account of this request.");
                Outcome::refused(&problem.cloned().unwrap_or_else(unknown), &self.id)
            }
        }
    }
}

/// All of an answer: its text, whether it was cut, the account, and the status.
async fn whole(answer: http::Response<ReplyBody>, mut going: Going) -> (String, bool, Outcome, StatusCode) {
    let status = answer.status();
    let is_stream = is_event_stream(answer.headers());
    let mut body = answer.into_body();
    let (mut text, mut bytes, mut is_cut) = (String::new(), Vec::new(), false);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(piece) = frame.into_data() else { continue };
        if is_stream {
            let piece = going.reader.piece(&piece);
            is_cut |= text.len() + piece.len() > LONGEST;
            if !is_cut {
                text.push_str(&piece);
            }
        } else if bytes.len() < LONGEST {
            bytes.extend_from_slice(&piece);
        }
    }
    drop(body);
    if !is_stream {
        text = going.reader.whole(&bytes);
    }
    let refused = refused_by_vendor(status, going.reader.error.as_deref());
    (text, is_cut, going.outcome(refused.as_ref()).await, status)
}

/// What a backend that refuses says is told as it said it.
fn refused_by_vendor(status: StatusCode, said: Option<&str>) -> Option<Problem> {
    let words = said.unwrap_or("It gave no reason.");
    (!status.is_success()).then(|| {
        Problem::new(status, "refused-by-vendor", "Refused by the vendor", format!("It said {status}: {words}"))
    })
}

/// The answer as it comes, then the account.
fn streamed(answer: http::Response<ReplyBody>, going: Going) -> Response {
    enum Stage {
        Coming(Box<(ReplyBody, Going)>),
        Over,
    }
    let status = answer.status();
    let is_stream = is_event_stream(answer.headers());
    let begun = Stage::Coming(Box::new((answer.into_body(), going)));
    let pieces = stream::unfold(begun, move |stage| async move {
        let Stage::Coming(mut coming) = stage else { return None };
        loop {
            let (body, going) = &mut *coming;
            let piece = match body.frame().await {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                _ => break,
            };
            let text = if is_stream { going.reader.piece(&piece) } else { going.reader.whole(&piece) };
            if !text.is_empty() {
                let mut event = Vec::new();
                sse::write(&mut event, Some("text"), json!(text).to_string().as_bytes());
                return Some((Ok(Bytes::from(event)), Stage::Coming(coming)));
            }
        }
        let (body, going) = *coming;
        // Whoever has a stream settles it by letting go of it.
        drop(body);
        let refused = refused_by_vendor(status, going.reader.error.as_deref());
        let outcome = going.outcome(refused.as_ref()).await;
        let last = done(&outcome).map_err(|_| std::io::Error::from(std::io::ErrorKind::Other));
        Some((last, Stage::Over))
    });
    event_stream(Body::from_stream(pieces), StatusCode::OK)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// The last event.
fn done(outcome: &Outcome) -> Result<Bytes, Problem> {
    let html = outcome.render().map_err(|_| Problem::internal())?;
    let mut event = Vec::new();
    sse::write(&mut event, Some("done"), json!(html).to_string().as_bytes());
    Ok(event.into())
}

fn events(events: Vec<Bytes>, status: StatusCode) -> Response {
    event_stream(Body::from(events.concat()), status)
}

fn event_stream(body: Body, status: StatusCode) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
