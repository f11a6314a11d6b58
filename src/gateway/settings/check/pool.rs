//! Checks of pools.

use super::Checker;
use crate::gateway::settings::{Affinity, PoolSettings, Provider, Section, Settings, Strategy};

pub(super) fn check(on: &mut Checker<'_>, settings: &PoolSettings) {
    on.title(&settings.title);
    on.refuse(settings.members.is_empty(), "members", "a pool without members can answer nothing");
    on.refuse(settings.members.len() > 100, "members", "at most 100");
    let names: Vec<_> = settings.members.iter().map(|member| &member.backend).collect();
    on.no_twins("members", &names);
    let mut rest = Vec::new();
    for (at, member) in settings.members.iter().enumerate() {
        if let Some(found) = on.usable(&format!("members[{at}].backend"), Section::Backend, &member.backend)
            && let Settings::Backend(backend) = &found.settings
        {
            rest.push(backend.provider == Provider::Rest);
        }
        on.refuse(member.priority > 100, &format!("members[{at}].priority"), "must be between 0 and 100");
        on.refuse(member.weight > 1000, &format!("members[{at}].weight"), "must be between 0 and 1000");
    }
    on.refuse(rest.contains(&true) && rest.contains(&false), "members", "models and a REST API cannot share a pool");
    on.refuse(
        !settings.members.is_empty() && settings.members.iter().all(|member| member.weight == 0),
        "members",
        "all weights are 0, so no member would ever be chosen",
    );
    if settings.strategy == Strategy::RoundRobin && settings.members.iter().any(|member| member.weight > 1) {
        on.warn("strategy", "round-robin takes one after another; `weighted` goes by the weights");
    }
    let retries = &settings.retries;
    on.refuse(!(1..=20).contains(&retries.attempts), "retries.attempts", "must be between 1 and 20");
    on.refuse(retries.percentage > 100, "retries.percentage", "must be between 0 and 100");
    on.refuse(retries.floor_per_second > 1000, "retries.floorPerSecond", "must be between 0 and 1000");
    if let Some(hedging) = &settings.hedging {
        let sensible = hedging.after.0.as_millis() >= 10 && hedging.after.0.as_secs() <= 60;
        on.refuse(!sensible, "hedging.after", "must be between 10ms and 60s");
        on.refuse(settings.members.len() < 2, "hedging", "there is no second member to ask");
    }
    on.no_twins("affinity", &settings.affinity);
    on.refuse(settings.affinity.len() > 4, "affinity", "at most 4");
    for (at, affinity) in settings.affinity.iter().enumerate() {
        if let Affinity::Header(name) = affinity
            && http::HeaderName::from_bytes(name.as_bytes()).is_err()
        {
            on.wrong(format!("affinity[{at}].header"), "is no name of a header");
        }
    }
    let used = on.book.routes().any(|(route, settings)| {
        settings.pool == on.thing.name
            && on.book.named(Section::Pool, &route.owner, &settings.pool).is_some_and(|found| found.id == on.thing.id)
    });
    if !used {
        on.warn("", "no route leads here");
    }
}
