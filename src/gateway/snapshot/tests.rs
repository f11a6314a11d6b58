//! The promises of the snapshot of the gateway's settings.

use super::parts::of_instance;
use super::*;
use crate::base::PriceId;
use crate::gateway::settings::{
    BackendSettings, Callers, Entry, Member, Money, PolicySettings, PoolSettings, Provider, RouteSettings, Rule,
    Serves, TokenLimit,
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

fn team() -> Owner {
    Owner::Workspace { id: WorkspaceId::new(), name: Slug::parse("team").unwrap() }
}

fn price(micros: u64) -> PriceSettings {
    PriceSettings { input: Money::micros(micros), ..PriceSettings::default() }
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
    let team = team();
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
fn a_policy_that_cannot_be_read_closes_the_routes_it_may_reach() {
    let team = team();
    let limit = || Rule::TokenLimit(TokenLimit { tokens_per_minute: Some(10), ..TokenLimit::default() });
    let under = |policy: &str, model: &str| RouteSettings { policies: vec![policy.into()], ..route(model, "chat") };
    for (owner, name, reaches_all, served) in [
        (&Owner::Instance, "house", true, &[] as &[&str]),
        (&team, "house", true, &["plain", "strict"][..]),
        (&Owner::Instance, "idle", false, &["plain", "strict", "team"][..]),
        // The team's route means the team's; the instance's of that name does not stand in for it.
        (&team, "strict", false, &["plain", "strict"][..]),
    ] {
        let mut parts = one_pool()
            .with_policy("strict", PolicySettings::new(limit()))
            .with_route("plain", route("plain", "chat"))
            .with_route("strict", under("strict", "strict"));
        let of_team = of_instance(RouteId::new(), "team", under("strict", "team"));
        parts.routes.push(Entry { owner: team.clone(), ..of_team });
        parts.unread_policies.push(UnreadPolicy { owner: owner.clone(), name: name.to_owned(), reaches_all });

        let (snapshot, wrong) = Snapshot::from_parts(parts);

        let models = snapshot.models(&Actor::system("test"));
        assert_eq!(models.iter().map(|(model, _)| *model).collect::<Vec<_>>(), served, "{name} of {owner:?}");
        assert_eq!(wrong.len(), 3 - served.len(), "{wrong:?}");
        let reason = format!("the policy {name} that reaches it cannot be read");
        assert!(wrong.iter().all(|one| one.message == reason), "{wrong:?}");
    }
}

#[test]
fn a_price_of_a_workspace_holds_for_its_own_backends_alone() {
    let team = team();
    let backend = || BackendSettings::new(Provider::Openai, "https://eu.example.com/v1");
    let mut parts =
        Parts::default().with_backend("house", backend()).with_price("gpt-4o", price(5)).with_price("mini", price(1));
    parts.backends.push(Entry { owner: team.clone(), ..of_instance(BackendId::new(), "own", backend()) });
    for (model, micros) in [("gpt-4o", 0), ("own", 2)] {
        parts.prices.push(Entry { owner: team.clone(), ..of_instance(PriceId::new(), model, price(micros)) });
    }

    let (snapshot, _) = Snapshot::from_parts(parts);

    let at = |name: &str| snapshot.backends().find(|one| one.name == name).unwrap();
    let prices = |name: &str| ["gpt-4o", "mini", "own"].map(|model| snapshot.price(at(name), model).copied());
    assert_eq!(prices("house"), [Some(price(5)), Some(price(1)), None], "as the instance says, and no team");
    assert_eq!(prices("own"), [Some(price(0)), Some(price(1)), Some(price(2))]);
}

#[test]
fn a_price_is_the_backends_own_before_the_tables() {
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
