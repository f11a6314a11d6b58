//! `/gateway/limits`: the policies in words, and what each counter holds now.

use super::answers::{Kept, kept};
use super::{anchor, edit_link, may_make, workspace};
use crate::auth::Actor;
use crate::door::{Failure, Query};
use crate::gateway::Gateway;
use crate::gateway::limit::{Limit, Measure, Span};
use crate::gateway::policy::Services;
use crate::gateway::settings::{
    Book, Condition, Owner, PolicySettings, Quota, Reach, Rule, Section, Settings, Thing, TokenLimit,
};
use crate::web::layout::{Layout, Place, page};
use crate::web::words;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "gateway/limits.html")]
struct Limits {
    layout: Layout,
    policies: Vec<Row>,
    left_out: Vec<String>,
    may_make: bool,
    counters: Vec<Counter>,
    /// How many more counters there are.
    more: usize,
    prices: Vec<Price>,
    kept: Option<Kept>,
    /// How many answers were just taken out of the cache.
    purged: Option<usize>,
}

/// What the page is asked with.
#[derive(Deserialize)]
pub struct Asked {
    purged: Option<usize>,
}

struct Row {
    anchor: String,
    name: String,
    workspace: Option<String>,
    says: String,
    counted: String,
    place: String,
    shadow: bool,
    edit: Option<String>,
}

/// What a limit has counted for one value of its key.
struct Counter {
    policy: String,
    anchor: String,
    value: String,
    /// `1,234 of 20,000 tokens in a minute`
    words: String,
    /// Of a hundred, at most that.
    part: f64,
    class: &'static str,
    state: String,
}

struct Price {
    model: String,
    workspace: Option<String>,
    input: String,
    output: String,
    cached: String,
    edit: Option<String>,
}

/// `GET /gateway/limits`.
pub async fn show(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(services): State<Services>,
    Query(Asked { purged }): Query<Asked>,
) -> Result<Response, Failure> {
    let book = gateway.readable(&layout.actor).await?;
    let actor = &layout.actor;
    let policies = book.policies().map(|(thing, settings)| row(actor, &book, thing, settings)).collect();
    let (counters, more) = counters(actor, &book, &services);
    let prices = book.things.iter().filter_map(|thing| price(actor, thing)).collect();
    let may_make = may_make(actor);
    let left_out = if Gateway::may_manage(&layout.actor, &Owner::Instance) { gateway.left_out() } else { Vec::new() };
    let kept = kept(actor, &book, &services).await;
    page(&Limits {
        layout: layout.at(Place::Gateway),
        policies,
        left_out,
        may_make,
        counters,
        more,
        prices,
        kept,
        purged,
    })
}

fn row(actor: &Actor, book: &Book, thing: &Thing, settings: &PolicySettings) -> Row {
    Row {
        anchor: anchor(&thing.owner, &thing.name),
        name: thing.name.clone(),
        workspace: workspace(&thing.owner),
        says: says(&settings.rule),
        counted: counted(&settings.rule),
        place: place(book, thing, settings),
        shadow: settings.shadow,
        edit: edit_link(actor, thing),
    }
}

/// What the limits of policies that the reader looks after have counted on this replica, those with the least room first;
/// and how many more there are.
fn counters(actor: &Actor, book: &Book, services: &Services) -> (Vec<Counter>, usize) {
    const MOST: usize = 50;
    let managed: Vec<(String, &Thing)> = book
        .policies()
        .filter(|(thing, _)| Gateway::may_manage(actor, &thing.owner))
        .map(|(thing, _)| (format!("{}/", thing.id), thing))
        .collect();
    let mut found = Vec::new();
    let mut more = 0;
    for view in services.limits.counters() {
        let Some((_, thing)) = managed.iter().find(|(start, _)| view.limit.id.starts_with(start)) else { continue };
        if found.len() == MOST {
            more += 1;
            continue;
        }
        let (words, counted) = (counter_words(&view.limit, view.used), view.used + view.reserved);
        let part = (counted as f64 / view.limit.most.max(1) as f64 * 100.0).min(100.0);
        let class = if part >= 100.0 {
            "bad"
        } else if part >= 80.0 {
            "warn"
        } else {
            "ok"
        };
        let state = match (class, view.limit.span) {
            ("bad", Span::AtOnce) => "full".to_owned(),
            (_, Span::AtOnce) => String::new(),
            ("bad", _) => format!("used up; all free again in {}", words::duration(view.reset)),
            _ => format!("all free again in {}", words::duration(view.reset)),
        };
        let (policy, anchor) = (thing.name.clone(), anchor(&thing.owner, &thing.name));
        found.push(Counter { policy, anchor, value: view.value.to_string(), words, part, class, state });
    }
    (found, more)
}

