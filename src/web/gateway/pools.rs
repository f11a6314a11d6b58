//! `/gateway/pools`: what each pool's members do now, why breakers opened, and the way to take one out by hand.

use super::{anchor, capacity, edit_link, may_make, workspace};
use crate::base::{Clock, PoolId, Problem};
use crate::door::{Failure, PublicUrl};
use crate::gateway::settings::{Affinity, Book, Owner, PoolSettings, Section, Serves, Settings, Strategy, Thing};
use crate::gateway::{Gateway, LiveBackend, Traffic};
use crate::web::layout::{Layout, Place, page, to};
use crate::web::{same_origin, words};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use time::OffsetDateTime;

#[derive(Template)]
#[template(path = "gateway/pools.html")]
struct Pools {
    layout: Layout,
    pools: Vec<Row>,
    left_out: Vec<String>,
    may_drain: bool,
    may_make: bool,
    now: OffsetDateTime,
}

struct Row {
    anchor: String,
    name: String,
    workspace: Option<String>,
    /// Which routes and models lead here.
    serves: String,
    /// How a member is chosen.
    order: String,
    members: Vec<MemberRow>,
    edit: Option<String>,
}

struct MemberRow {
    anchor: String,
    name: String,
    workspace: String,
    host: String,
    credential: String,
    priority: u32,
    weight: u32,
    class: &'static str,
    state: String,
    reason: String,
    busy: String,
    latency: String,
    capacity: String,
    drained: bool,
    may_drain: bool,
}

impl Pools {
    /// `5 closed`, `1 open`: only what there is.
    fn summary(&self) -> Vec<(&'static str, String)> {
        let members = || self.pools.iter().flat_map(|pool| &pool.members);
        [("ok", "in use"), ("warn", "being tried or drained"), ("bad", "left alone")]
            .into_iter()
            .map(|(class, word)| (class, members().filter(|member| member.class == class).count(), word))
            .filter(|(_, count, _)| *count > 0)
            .map(|(class, count, word)| (class, format!("{count} {word}")))
            .collect()
    }
}

/// `GET /gateway/pools`.
pub async fn show(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(traffic): State<Traffic>,
    State(clock): State<Clock>,
) -> Result<Response, Failure> {
    let book = gateway.readable(&layout.actor).await?;
    let may_drain = |owner: &Owner| Gateway::may_manage(&layout.actor, owner);
    let pools: Vec<Row> = book
        .pools()
        .map(|(thing, settings)| (thing, settings, traffic.live(PoolId(thing.id)).unwrap_or_default()))
        .map(|(thing, settings, live)| Row {
            anchor: anchor(&thing.owner, &thing.name),
            name: thing.name.clone(),
            workspace: workspace(&thing.owner),
            serves: serves(&book, thing),
            order: order(settings),
            edit: edit_link(&layout.actor, thing),
            members: settings
                .members
                .iter()
                .map(|member| {
                    let backend = book.named(Section::Backend, &thing.owner, &member.backend);
                    let row = member_row(member, backend, &may_drain);
                    match live.iter().find(|one| one.backend == member.backend) {
                        Some(live) => row.with(live),
                        None => row,
                    }
                })
                .collect(),
        })
        .collect();
    let may_drain = pools.iter().flat_map(|pool| &pool.members).any(|member| member.may_drain);
    let left_out = if Gateway::may_manage(&layout.actor, &Owner::Instance) { gateway.left_out() } else { Vec::new() };
    let may_make = may_make(&layout.actor);
    page(&Pools { layout: layout.at(Place::Gateway), pools, left_out, may_drain, may_make, now: clock.now() })
}

impl MemberRow {
    /// What it does now, on this replica.
    fn with(mut self, live: &LiveBackend) -> Self {
        let seconds = |span: std::time::Duration| format!("{:.0} s", span.as_secs_f64().ceil());
        match live.state {
            "open" => {
                let wait = live.opens_in.map(seconds).unwrap_or_default();
                (self.class, self.state) = ("bad", format!("left alone for {wait}"));
            }
            "half-open" => (self.class, self.state) = ("warn", "being tried".to_owned()),
            _ => {}
        }
        if let Some((why, ago)) = live.last_trip.as_ref().filter(|_| self.reason.is_empty()) {
            self.reason = format!("it {why}, {} ago", seconds(*ago));
        }
        self.busy = live.busy.to_string();
        if !live.latency.is_zero() {
            self.latency = match live.latency.as_millis() {
                0 => "< 1 ms".to_owned(),
                ms => words::seconds(i64::try_from(ms).unwrap_or(i64::MAX)),
            };
        }
        self
    }
}

