//! Access: asking to call an asset, what waits to be decided, the decision, and the key that comes of it.

use super::fields::{Fields, is_input};
use super::layout::{Layout, Place, answer_to_form, page, status_of, to, unkept_answer};
use super::{asset_path, words};
use crate::auth::{Actor, ApiKey, Auth};
use crate::base::{AccessRequestId, Limit, Problem};
use crate::catalog::{Asset, Catalog};
use crate::door::{Failure, Handles, Path};
use crate::gateway::access::{AccessDecision, AccessFilter, AccessRequest, AccessState, NewAccess, Obstacle, Standing};
use crate::gateway::{Gateway, Traffic};
use askama::Template;
use axum::extract::{FromRef, State};
use axum::response::Response;
use serde::Deserialize;
use time::OffsetDateTime;

/// How many requests a list names.
const MOST: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    request: String,
}

#[derive(Template)]
#[template(path = "access.html")]
struct List {
    layout: Layout,
    /// None for who decides nowhere.
    waiting: Option<Vec<AccessRequest>>,
    decided: Vec<AccessRequest>,
    own: Vec<AccessRequest>,
    now: OffsetDateTime,
}

#[derive(Template)]
#[template(path = "access_new.html")]
struct New {
    layout: Layout,
    asset: Asset,
    standing: Standing,
    purpose: String,
    until: String,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "access_request.html")]
struct One {
    layout: Layout,
    request: AccessRequest,
    /// Whether the reader decides on it, and whether it is the reader's own.
    decides: bool,
    is_own: bool,
    /// What stands against making the key.
    obstacle: Option<Obstacle>,
    /// Where the model can be tried.
    playground: Option<String>,
    /// A key that was just made: its name and text, shown this once.
    made: Option<(String, String)>,
    problem: Option<Problem>,
    note: String,
    now: OffsetDateTime,
}

impl List {
    fn ago(&self, one: &AccessRequest) -> String {
        words::ago(one.updated_at, self.now)
    }
}

impl New {
    fn wrong(&self, field: &str) -> Option<&str> {
        wrong(self.problem.as_ref(), field)
    }
}

impl One {
    fn wrong(&self, field: &str) -> Option<&str> {
        wrong(self.problem.as_ref(), field)
    }

    fn asset_href(&self) -> String {
        asset_path(&self.request.workspace, &self.request.asset)
    }

    fn has_ended(&self) -> bool {
        self.request.state == AccessState::Approved && self.request.ends_at.is_some_and(|end| end <= self.now)
    }

    /// The day of the date field: the last one that is asked for.
    fn wanted_day(&self) -> String {
        let last = self.request.wanted_until.map(|until| until - time::Duration::SECOND);
        last.map(|last| words::exact(last)[..10].to_owned()).unwrap_or_default()
    }
}

fn wrong<'a>(problem: Option<&'a Problem>, field: &str) -> Option<&'a str> {
    let errors = problem.into_iter().flat_map(|problem| &problem.errors);
    let mut errors = errors.filter(|error| error.location.strip_prefix("body.") == Some(field));
    errors.next().map(|error| error.message.as_str())
}

/// `GET /access`: what waits for the reader's decision, what was decided, and the reader's own requests.
pub(super) async fn list(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(catalog): State<Catalog>,
) -> Result<Response, Failure> {
    let actor = &layout.actor;
    let own = listed(&gateway, actor, None, true).await?;
    let is_own = |one: &AccessRequest| own.iter().any(|mine| mine.access_request_id == one.access_request_id);
    let (mut waiting, mut decided) = (None, Vec::new());
    if gateway.access_waiting(actor).await?.is_some() {
        let mut found = listed(&gateway, actor, Some(AccessState::Waiting), false).await?;
        // Who waits longest comes first.
        found.reverse();
        found.retain(|one| !is_own(one));
        waiting = Some(found);
        for state in [AccessState::Approved, AccessState::Declined] {
            decided.extend(listed(&gateway, actor, Some(state), false).await?.into_iter().filter(|one| !is_own(one)));
        }
        decided.sort_by_key(|one| std::cmp::Reverse(one.updated_at));
        decided.truncate(20);
    }
    let now = catalog.clock().now();
    page(&List { layout: layout.at(Place::Access), waiting, decided, own, now })
}

async fn listed(
    gateway: &Gateway,
    actor: &Actor,
    state: Option<AccessState>,
    own: bool,
) -> Result<Vec<AccessRequest>, Problem> {
    let filter = AccessFilter { state, own, ..AccessFilter::default() };
    Ok(gateway.access_requests(actor, &filter, None, Limit(MOST)).await?.items)
}

