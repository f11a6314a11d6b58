//! Checks of routes.

use super::{Checker, legal_model, priced};
use crate::base::Name;
use crate::gateway::settings::{
    BackendSettings, Callers, Dialect, Owner, PoolSettings, Provider, Reach, RouteSettings, Rule, Section, Serves,
    Settings,
};

pub(super) fn check(on: &mut Checker<'_>, settings: &RouteSettings) {
    on.title(&settings.title);
    let pool = on.usable("pool", Section::Pool, &settings.pool);
    let backends = match pool.map(|pool| (&pool.owner, &pool.settings)) {
        Some((owner, Settings::Pool(pool))) => backends(on, owner, pool),
        _ => Vec::new(),
    };
    match &settings.serves {
        Serves::Models(models) => self::models(on, settings, models, &backends),
        Serves::Rest(asset) => rest(on, settings, asset, &backends),
    }
    if let Some(asset) = &settings.asset {
        self::asset(on, "asset", asset);
    }
    on.refuse(settings.policies.len() > 100, "policies", "at most 100");
    on.no_twins("policies", &settings.policies);
    for (at, name) in settings.policies.iter().enumerate() {
        let path = format!("policies[{at}]");
        let policy = on.usable(&path, Section::Policy, name).map(|policy| &policy.settings);
        if let (Some(Settings::Policy(policy)), Serves::Rest(_)) = (policy, &settings.serves) {
            on.refuse(policy.rule.is_about_models(), &path, "is about models, and would do nothing at a REST API");
        }
    }
    on.no_twins("dialects", &settings.dialects);
    if let Callers::Workspaces(names) = &settings.callers {
        on.refuse(names.is_empty(), "callers.workspaces", "nobody could call it");
        on.workspaces("callers.workspaces", names);
    }
}

/// The backends of a pool; it names them from where it stands itself.
fn backends<'a>(on: &Checker<'a>, owner: &Owner, pool: &PoolSettings) -> Vec<&'a BackendSettings> {
    let members = pool.members.iter().filter_map(|member| on.book.named(Section::Backend, owner, &member.backend));
    members
        .filter_map(|thing| match &thing.settings {
            Settings::Backend(settings) => Some(&**settings),
            _ => None,
        })
        .collect()
}

fn models(on: &mut Checker<'_>, settings: &RouteSettings, models: &[String], backends: &[&BackendSettings]) {
    on.refuse(models.is_empty(), "serves.models", "a route without models answers to nothing");
    on.refuse(models.len() > 200, "serves.models", "at most 200");
    on.no_twins("serves.models", models);
    for (at, model) in models.iter().enumerate() {
        let path = format!("serves.models[{at}]");
        if let Err(message) = legal_model(model) {
            on.wrong(path, message);
            continue;
        }
        let other = on.book.routes().find(|(thing, other)| {
            thing.id != on.thing.id
                && thing.owner == on.thing.owner
                && matches!(&other.serves, Serves::Models(theirs) if theirs.contains(model))
        });
        if let Some((thing, _)) = other {
            on.wrong(path, format!("route {} answers to this model already", thing.name));
            continue;
        }
        if !backends.is_empty() && !backends.iter().any(|backend| serves(backend, model)) {
            on.wrong(path, format!("no backend of pool {} serves this model", settings.pool));
        }
    }
    for (at, dialect) in settings.dialects.iter().enumerate() {
        let speaks = |backend: &&BackendSettings| match dialect {
            Dialect::OpenaiChat | Dialect::AnthropicMessages => backend.provider != Provider::Rest,
            Dialect::OpenaiResponses | Dialect::OpenaiEmbeddings => {
                matches!(backend.provider, Provider::Openai | Provider::AzureOpenai | Provider::Compatible)
            }
        };
        if !backends.is_empty() && !backends.iter().any(speaks) {
            on.wrong(
                format!("dialects[{at}]"),
                format!("no backend of pool {} can answer {}", settings.pool, dialect.as_str()),
            );
        }
    }
    allow_lists(on, settings, models);
    priced::of_route(on, settings);
}

/// An allow list that always applies and holds none of a route's models makes a route that refuses everything.
fn allow_lists(on: &mut Checker<'_>, settings: &RouteSettings, models: &[String]) {
    let book = on.book;
    for (policy, its) in book.policies() {
        let reaches = match its.reach {
            Reach::All => policy.owner == Owner::Instance || policy.owner == on.thing.owner,
            Reach::Named => {
                settings.policies.contains(&policy.name)
                    && book
                        .named(Section::Policy, &on.thing.owner, &policy.name)
                        .is_some_and(|found| found.id == policy.id)
            }
        };
        let Rule::ModelAllowList(list) = &its.rule else { continue };
        if reaches
            && its.when == super::super::Condition::default()
            && !its.shadow
            && !models.iter().any(|model| list.models.contains(model))
        {
            on.warn(
                "policies",
                format!("policy {} allows none of its models, so every request is refused", policy.name),
            );
        }
    }
}

fn serves(backend: &BackendSettings, model: &str) -> bool {
    backend.provider != Provider::Rest && backend.vendor_model(model).is_some()
}

fn rest(on: &mut Checker<'_>, settings: &RouteSettings, asset: &str, backends: &[&BackendSettings]) {
    self::asset(on, "serves.rest", asset);
    on.refuse(!settings.dialects.is_empty(), "dialects", "a REST API has no dialects of models");
    on.refuse(
        settings.asset.as_ref().is_some_and(|other| other != asset),
        "asset",
        "a REST route belongs to the asset it serves",
    );
    if !backends.iter().all(|backend| backend.provider == Provider::Rest) {
        on.wrong("pool", format!("pool {} holds models; a REST API needs backends of provider rest", settings.pool));
    }
    let other = on.book.routes().find(|(thing, other)| {
        thing.id != on.thing.id && thing.owner == on.thing.owner && other.serves == Serves::Rest(asset.to_owned())
    });
    if let Some((thing, _)) = other {
        on.wrong("serves.rest", format!("route {} serves this asset already", thing.name));
    }
}

fn asset(on: &mut Checker<'_>, path: &str, text: &str) {
    let name = match &on.thing.owner {
        Owner::Workspace { .. } => Some(text),
        Owner::Instance => match text.split_once('/') {
            Some((workspace, name)) if on.book.owner(Some(workspace)).is_some() => Some(name),
            _ => None,
        },
    };
    match name.map(Name::parse) {
        Some(Ok(_)) => {}
        Some(Err(bad)) => on.wrong(path, bad.to_string()),
        None => on.wrong(path, "a route of the instance names an asset as `workspace/name`, with a workspace there is"),
    }
}
