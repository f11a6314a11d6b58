//! Checks of policies: one that could never act, or would refuse everything, is no policy.

use super::{Checker, plain_header, priced, settable_header};
use crate::base::Network;
use crate::gateway::settings::{
    Budget, Condition, Content, GuardHook, HeaderEdit, Headers, IpFilter, LooksAt, Mask, Owner, PolicySettings, Reach,
    RequestRate, Rule, Section, SemanticCache, Serves, SizeLimit, TokenLimit, TokenMetrics,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Compiled patterns larger than this are no patterns for a request's path.
const PATTERN_SIZE: usize = 1 << 20;

pub(super) fn check(on: &mut Checker<'_>, settings: &PolicySettings) {
    on.title(&settings.title);
    match &settings.rule {
        Rule::TokenLimit(limit) => token_limit(on, limit),
        Rule::RequestRate(rate) => request_rate(on, rate),
        Rule::Budget(budget) => {
            self::budget(on, budget);
            priced::of_budget(on, settings);
        }
        Rule::ModelAllowList(list) => {
            on.refuse(list.models.is_empty(), "rule.modelAllowList.models", "an empty list allows nothing");
            on.refuse(list.models.len() > 200, "rule.modelAllowList.models", "at most 200");
            on.no_twins("rule.modelAllowList.models", &list.models);
            served(on, "rule.modelAllowList.models", &list.models, false);
        }
        Rule::IpFilter(filter) => ip_filter(on, filter),
        Rule::SizeLimit(limit) => size_limit(on, limit),
        Rule::Headers(headers) => self::headers(on, headers),
        Rule::Content(content) => self::content(on, content),
        Rule::GuardHook(hook) => guard(on, hook),
        Rule::SemanticCache(cache) => self::cache(on, cache),
        Rule::TokenMetrics(metrics) => self::metrics(on, metrics),
        Rule::PromptLog(log) => {
            let at = "rule.promptLog";
            on.refuse(!log.requests && !log.responses, at, "logs neither requests nor responses");
            on.refuse(!(1..=100).contains(&log.percentage), &format!("{at}.percentage"), "must be between 1 and 100");
            on.refuse(
                !(1..=2 << 20).contains(&log.max_bytes),
                &format!("{at}.maxBytes"),
                "must be between 1 and 2097152",
            );
            let kept = log.retention.0;
            on.refuse(kept < HOUR || kept > 366 * 24 * HOUR, &format!("{at}.retention"), "must be between 1h and 366d");
        }
    }
    condition(on, settings);
}

fn condition(on: &mut Checker<'_>, settings: &PolicySettings) {
    let when = &settings.when;
    on.workspaces("when.workspaces", &when.workspaces);
    on.workspaces("when.exceptWorkspaces", &when.except_workspaces);
    let none_left =
        !when.workspaces.is_empty() && when.workspaces.iter().all(|one| when.except_workspaces.contains(one));
    on.refuse(none_left, "when.exceptWorkspaces", "takes away every workspace it is for, so it could never apply");
    served(on, "when.models", &when.models, true);
    for (at, name) in when.routes.iter().enumerate() {
        let reached = on.book.routes().any(|(route, _)| route.name == *name && reaches(on, settings, route));
        if !reached {
            on.wrong(format!("when.routes[{at}]"), format!("there is no route {name} that this policy reaches"));
        }
    }
    let Condition { workspaces, keys, users, groups, models, routes, except_workspaces } = when;
    for (path, list) in [
        ("when.workspaces", workspaces),
        ("when.keys", keys),
        ("when.users", users),
        ("when.groups", groups),
        ("when.models", models),
        ("when.routes", routes),
        ("when.exceptWorkspaces", except_workspaces),
    ] {
        on.refuse(list.len() > 1000, path, "at most 1,000");
        on.no_twins(path, list);
    }
    let idle = match settings.reach {
        Reach::Named => !on.book.routes().any(|(route, _)| reaches(on, settings, route)),
        Reach::All => false,
    };
    if idle {
        on.warn("reach", "no route names it, so it does nothing yet");
    }
}

/// Whether the policy acts on this route.
fn reaches(on: &Checker<'_>, settings: &PolicySettings, route: &crate::gateway::settings::Thing) -> bool {
    let crate::gateway::settings::Settings::Route(its) = &route.settings else { return false };
    match settings.reach {
        Reach::All => on.thing.owner == Owner::Instance || on.thing.owner == route.owner,
        Reach::Named => {
            its.policies.contains(&on.thing.name)
                && on.book.named(Section::Policy, &route.owner, &on.thing.name).is_some_and(|one| one.id == on.thing.id)
        }
    }
}

/// Whether each of these models is offered by a route at all; a condition on one that is not could never be met.
fn served(on: &mut Checker<'_>, path: &str, models: &[String], is_error: bool) {
    for (at, model) in models.iter().enumerate() {
        let offered = on.book.routes().any(|(route, settings)| {
            (on.thing.owner == Owner::Instance || on.thing.owner == route.owner || route.owner == Owner::Instance)
                && matches!(&settings.serves, Serves::Models(theirs) if theirs.contains(model))
        });
        if !offered {
            on.add(format!("{path}[{at}]"), format!("no route offers the model {model}"), is_error);
        }
    }
}

fn token_limit(on: &mut Checker<'_>, limit: &TokenLimit) {
    let at = "rule.tokenLimit";
    counter_key(on, at, limit.counter_key.as_str());
    let minute = [
        ("tokensPerMinute", limit.tokens_per_minute),
        ("inputTokensPerMinute", limit.input_tokens_per_minute),
        ("outputTokensPerMinute", limit.output_tokens_per_minute),
        ("requestsPerMinute", limit.requests_per_minute),
        ("concurrentRequests", limit.concurrent_requests.map(u64::from)),
        ("replyAllowance", limit.reply_allowance),
    ];
    for (name, number) in minute {
        on.refuse(number == Some(0), &format!("{at}.{name}"), "0 would refuse everything; disable the route instead");
    }
    let limits = minute[..5].iter().any(|(_, number)| number.is_some()) || !limit.quotas.is_empty();
    on.refuse(!limits, at, "sets no limit: give tokensPerMinute, requestsPerMinute, concurrentRequests, a quota ...");
    if let (Some(allowance), Some(most)) =
        (limit.reply_allowance, limit.output_tokens_per_minute.or(limit.tokens_per_minute))
    {
        on.refuse(
            allowance > most,
            &format!("{at}.replyAllowance"),
            "is more than a whole minute allows, so every request without max_tokens would be refused",
        );
    }
    on.refuse(limit.queue.is_some_and(|queue| queue.0 > Duration::from_secs(5)), &format!("{at}.queue"), "at most 5s");
    on.refuse(limit.quotas.len() > 10, &format!("{at}.quotas"), "at most 10");
    for (number, quota) in limit.quotas.iter().enumerate() {
        let here = format!("{at}.quotas[{number}]");
        let amounts = [
            ("tokens", quota.tokens),
            ("inputTokens", quota.input_tokens),
            ("outputTokens", quota.output_tokens),
            ("requests", quota.requests),
        ];
        on.refuse(amounts.iter().all(|(_, amount)| amount.is_none()), &here, "sets no amount");
        for (name, amount) in amounts {
            on.refuse(amount == Some(0), &format!("{here}.{name}"), "0 would refuse everything");
        }
        on.refuse(
            limit.quotas[..number].iter().any(|other| other.period == quota.period),
            &here,
            "this period stands there twice; put its amounts together",
        );
        if let (Some(quota), Some(minute)) = (quota.tokens, limit.tokens_per_minute)
            && quota <= minute
        {
            on.warn(format!("{at}.tokensPerMinute"), "is not below the quota, which is reached first");
        }
    }
}

fn counter_key(on: &mut Checker<'_>, at: &str, key: &str) {
    on.refuse(key.trim().is_empty(), &format!("{at}.counterKey"), "must not be empty; `everyone` counts all together");
}

fn request_rate(on: &mut Checker<'_>, rate: &RequestRate) {
    counter_key(on, "rule.requestRate", rate.counter_key.as_str());
    on.refuse(rate.requests == 0, "rule.requestRate.requests", "0 would refuse everything; disable the route instead");
    let per = rate.per.0;
    on.refuse(per < Duration::from_secs(1) || per > HOUR, "rule.requestRate.per", "must be between 1s and 1h");
}

fn budget(on: &mut Checker<'_>, budget: &Budget) {
    let at = "rule.budget";
    counter_key(on, at, budget.counter_key.as_str());
    on.refuse(budget.soft.is_none() && budget.hard.is_none(), at, "give a soft or a hard amount");
    on.refuse(budget.hard.is_some_and(|hard| hard.micros == 0), &format!("{at}.hard"), "0 would refuse everything");
    if let (Some(soft), Some(hard)) = (budget.soft, budget.hard) {
        on.refuse(soft >= hard, &format!("{at}.soft"), "must be below the hard amount, to be told of before it acts");
    }
    if let Some(webhook) = &budget.webhook {
        on.url(&format!("{at}.webhook"), webhook);
    }
    // A workspace's budget never meets the backends of another, for which alone the other's prices hold.
    let owner = &on.thing.owner;
    let counts = |of: &Owner| *owner == Owner::Instance || *of == Owner::Instance || of == owner;
    let priced = on.book.things.iter().any(|thing| thing.section() == Section::Price && counts(&thing.owner))
        || on.book.backends().any(|(thing, backend)| !backend.prices.is_empty() && counts(&thing.owner));
    on.refuse(!priced, at, "no model has a price, so nothing would ever be spent; add prices first");
}

fn ip_filter(on: &mut Checker<'_>, filter: &IpFilter) {
    let at = "rule.ipFilter";
    on.refuse(filter.allow.is_empty() && filter.deny.is_empty(), at, "names no address");
    for (list, name) in [(&filter.allow, "allow"), (&filter.deny, "deny")] {
        on.refuse(list.len() > 1000, &format!("{at}.{name}"), "at most 1,000");
        for (number, block) in list.iter().enumerate() {
            if let Err(form) = block.parse::<Network>() {
                on.wrong(format!("{at}.{name}[{number}]"), form);
            }
        }
    }
    let none_left = !filter.allow.is_empty() && filter.allow.iter().all(|block| filter.deny.contains(block));
    on.refuse(none_left, at, "denies everything it allows, so every request would be refused");
}

fn size_limit(on: &mut Checker<'_>, limit: &SizeLimit) {
    let at = "rule.sizeLimit";
    let limits = [
        ("requestBytes", limit.request_bytes),
        ("inputTokens", limit.input_tokens),
        ("outputTokens", limit.output_tokens),
        ("responseBytes", limit.response_bytes),
    ];
    on.refuse(limits.iter().all(|(_, number)| number.is_none()), at, "sets no limit");
    for (name, number) in limits {
        on.refuse(number == Some(0), &format!("{at}.{name}"), "0 would refuse everything");
    }
}

fn headers(on: &mut Checker<'_>, headers: &Headers) {
    let at = "rule.headers";
    let empty = HeaderEdit::default();
    on.refuse(headers.request == empty && headers.response == empty, at, "changes nothing");
    for (edit, name) in [(&headers.request, "request"), (&headers.response, "response")] {
        for (header, value) in &edit.set {
            // What clients are answered is no secret from whoever reads the settings, nor is what a request says of itself.
            let value = value.to_string();
            let is_told = name == "response" || value.contains('{');
            let plain = if is_told { Ok(()) } else { plain_header(header, &value) };
            if let Err(message) = settable_header(header).and(plain) {
                on.wrong(format!("{at}.{name}.set.{header}"), message);
            }
            if edit.remove.iter().any(|removed| removed.eq_ignore_ascii_case(header)) {
                on.wrong(format!("{at}.{name}.remove"), format!("{header} is both set and removed"));
            }
        }
        for (number, header) in edit.remove.iter().enumerate() {
            if let Err(message) = settable_header(header) {
                on.wrong(format!("{at}.{name}.remove[{number}]"), message);
            }
        }
    }
}

fn content(on: &mut Checker<'_>, content: &Content) {
    let at = "rule.content";
    on.refuse(content.blocked.is_empty() && content.masks.is_empty(), at, "neither blocks nor masks anything");
    on.refuse(
        content.looks_at != LooksAt::Prompts && content.blocked.is_empty(),
        &format!("{at}.looksAt"),
        "looks for nothing: no pattern is blocked, and masks are for prompts alone",
    );
    on.refuse(content.blocked.len() > 200, &format!("{at}.blocked"), "at most 200");
    on.refuse(content.masks.len() > 100, &format!("{at}.masks"), "at most 100");
    on.refuse(
        content.restore && content.masks.is_empty(),
        &format!("{at}.restore"),
        "nothing is masked that could be restored",
    );
    for (number, text) in content.blocked.iter().enumerate() {
        pattern(on, &format!("{at}.blocked[{number}]"), text);
    }
    for (number, mask) in content.masks.iter().enumerate() {
        if let Mask::Pattern(text) = mask {
            pattern(on, &format!("{at}.masks[{number}].pattern"), text);
        }
    }
}

fn pattern(on: &mut Checker<'_>, path: &str, text: &str) {
    match regex::RegexBuilder::new(text).size_limit(PATTERN_SIZE).build() {
        Ok(pattern) if pattern.is_match("") => on.wrong(path, "matches the empty text, and so everything"),
        Ok(_) => {}
        Err(error) => on.wrong(path, format!("is no regular expression we take: {}", first_line(&error.to_string()))),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

fn guard(on: &mut Checker<'_>, hook: &GuardHook) {
    on.url("rule.guardHook.url", &hook.url);
    let sensible = |span: Duration| !span.is_zero() && span <= Duration::from_secs(30);
    on.refuse(
        hook.timeout.is_some_and(|timeout| !sensible(timeout.0)),
        "rule.guardHook.timeout",
        "must be longer than nothing and at most 30s",
    );
}

fn cache(on: &mut Checker<'_>, cache: &SemanticCache) {
    let at = "rule.semanticCache";
    on.refuse(!(0.0..=1.0).contains(&cache.threshold), &format!("{at}.threshold"), "must be between 0 and 1");
    if cache.threshold < 0.8 {
        on.warn(format!("{at}.threshold"), "so low a threshold answers questions that were not asked");
    }
    let ttl = cache.ttl.0;
    on.refuse(ttl < Duration::from_secs(1) || ttl > 30 * 24 * HOUR, &format!("{at}.ttl"), "must be between 1s and 30d");
    on.refuse(!(1..=1000).contains(&cache.max_messages), &format!("{at}.maxMessages"), "must be between 1 and 1000");
    on.refuse(cache.vary_by.len() > 10, &format!("{at}.varyBy"), "at most 10");
}

fn metrics(on: &mut Checker<'_>, metrics: &TokenMetrics) {
    let at = "rule.tokenMetrics.dimensions";
    on.refuse(metrics.dimensions.is_empty(), at, "adds no dimension");
    on.refuse(metrics.dimensions.len() > 10, at, "at most 10");
    for name in metrics.dimensions.keys() {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !begins || !name.bytes().all(legal) || name.len() > 63 {
            on.wrong(format!("{at}.{name}"), "a label has letters, digits and '_', and begins with a letter");
        }
    }
}