/// `GET /access/new`, with `workspace` and `asset`: the form that asks.
pub(super) async fn form(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(catalog): State<Catalog>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Response, Failure> {
    if layout.actor.is_anonymous() {
        return Err(Failure(Problem::unauthenticated("Access is asked for by who is signed in.")));
    }
    let query = query.unwrap_or_default();
    let value = |name: &str| {
        let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    asking(layout, &gateway, &catalog, (&value("workspace"), &value("asset")), Default::default(), None).await
}

async fn asking(
    layout: Layout,
    gateway: &Gateway,
    catalog: &Catalog,
    (workspace, asset): (&str, &str),
    (purpose, until): (String, String),
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let asset = catalog.find(&layout.actor, workspace, asset).await?.asset;
    let place = (asset.workspace.as_str(), asset.name.as_str());
    let standing = gateway.standing(&layout.actor, place, asset.asset_id).await?;
    let status = status_of(problem.as_ref());
    let page = New { layout: layout.at(Place::Access), asset, standing, purpose, until, problem };
    answer_to_form(&page, status)
}

/// `POST /access/new`: asks, and leads to the request.
pub(super) async fn ask(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    fields: Fields,
) -> Result<Response, Failure> {
    let (workspace, asset) = (fields.get("workspace").to_owned(), fields.get("asset").to_owned());
    let (purpose, day) = (fields.get("purpose").to_owned(), fields.get("until").to_owned());
    let made = async {
        let until = fields.end_of_day("until")?;
        let new = NewAccess { workspace: workspace.clone(), asset: asset.clone(), purpose: purpose.clone(), until };
        gateway.request_access(&layout.actor, (&auth, &catalog), &new).await
    };
    match made.await {
        Ok(made) => Ok(to(&format!("/access/{}", made.access_request_id))),
        Err(problem) if is_input(&problem) => {
            asking(layout, &gateway, &catalog, (&workspace, &asset), (purpose, day), Some(problem)).await
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// What the page of a request is made from.
#[derive(Clone)]
pub(super) struct Parts {
    gateway: Gateway,
    traffic: Traffic,
    catalog: Catalog,
}

impl FromRef<Handles> for Parts {
    fn from_ref(handles: &Handles) -> Self {
        Self {
            gateway: Gateway::from_ref(handles),
            traffic: Traffic::from_ref(handles),
            catalog: Catalog::from_ref(handles),
        }
    }
}

/// `GET /access/{request}`.
pub(super) async fn show(
    layout: Layout,
    State(parts): State<Parts>,
    Path(named): Path<Named>,
) -> Result<Response, Failure> {
    let id = id(&layout, &named)?;
    shown(layout, &parts, id, None, None, String::new()).await
}

async fn shown(
    layout: Layout,
    parts: &Parts,
    id: AccessRequestId,
    made: Option<(String, String)>,
    problem: Option<Problem>,
    note: String,
) -> Result<Response, Failure> {
    let actor = &layout.actor;
    let (request, decides) = parts.gateway.access_request(actor, id).await?;
    let is_own = actor.user() == Some(request.user_id);
    let obstacle = parts.gateway.key_obstacle(actor, &request);
    let playground = super::gateway::playground_path(&parts.traffic, actor, &request.workspace, &request.asset);
    let status = status_of(problem.as_ref());
    let now = parts.catalog.clock().now();
    let layout = layout.at(Place::Access);
    let page = One { layout, request, decides, is_own, obstacle, playground, made, problem, note, now };
    unkept_answer(&page, status)
}

/// `POST /access/{request}/decision`.
pub(super) async fn decide(
    layout: Layout,
    State(parts): State<Parts>,
    State(auth): State<Auth>,
    Path(named): Path<Named>,
    fields: Fields,
) -> Result<Response, Failure> {
    let id = id(&layout, &named)?;
    let done = async {
        let approve = match fields.get("do") {
            "approve" => true,
            "decline" => false,
            _ => return Err(Problem::invalid_field("body.do", "must be `approve` or `decline`")),
        };
        let decision =
            AccessDecision { approve, note: fields.get("note").to_owned(), until: fields.end_of_day("until")? };
        parts.gateway.decide_access(&layout.actor, &auth, id, &decision).await
    };
    let outcome = done.await;
    done_or_told(layout, &parts, id, outcome.map(drop), fields.get("note").to_owned()).await
}

/// `POST /access/{request}/withdraw`.
pub(super) async fn withdraw(
    layout: Layout,
    State(parts): State<Parts>,
    Path(named): Path<Named>,
) -> Result<Response, Failure> {
    let id = id(&layout, &named)?;
    let outcome = parts.gateway.withdraw_access(&layout.actor, id).await;
    done_or_told(layout, &parts, id, outcome.map(drop), String::new()).await
}

/// `POST /access/{request}/key`: makes the key and shows its text, this once.
pub(super) async fn make_key(
    layout: Layout,
    State(parts): State<Parts>,
    State(auth): State<Auth>,
    Path(named): Path<Named>,
    fields: Fields,
) -> Result<Response, Failure> {
    let id = id(&layout, &named)?;
    let outcome = parts.gateway.make_access_key(&layout.actor, &auth, id, fields.get("name")).await;
    match outcome {
        Ok((ApiKey { name, .. }, secret)) => {
            let made = Some((name, secret.reveal().to_owned()));
            shown(layout, &parts, id, made, None, String::new()).await
        }
        Err(problem) => done_or_told(layout, &parts, id, Err(problem), String::new()).await,
    }
}

/// Leads back to the request, or tells on its page what was not done.
async fn done_or_told(
    layout: Layout,
    parts: &Parts,
    id: AccessRequestId,
    outcome: Result<(), Problem>,
    note: String,
) -> Result<Response, Failure> {
    match outcome {
        Ok(()) => Ok(to(&format!("/access/{id}"))),
        Err(problem) if is_input(&problem) => shown(layout, parts, id, None, Some(problem), note).await,
        Err(problem) => Err(Failure(problem)),
    }
}

fn id(layout: &Layout, named: &Named) -> Result<AccessRequestId, Problem> {
    if layout.actor.is_anonymous() {
        return Err(Problem::unauthenticated("Requests for access are shown to who made them and who decides."));
    }
    named.request.parse().map_err(|_| Problem::not_found("There is no such request for access here."))
}