/// `1,234 of 20,000 tokens in a minute`, `800.40 of 1,000.00 in a month`, `1 of 4 requests at once`.
pub(super) fn counter_words(limit: &Limit, used: u64) -> String {
    let amount = |amount: u64| match limit.measure {
        Measure::Cost => words::money(i64::try_from(amount).unwrap_or(i64::MAX)),
        _ => words::number(amount),
    };
    let unit = match limit.measure {
        Measure::Cost => String::new(),
        measure => format!(" {}", measure.as_str()),
    };
    let time = match limit.span {
        Span::AtOnce => "at once".to_owned(),
        span => format!("in {}", span.words()),
    };
    format!("{} of {}{unit} {time}", amount(used), amount(limit.most))
}

fn price(actor: &Actor, thing: &Thing) -> Option<Price> {
    let Settings::Price(price) = &thing.settings else { return None };
    Some(Price {
        model: thing.name.clone(),
        workspace: workspace(&thing.owner),
        input: price.input.to_string(),
        output: price.output.to_string(),
        cached: price.cached_input.map_or_else(|| "as input".to_owned(), |price| price.to_string()),
        edit: edit_link(actor, thing),
    })
}

fn counted(rule: &Rule) -> String {
    match rule {
        Rule::TokenLimit(limit) => limit.counter_key.to_string(),
        Rule::RequestRate(rate) => rate.counter_key.to_string(),
        Rule::Budget(budget) => budget.counter_key.to_string(),
        _ => String::new(),
    }
}

/// What a rule does, in a sentence or two.
pub(super) fn says(rule: &Rule) -> String {
    match rule {
        Rule::TokenLimit(limit) => token_limit(limit),
        Rule::RequestRate(rate) => format!("{} requests in {}", figure(rate.requests), rate.per),
        Rule::Budget(budget) => {
            let soft = budget.soft.map(|soft| format!("told of at {}", words::number(soft)));
            let hard = budget.hard.map(|hard| format!("refused at {}", words::number(hard)));
            let parts: Vec<_> = [soft, hard].into_iter().flatten().collect();
            format!("money, each {}: {}", budget.period.as_str(), parts.join(", "))
        }
        Rule::ModelAllowList(list) => format!("only the models {}", list.models.join(", ")),
        Rule::IpFilter(filter) => {
            let allow = (!filter.allow.is_empty()).then(|| format!("only from {}", filter.allow.join(", ")));
            let deny = (!filter.deny.is_empty()).then(|| format!("not from {}", filter.deny.join(", ")));
            [allow, deny].into_iter().flatten().collect::<Vec<_>>().join("; ")
        }
        Rule::SizeLimit(limit) => {
            let parts = [
                (limit.request_bytes, "bytes of request"),
                (limit.input_tokens, "tokens of prompt"),
                (limit.output_tokens, "tokens of answer"),
            ];
            format!("at most {}", amounts(&parts))
        }
        Rule::Headers(_) => "sets and removes headers".to_owned(),
        Rule::Content(content) => {
            let blocked = words::count(content.blocked.len(), "pattern is refused", "patterns are refused");
            let masked = words::count(content.masks.len(), "is hidden", "are hidden");
            format!("{blocked}, {masked} from the backend")
        }
        Rule::GuardHook(hook) => format!("asks {}", hook.url),
        Rule::SemanticCache(cache) => {
            format!("answers again what is as near as {}, for {}", cache.threshold, cache.ttl)
        }
        Rule::TokenMetrics(metrics) => {
            let names: Vec<_> = metrics.dimensions.keys().map(String::as_str).collect();
            format!("metrics by {}", names.join(", "))
        }
        Rule::PromptLog(log) => format!("keeps prompts, redacted, for {}", log.retention),
    }
}

