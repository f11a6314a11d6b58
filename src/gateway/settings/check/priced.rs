//! Budgets count what has a price: models that have none are warned of, where a budget is written and where a route is. So
//! is a workspace's price that holds for nothing.

use super::Checker;
use crate::gateway::settings::{
    BackendSettings, Book, Condition, Owner, PolicySettings, Provider, Reach, RouteSettings, Rule, Section, Serves,
    Settings, Thing,
};

/// Names of models that are told in one warning.
const TOLD: usize = 10;

/// Warns of a budget before which some models are free.
pub(super) fn of_budget(on: &mut Checker<'_>, settings: &PolicySettings) {
    let book = on.book;
    let reached = book.routes().filter(|(route, its)| reaches(book, (on.thing, settings), (route, its)));
    let mut models: Vec<&str> = reached
        .flat_map(|(route, its)| unpriced(book, route, its))
        .filter(|model| means(&settings.when, model))
        .collect();
    models.sort_unstable();
    models.dedup();
    if !models.is_empty() {
        on.warn("rule.budget", format!("counts nothing for what has no price: {}", listed(&models)));
    }
}

/// Warns of models of a route for which a budget that reaches it counts nothing.
pub(super) fn of_route(on: &mut Checker<'_>, settings: &RouteSettings) {
    let book = on.book;
    let unpriced = unpriced(book, on.thing, settings);
    let budgets = book.policies().filter(|(_, its)| matches!(its.rule, Rule::Budget(_)));
    for (policy, its) in budgets.filter(|(policy, its)| reaches(book, (policy, its), (on.thing, settings))) {
        let models: Vec<&str> = unpriced.iter().copied().filter(|model| means(&its.when, model)).collect();
        if !models.is_empty() {
            let (name, models) = (&policy.name, listed(&models));
            on.warn("serves.models", format!("the budget {name} counts nothing for what has no price: {models}"));
        }
    }
}

/// Warns of a workspace's price when no backend of that workspace serves the model: it holds for no other's.
pub(super) fn of_price(on: &mut Checker<'_>) {
    let (book, price) = (on.book, on.thing);
    if price.owner == Owner::Instance {
        return;
    }
    let is_meant = |backend: &BackendSettings| {
        backend.models.values().any(|vendor| *vendor == price.name) || backend.vendor_model(&price.name).is_some()
    };
    let mut own = book.backends().filter(|(thing, _)| thing.owner == price.owner);
    if !own.any(|(_, backend)| backend.provider != Provider::Rest && is_meant(backend)) {
        on.warn("", "no backend of the workspace serves this model, and its prices hold for its own backends alone");
    }
}

fn means(when: &Condition, model: &str) -> bool {
    when.models.is_empty() || when.models.iter().any(|one| one == model)
}

fn listed(models: &[&str]) -> String {
    let told = models[..models.len().min(TOLD)].join(", ");
    match models.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// Whether a policy acts on a route.
fn reaches(book: &Book, (policy, its): (&Thing, &PolicySettings), (route, settings): (&Thing, &RouteSettings)) -> bool {
    match its.reach {
        Reach::All => policy.owner == Owner::Instance || policy.owner == route.owner,
        Reach::Named => {
            let meant = |name: &String| book.named(Section::Policy, &route.owner, name);
            settings.policies.iter().filter_map(meant).any(|found| found.id == policy.id)
        }
    }
}

/// The models of a route that a backend of its pool serves without a price.
fn unpriced<'a>(book: &Book, route: &Thing, settings: &'a RouteSettings) -> Vec<&'a str> {
    let Serves::Models(models) = &settings.serves else { return Vec::new() };
    let pool = book.named(Section::Pool, &route.owner, &settings.pool);
    let Some((owner, Settings::Pool(pool))) = pool.map(|pool| (&pool.owner, &pool.settings)) else { return Vec::new() };
    let members = pool.members.iter().filter_map(|member| book.named(Section::Backend, owner, &member.backend));
    let backends: Vec<(&Owner, &BackendSettings)> = members
        .filter_map(|thing| match &thing.settings {
            Settings::Backend(backend) => Some((&thing.owner, &**backend)),
            _ => None,
        })
        .collect();
    let is_free = |model: &str| {
        backends.iter().any(|(owner, backend)| {
            // As `Snapshot::price`: a price holds for the backends of its owner, one of the instance for all.
            let has_price = |name: &str| book.named(Section::Price, owner, name).is_some();
            let vendor = backend.vendor_model(model);
            vendor.is_some_and(|vendor| !backend.prices.contains_key(model) && !has_price(vendor) && !has_price(model))
        })
    };
    models.iter().map(String::as_str).filter(|model| is_free(model)).collect()
}