fn member_row(
    member: &crate::gateway::settings::Member,
    backend: Option<&Thing>,
    may_drain: &impl Fn(&Owner) -> bool,
) -> MemberRow {
    let settings = backend.and_then(|thing| match &thing.settings {
        Settings::Backend(settings) => Some(settings),
        _ => None,
    });
    let (class, state, reason) = match settings {
        None => ("warn", "of the instance".to_owned(), "told to those who look after it".to_owned()),
        Some(settings) if settings.drained => {
            ("warn", "drained".to_owned(), "by hand; requests under way finish".to_owned())
        }
        Some(_) => ("ok", "in use".to_owned(), String::new()),
    };
    let host = settings.and_then(|settings| settings.url.parse::<url::Url>().ok());
    MemberRow {
        anchor: backend.map_or_else(String::new, |thing| anchor(&thing.owner, &thing.name)),
        name: member.backend.clone(),
        workspace: backend.and_then(|thing| workspace(&thing.owner)).unwrap_or_default(),
        host: host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "–".to_owned()),
        credential: settings
            .and_then(|settings| settings.credential.clone())
            .map_or_else(|| "no credential".to_owned(), |name| format!("credential {name}")),
        priority: member.priority,
        weight: member.weight,
        class,
        state,
        reason,
        busy: "–".to_owned(),
        latency: "–".to_owned(),
        capacity: settings.map_or_else(|| "–".to_owned(), |settings| capacity(settings.capacity.tokens_per_minute)),
        drained: settings.is_some_and(|settings| settings.drained),
        may_drain: backend.is_some_and(|thing| may_drain(&thing.owner)),
    }
}

fn serves(book: &Book, pool: &Thing) -> String {
    let mut names = Vec::new();
    for (route, settings) in book.routes() {
        let leads_here = settings.pool == pool.name
            && book.named(Section::Pool, &route.owner, &settings.pool).is_some_and(|found| found.id == pool.id);
        if leads_here {
            match &settings.serves {
                Serves::Models(models) => names.extend(models.iter().cloned()),
                Serves::Rest(asset) => names.push(asset.clone()),
            }
        }
    }
    match names.len() {
        0 => "No route leads here.".to_owned(),
        1..=6 => format!("Serves {}.", names.join(", ")),
        more => format!("Serves {} and {} more.", names[..5].join(", "), more - 5),
    }
}

fn order(settings: &PoolSettings) -> String {
    let strategy = match settings.strategy {
        Strategy::RoundRobin => "in turn",
        Strategy::Weighted => "by weight",
        Strategy::LeastBusy => "the least busy",
        Strategy::LowestLatency => "the quickest",
    };
    let groups = settings.members.iter().any(|member| member.priority != settings.members[0].priority);
    let first = if groups { "Lowest priority first, then " } else { "Chosen " };
    let sticky = settings.affinity.iter().map(|affinity| match affinity {
        Affinity::Header(name) => format!("header {name}"),
        Affinity::Caller => "caller".to_owned(),
        Affinity::User => "user".to_owned(),
        Affinity::PreviousResponse => "previous response".to_owned(),
    });
    let sticky: Vec<_> = sticky.collect();
    let sticky = if sticky.is_empty() { String::new() } else { format!("; kept together by {}", sticky.join(", ")) };
    format!("{first}{strategy}{sticky}.")
}

/// `POST /gateway/drain`: takes a backend out, or puts it back, and leads to the pools again.
pub async fn drain(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    axum::extract::RawForm(form): axum::extract::RawForm,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let field = |name: &str| {
        let found = url::form_urlencoded::parse(&form).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let drained = match field("drained").as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(Failure(Problem::invalid_field("body.drained", "must be `true` or `false`"))),
    };
    let (owner, backend) = (field("workspace"), field("backend"));
    let owner = Some(owner.as_str()).filter(|owner| !owner.is_empty());
    gateway.drain(&layout.actor, owner, &backend, drained).await?;
    Ok(to("/gateway/pools"))
}
