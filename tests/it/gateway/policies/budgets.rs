//! A budget that is passed is told, whatever is away at that moment.

use super::world::{World, chat};
use crate::support::Receiver;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wharfinger::auth::Actor;
use wharfinger::gateway::settings::{Budget, Money, Period, PolicySettings, Rule};
use wharfinger::gateway::usage::{BudgetNotices, Budgets};

/// A world in which a key may spend little each month before somebody is told.
async fn world(webhook: Option<String>) -> World {
    let budget = Budget {
        counter_key: "{key}".parse().expect("a template that is in the documentation"),
        period: Period::Month,
        soft: Some(Money::micros(1_000)),
        hard: None,
        webhook,
    };
    World::with(vec![PolicySettings::new(Rule::Budget(budget))]).await
}

/// Passes the budget.
async fn spend(world: &World) {
    let mut exchange = world.ask("bot", &chat("hello"));
    world.admitted(&mut exchange).await.expect("a soft amount refuses nothing");
    world.served(exchange, 300).await;
}

/// Tells what there is to tell, as a process does.
struct Telling(CancellationToken, JoinHandle<()>);

impl Telling {
    fn begin(world: &World, notices: BudgetNotices) -> Self {
        let stop = CancellationToken::new();
        let (db, clock) = (world.app.handles.db.clone(), world.app.clock.clone());
        let running = tokio::spawn(notices.run(db, clock, world.services().egress.clone(), stop.clone()));
        Self(stop, running)
    }

    async fn end(self) {
        self.0.cancel();
        self.1.await.expect("it does not panic");
    }
}

fn notices(world: &World) -> BudgetNotices {
    world.app.handles.budget_notices.lock().expect("no holder can panic").take().expect("nobody took them before")
}

#[tokio::test]
async fn a_passed_budget_is_told_when_the_database_takes_it_again() {
    let world = world(None).await;
    let handles = &world.app.handles;
    let rename = async |from: &str, to: &str| {
        let statement = format!("alter table {from} rename to {to}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&handles.db.write)
            .await
            .expect("one of both names is there");
    };
    rename("budget_notice", "away").await;
    spend(&world).await;

    let telling = Telling::begin(&world, notices(&world));
    tokio::time::sleep(Duration::from_millis(500)).await;
    rename("away", "budget_notice").await;

    let passed = async || handles.ledger.passed_budgets(&Actor::system("test")).await.expect("the database is there");
    for _ in 0..100 {
        if !passed().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    telling.end().await;
    let passed = passed().await;
    assert_eq!(passed.iter().map(|one| (&*one.value, &*one.level)).collect::<Vec<_>>(), [("bot", "soft")]);
}

#[tokio::test]
async fn the_webhook_of_a_budget_is_called_until_it_takes_the_call_and_then_no_more() {
    let receiver = Receiver::start().await;
    receiver.answer.store(503, Ordering::SeqCst);
    let world = world(Some(receiver.url.clone())).await;
    let called = async || {
        let begun = Instant::now();
        loop {
            if let [call] = &receiver.take()[..] {
                return call.json();
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it is not called");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Longer than those who call sleep.
    let nobody_calls = async || {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(receiver.take().len(), 0);
    };
    spend(&world).await;
    let telling = Telling::begin(&world, notices(&world));
    let told = json!({"policy": "policy-0", "level": "soft", "counterKey": "bot", "used": 0.00302, "limit": 0.001,
        "periodStart": "2026-03-01T00:00:00Z"});
    assert_eq!(called().await, told);

    world.app.clock.advance(Duration::from_secs(29));
    nobody_calls().await;
    let fails = async || {
        let passed =
            world.app.handles.ledger.passed_budgets(&Actor::system("test")).await.expect("the database is there");
        (passed[0].webhook_fails, passed[0].webhook_next_at.is_some())
    };
    assert_eq!(fails().await, (true, true));
    world.app.clock.advance(Duration::from_secs(1));
    assert_eq!(called().await, told);
    telling.end().await;

    // Of another process, which learns of it from the database alone.
    let (_passes_none, notices) = Budgets::new();
    let telling = Telling::begin(&world, notices);
    nobody_calls().await;
    receiver.answer.store(204, Ordering::SeqCst);
    world.app.clock.advance(Duration::from_secs(60));
    assert_eq!(called().await, told);
    world.app.clock.advance(Duration::from_secs(24 * 60 * 60));
    nobody_calls().await;
    telling.end().await;
    assert_eq!(fails().await, (false, false));
}

#[tokio::test]
async fn a_webhook_of_a_budget_that_never_answers_well_is_given_up() {
    let receiver = Receiver::start().await;
    receiver.answer.store(500, Ordering::SeqCst);
    let world = world(Some(receiver.url.clone())).await;
    spend(&world).await;
    let telling = Telling::begin(&world, notices(&world));
    let left = async || {
        let statement = "select count(*) from budget_notice where webhook_next_at is not null or webhook_attempts = 0";
        sqlx::query_scalar::<_, i64>(statement).fetch_one(&world.app.handles.db.read).await.expect("a count is a row")
    };
    let (begun, mut calls) = (Instant::now(), 0);
    while calls == 0 || left().await > 0 {
        calls += receiver.take().len();
        assert!(begun.elapsed() < Duration::from_secs(60), "called {calls} times and not given up");
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.app.clock.advance(Duration::from_secs(5 * 60 * 60));
    }
    telling.end().await;
    assert_eq!(calls + receiver.take().len(), 10);
    let passed = world.app.handles.ledger.passed_budgets(&Actor::system("test")).await.expect("the database is there");
    assert_eq!((passed[0].webhook_fails, passed[0].webhook_next_at), (true, None));
}
