//! Whose a request is: which counter it goes to, which workspace is charged, and under whose name it is recorded.

use super::world::{World, chat, header, token_limit};
use std::sync::Arc;
use wharfinger::auth::{Actor, Grant, Identity, KeyRef, Role, Scope};
use wharfinger::base::{AssetId, KeyId, ServiceAccountId, UserId, WorkspaceId};
use wharfinger::gateway::exchange::Exchange;
use wharfinger::gateway::policy::{Admission, CallFacts};
use wharfinger::gateway::settings::{
    Content, LooksAt, Period, PolicySettings, Quota, Rule, SemanticCache, Share, TokenLimit,
};
use wharfinger::gateway::usage::By;

fn key(name: &str) -> Identity {
    Identity::Key { id: KeyId::new(), name: name.into() }
}

fn user(name: &str) -> Identity {
    Identity::User { id: UserId::new(), name: name.into() }
}

/// As `identity`, with a key of this name.
fn with_key(world: &World, identity: &Identity, name: &str) -> Box<Exchange> {
    let mut exchange = world.ask_as(identity.clone(), &chat("hello"));
    Arc::make_mut(&mut exchange.caller).key = Some(KeyRef { id: KeyId::new(), name: name.into() });
    exchange
}

/// One request a minute and one a day, counted by this.
fn once_by(counter_key: &str) -> TokenLimit {
    let quota = Quota { period: Period::Day, tokens: None, input_tokens: None, output_tokens: None, requests: Some(1) };
    let counter_key = counter_key.parse().unwrap();
    TokenLimit { counter_key, requests_per_minute: Some(1), quotas: vec![quota], ..TokenLimit::default() }
}

#[tokio::test]
async fn keys_of_one_name_have_counters_of_their_own_which_are_called_by_that_name() {
    let world = World::with(vec![token_limit(once_by("{key}"))]).await;
    let (one, other) = (key("default"), key("default"));
    let mut first = world.ask_as(one.clone(), &chat("hello"));
    world.admitted(&mut first).await.unwrap();
    world.served(first, 10).await;

    let mut of_other = world.ask_as(other, &chat("hello"));
    world.admitted(&mut of_other).await.expect("another key has a counter of its own");
    world.served(of_other, 10).await;
    let problem = world.admitted(&mut world.ask_as(one, &chat("hello"))).await.unwrap_err();

    assert_eq!(problem.extensions["counterKey"], "default");
    let counters = world.services().limits.counters();
    let told: Vec<_> = counters.iter().map(|counter| (&*counter.value, counter.used)).collect();
    assert_eq!(told, [("default", 1); 4], "a minute and a day of each");
}

#[tokio::test]
async fn the_keys_of_a_person_count_together_and_a_key_of_the_persons_name_counts_apart() {
    let world = World::with(vec![token_limit(once_by("{user}"))]).await;
    let anna = user("anna");
    let mut first = with_key(&world, &anna, "laptop");
    world.admitted(&mut first).await.unwrap();
    world.served(first, 10).await;

    let account = Identity::ServiceAccount { id: ServiceAccountId::new(), name: "anna".into() };
    for namesake in [key("anna"), account] {
        world.admitted(&mut world.ask_as(namesake, &chat("hello"))).await.expect("it is somebody else");
    }
    let problem = world.admitted(&mut with_key(&world, &anna, "phone")).await.unwrap_err();

    assert_eq!(problem.extensions["counterKey"], "anna");
}

#[tokio::test]
async fn what_a_key_was_answered_before_says_nothing_of_another_of_its_name() {
    let limit = TokenLimit { tokens_per_minute: Some(100_000), ..TokenLimit::default() };
    let world = World::with(vec![token_limit(limit)]).await;
    let (known, stranger) = (key("default"), key("default"));
    for _ in 0..20 {
        let mut exchange = world.ask_as(known.clone(), &chat("hello"));
        world.admitted(&mut exchange).await.unwrap();
        world.served(exchange, 10).await;
    }

    let mut exchange = world.ask_as(stranger, &chat("hello"));
    world.admitted(&mut exchange).await.unwrap();

    let left: u64 = header(&exchange, "x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    // The reply may be as long as the request allows: 200.
    assert_eq!(left, 100_000 - exchange.prompt_tokens.unwrap() - 200);
}

#[tokio::test]
async fn who_may_call_an_asset_of_others_is_charged_at_home() {
    let world = World::with(Vec::new()).await;
    let charged = |scopes: &[Scope]| {
        let mut exchange = world.ask("bot", &chat("hello"));
        let grants = scopes.iter().map(|scope| Grant::new(Role::Consumer, *scope)).collect();
        exchange.caller = Arc::new(Actor::of(user("anna"), grants));
        CallFacts::of(&exchange).workspace_id()
    };
    let (one, other, asset) = (WorkspaceId::new(), WorkspaceId::new(), AssetId::new());

    // Whichever of the two is older.
    for (home, away) in [(one, other), (other, one)] {
        assert_eq!(charged(&[Scope::Asset(away, asset), Scope::Workspace(home)]), Some(home));
        assert_eq!(charged(&[Scope::Asset(away, asset)]), Some(away), "all that is known");
    }
}

#[tokio::test]
async fn a_person_without_a_key_is_recorded_by_name_and_sees_what_it_used() {
    let world = World::with(Vec::new()).await;
    let anna = user("anna");
    world.served(world.ask_as(anna.clone(), &chat("hello")), 10).await;
    world.served(with_key(&world, &anna, "anna"), 10).await;
    world.served(world.ask_as(key("anna"), &chat("hello")), 10).await;

    let by_user = world.recorded_for(&Actor::system("test"), By::User).await;
    let own = world.recorded_for(&Actor::of(anna, Vec::new()), By::Key).await;

    let mut told: Vec<_> = by_user.lines.iter().map(|line| (&*line.name, line.figures.requests)).collect();
    told.sort_unstable();
    assert_eq!(told, [("", 1), ("anna", 2)], "a key of that name is not the person");
    assert_eq!(own.total.requests, 2);
}

#[tokio::test]
async fn an_answer_that_a_policy_has_not_looked_at_is_not_given_to_whose_answers_it_looks_at() {
    let blocked = vec!["never said".to_owned()];
    let mut screen =
        PolicySettings::new(Rule::Content(Content { blocked, looks_at: LooksAt::Answers, ..Content::default() }));
    screen.when.keys = vec!["strict".to_owned()];
    let cache = SemanticCache { share: Share::Route, ..SemanticCache::default() };
    let world = World::with(vec![screen, PolicySettings::new(Rule::SemanticCache(cache))]).await;
    let asked = async |who: &str| {
        let mut exchange = world.ask(who, &chat("Where does the ferry leave?"));
        let is_hit = matches!(world.chain.admit(&mut exchange).await, Ok(Admission::Answer(_)));
        if is_hit {
            world.refused(exchange).await
        } else {
            world.served(exchange, 10).await
        }
        is_hit
    };

    assert!(!asked("lax").await && asked("other").await, "kept for all whom nobody watches");
    assert!(!asked("strict").await && asked("strict").await, "and for those somebody does");
}