fn token_limit(limit: &TokenLimit) -> String {
    let minute = [
        (limit.tokens_per_minute, "tokens"),
        (limit.input_tokens_per_minute, "tokens of prompt"),
        (limit.output_tokens_per_minute, "tokens of answer"),
        (limit.requests_per_minute, "requests"),
    ];
    let minute = amounts(&minute);
    let mut parts = Vec::new();
    if !minute.is_empty() {
        parts.push(format!("{minute} a minute"));
    }
    if let Some(at_once) = limit.concurrent_requests {
        parts.push(format!("{at_once} requests at once"));
    }
    for Quota { period, tokens, input_tokens, output_tokens, requests } in &limit.quotas {
        let each = [
            (*tokens, "tokens"),
            (*input_tokens, "tokens of prompt"),
            (*output_tokens, "tokens of answer"),
            (*requests, "requests"),
        ];
        parts.push(format!("{} a {}", amounts(&each), period.as_str()));
    }
    parts.join("; ")
}

fn amounts(parts: &[(Option<u64>, &str)]) -> String {
    let told = parts.iter().filter_map(|(amount, of)| amount.map(|amount| format!("{} {of}", figure(amount))));
    told.collect::<Vec<_>>().join(", ")
}

fn figure(amount: u64) -> String {
    words::number(usize::try_from(amount).unwrap_or(usize::MAX))
}

/// Which routes it reaches, and on what condition.
fn place(book: &Book, policy: &Thing, settings: &PolicySettings) -> String {
    let routes = match (settings.reach, policy.owner.workspace_name()) {
        (Reach::All, None) => "all routes".to_owned(),
        (Reach::All, Some(workspace)) => format!("all routes of {workspace}"),
        (Reach::Named, _) => {
            let named = book.routes().filter(|(route, its)| {
                its.policies.contains(&policy.name)
                    && book.named(Section::Policy, &route.owner, &policy.name).is_some_and(|one| one.id == policy.id)
            });
            let names: Vec<_> = named.map(|(route, _)| route.name.as_str()).collect();
            if names.is_empty() { "no route names it".to_owned() } else { format!("routes {}", names.join(", ")) }
        }
    };
    let Condition { workspaces, keys, users, groups, models, routes: only, except_workspaces } = &settings.when;
    let lists = [
        (workspaces, "for workspaces"),
        (keys, "for keys"),
        (users, "for users"),
        (groups, "for groups"),
        (models, "for models"),
        (only, "on routes"),
        (except_workspaces, "not for workspaces"),
    ];
    let conditions = lists.into_iter().filter(|(list, _)| !list.is_empty());
    let conditions: Vec<_> = conditions.map(|(list, word)| format!("{word} {}", list.join(", "))).collect();
    if conditions.is_empty() { routes } else { format!("{routes}, {}", conditions.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_is_told_in_words() {
        for (rule, words) in [
            (
                json!({"tokenLimit": {"tokensPerMinute": 20000, "requestsPerMinute": 60, "quotas": [{"period": "day", "tokens": 5000000}]}}),
                "20,000 tokens, 60 requests a minute; 5,000,000 tokens a day",
            ),
            (
                json!({"budget": {"counterKey": "{key}", "period": "month", "soft": 800, "hard": 1000.5}}),
                "money, each month: told of at 800, refused at 1,000.5",
            ),
            (
                json!({"ipFilter": {"allow": ["10.0.0.0/8"], "deny": ["10.1.0.0/16"]}}),
                "only from 10.0.0.0/8; not from 10.1.0.0/16",
            ),
        ] {
            let Ok(Settings::Policy(settings)) = Settings::read(Section::Policy, json!({"rule": rule})) else {
                panic!()
            };
            assert_eq!(says(&settings.rule), words);
        }
    }
}
