//! The promises of the snapshot of the gateway's settings.

use super::parts::of_instance;
use super::*;
use crate::gateway::settings::{
    BackendSettings, Callers, Entry, Member, PolicySettings, PoolSettings, Provider, RouteSettings, Rule, Serves,
    TokenLimit,
};

fn route(model: &str, pool: &str) -> RouteSettings {
    RouteSettings {
        title: String::new(),
        serves: Serves::Models(vec![model.to_owned()]),
        pool: pool.to_owned(),
        asset: None,
        dialects: Vec::new(),
        policies: Vec::new(),
        callers: Callers::Workspace,
        disabled: false,
    }
}

fn one_pool() -> Parts {
    Parts::default()
        .with_backend("eu", BackendSettings::new(Provider::Openai, "https://eu.example.com/v1"))
        .with_pool("chat", PoolSettings { members: vec![Member::new("eu")], ..PoolSettings::default() })
}

#[test]
fn a_model_leads_to_its_route_and_pool_and_the_policies_that_reach_it() {
    let limit = || Rule::TokenLimit(TokenLimit { tokens_per_minute: Some(10), ..TokenLimit::default() });
    let parts = one_pool()
        .with_policy("for-all", PolicySettings::everywhere(limit()))
        .with_policy("named", PolicySettings::new(limit()))
        .with_policy("idle", PolicySettings::new(limit()))
        .with_route("chat", RouteSettings { policies: vec!["named".into()], ..route("gpt-4o", "chat") });

    let (snapshot, wrong) = Snapshot::from_parts(parts);

    assert!(wrong.is_empty(), "{wrong:?}");
    let found = snapshot.route_for_model(&Actor::system("test"), "gpt-4o").unwrap();
    assert_eq!(found.policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["for-all", "named"]);
    assert_eq!(found.pool.members[0].backend.name, "eu");
    assert!(snapshot.route_for_model(&Actor::anonymous(), "gpt-4o").is_none());
    assert!(snapshot.route_for_model(&Actor::system("test"), "gpt-5").is_none());
}

#[test]
fn a_workspace_finds_its_own_things_before_those_of_the_instance() {
    let team = Owner::Workspace { id: WorkspaceId::new(), name: Slug::parse("team").unwrap() };
    let mut parts = one_pool().with_route("chat", route("gpt-4o", "chat"));
    let own = BackendSettings::new(Provider::Openai, "https://team.example.com/v1");
    parts.backends.push(Entry { owner: team.clone(), ..of_instance(BackendId::new(), "eu", own) });
    let pool = PoolSettings { members: vec![Member::new("eu")], ..PoolSettings::default() };
    parts.pools.push(Entry { owner: team.clone(), ..of_instance(PoolId::new(), "chat", pool) });
    parts.routes.push(Entry { owner: team.clone(), ..of_instance(RouteId::new(), "chat", route("gpt-4o", "chat")) });

    let (snapshot, wrong) = Snapshot::from_parts(parts);

    assert!(wrong.is_empty(), "{wrong:?}");
    let system = Actor::system("test");
    let found = snapshot.route_for_model(&system, "gpt-4o").unwrap();
    assert_eq!((&found.owner, found.pool.members[0].backend.url.host_str()), (&team, Some("team.example.com")));
    assert_eq!(snapshot.route_for_model(&system, "team/gpt-4o").unwrap().id, found.id);
    assert_eq!(["gpt-4o", "team/gpt-4o"].map(|asked| found.alias(asked)), ["gpt-4o"; 2]);
}

#[test]
fn what_names_something_missing_is_left_out_and_told() {
    let parts = one_pool()
        .with_route("lost", route("a", "nowhere"))
        .with_route("bare", RouteSettings { policies: vec!["gone".into()], ..route("b", "chat") })
        .with_route("whole", route("c", "chat"));

    let (snapshot, wrong) = Snapshot::from_parts(parts);

    assert_eq!(wrong.iter().map(|one| one.location.as_str()).collect::<Vec<_>>(), ["route lost", "route bare"]);
    assert_eq!(snapshot.models(&Actor::system("test")).iter().map(|(model, _)| *model).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn a_price_is_the_backends_own_before_the_tables() {
    let price =
        |micros| PriceSettings { input: crate::gateway::settings::Money::micros(micros), ..PriceSettings::default() };
    let mut backend = BackendSettings::new(Provider::AzureOpenai, "https://eu.example.com");
    backend.models = [("gpt-4o".to_owned(), "gpt-4o-2024-08-06".to_owned())].into();
    backend.prices = [("mini".to_owned(), price(0))].into();
    let (snapshot, _) = Snapshot::from_parts(
        Parts::default()
            .with_backend("eu", backend)
            .with_price("gpt-4o-2024-08-06", price(5))
            .with_price("gpt-4o", price(7))
            .with_price("mini", price(1)),
    );
    let backend = snapshot.backends().next().unwrap();

    assert_eq!(snapshot.price(backend, "gpt-4o"), Some(&price(5)));
    assert_eq!(snapshot.price(backend, "mini"), Some(&price(0)));
    assert_eq!(snapshot.price(backend, "other"), None);
}
