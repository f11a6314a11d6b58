//! The ledger: nothing that was settled is lost, and nothing counts twice.

use crate::support::TestApp;
use std::path::Path;
use std::time::Duration;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use wharfinger::auth::Actor;
use wharfinger::base::{Clock, Config, Database};
use wharfinger::gateway::limit::{Ask, Limit, Limits, Measure, Span};
use wharfinger::gateway::settings::Period;
use wharfinger::gateway::usage::{
    By, CacheUse, Ledger, LedgerSettings, Outcome, Question, Retention, Source, Tokens, UsageRecord,
};

const NOW: time::OffsetDateTime = datetime!(2026-03-01 12:30 UTC);

fn settings() -> LedgerSettings {
    let day = Duration::from_secs(86_400);
    let retention = Retention { records: day * 30, minutes: day * 2, hours: day * 90, days: day * 1_000 };
    LedgerSettings { sync: Duration::from_secs(1), retention, label_values: 100, access_log: false }
}

fn ledger(db: &Database, folder: &Path) -> Ledger {
    Ledger::open(db.clone(), Clock::fixed(NOW), folder, settings())
}

fn record(key: &str, input: u64, output: u64) -> UsageRecord {
    UsageRecord {
        key_name: key.to_owned(),
        model: "gpt-5-mini".to_owned(),
        operation: "chat".to_owned(),
        tokens: Tokens { input, output, ..Tokens::default() },
        cost: input + 4 * output,
        latency_ms: 900,
        status: 200,
        source: Source::Reported,
        ..UsageRecord::new(NOW)
    }
}

fn question(by: By) -> Question {
    Question {
        from: datetime!(2026-03-01 0:00 UTC),
        to: datetime!(2026-03-02 0:00 UTC),
        by,
        step: "hour",
        workspace: None,
        key: None,
        model: None,
        asset: None,
        route: None,
        lines: 10,
    }
}

async fn drained(ledger: &Ledger) {
    let stop = CancellationToken::new();
    stop.cancel();
    ledger.clone().run(stop).await;
}

#[tokio::test]
async fn what_is_recorded_is_reported() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());

    ledger.record(record("bot", 100, 20));
    ledger.record(record("bot", 50, 10));
    ledger.record(record("other", 1, 1));
    ledger.record(UsageRecord { outcome: Outcome::Refused, source: Source::None, ..record("bot", 0, 0) });
    ledger.record(UsageRecord { cache: CacheUse::Semantic, saved: 120, ..record("bot", 0, 0) });
    drained(&ledger).await;

    let report = ledger.report(&Actor::system("test"), &question(By::Key)).await.unwrap();
    assert_eq!((report.total.requests, report.total.input, report.total.output), (5, 151, 31));
    assert_eq!((report.total.refused, report.total.cached, report.total.saved), (1, 1, 120));
    assert_eq!(report.lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["bot", "other"]);
    assert_eq!(report.lines[0].figures.cost, 150 + 4 * 30);
    assert_eq!(report.points.len(), 2);
    assert!((850..950).contains(&report.latencies["gpt-5-mini"].p50));
    let lines = ledger.chargeback(&Actor::system("test"), &question(By::Key)).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.figures.tokens()).sum::<i64>(), 182);
}

#[tokio::test]
async fn a_record_that_is_written_twice_counts_once() {
    let app = TestApp::start().await;
    let (first_home, second_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (ledger(&app.handles.db, first_home.path()), ledger(&app.handles.db, second_home.path()));
    let mut one = record("bot", 100, 20);
    one.add_quotas(vec![quota(100)]);

    first.record(one.clone());
    first.record(one.clone());
    drained(&first).await;
    second.record(one.clone());
    second.record(record("bot", 7, 1));
    drained(&second).await;

    let report = first.report(&Actor::system("test"), &question(By::Model)).await.unwrap();
    assert_eq!((report.total.requests, report.total.input), (2, 107));
    let used: i64 = sqlx::query_scalar("select used from usage_counter").fetch_one(&app.handles.db.read).await.unwrap();
    assert_eq!(used, 100);
}

#[tokio::test]
async fn what_a_killed_process_left_is_brought_in_by_the_next() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let killed = ledger(&app.handles.db, home.path());
    let mut one = record("bot", 100, 20);
    one.add_quotas(vec![quota(950)]);
    killed.record(one.clone());
    drop(killed);
    std::fs::write(home.path().join("000000000009.jsonl"), b"{\"id\": \"torn\n").unwrap();

    let next = ledger(&app.handles.db, home.path());
    let limits = Limits::new(Clock::fixed(NOW));
    next.recover(&limits).await.unwrap();

    let report = next.report(&Actor::system("test"), &question(By::Model)).await.unwrap();
    assert_eq!(report.total.requests, 1);
    let refusal = limits.reserve_now(expected(100), &[ask()]).unwrap_err();
    assert_eq!((refusal.used, refusal.status().as_u16()), (950, 403));
    assert!(std::fs::read_to_string(home.path().join("rejected.txt")).unwrap().contains("torn"));
}

#[tokio::test]
async fn while_the_database_is_away_the_spool_waits() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let config = Config::from_sources(None, []).unwrap();
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing".parse().unwrap();
    let cut_off = ledger(&Database::new(nowhere, &config.storage), home.path());
    cut_off.record(record("bot", 100, 20));
    drained(&cut_off).await;
    drop(cut_off);

    let back = ledger(&app.handles.db, home.path());
    drained(&back).await;

    assert_eq!(back.report(&Actor::system("test"), &question(By::Model)).await.unwrap().total.requests, 1);
}

#[tokio::test]
async fn a_text_that_no_database_takes_as_it_is_loses_no_record() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    for name in ["a\0b", r"x\u0000"] {
        // From memory, and from the file of a process that was killed.
        let at_hand = ledger(&app.handles.db, home.path());
        at_hand.record(record(name, 1, 1));
        drained(&at_hand).await;
        drop(at_hand);
        let killed_before = ledger(&app.handles.db, home.path());
        killed_before.record(record(name, 1, 1));
        drop(killed_before);
        drained(&ledger(&app.handles.db, home.path())).await;
    }

    let report = ledger(&app.handles.db, home.path()).report(&Actor::system("test"), &question(By::Key)).await.unwrap();
    let told: Vec<_> = report.lines.iter().map(|line| (line.name.as_str(), line.figures.requests)).collect();
    assert_eq!(told, [("ab", 2), (r"x\u0000", 2)]);
}

#[tokio::test]
async fn old_records_go_and_their_sums_stay() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());
    let old = UsageRecord { key_name: "old".to_owned(), ..UsageRecord::new(NOW - Duration::from_secs(31 * 86_400)) };
    ledger.record(old);
    ledger.record(record("bot", 1, 1));
    drained(&ledger).await;

    // The first look of a ledger is for what is old.
    drained(&ledger).await;

    let left: Vec<String> =
        sqlx::query_scalar("select key_name from usage_record").fetch_all(&app.handles.db.read).await.unwrap();
    assert_eq!(left, ["bot"]);
    let days = "select count(*) from usage_rollup where period = 'day'";
    let days: i64 = sqlx::query_scalar(days).fetch_one(&app.handles.db.read).await.unwrap();
    assert_eq!(days, 2);
}

#[tokio::test]
async fn what_the_database_refuses_keeps_nobody_else_waiting() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());

    ledger.record(UsageRecord { latency_ms: u64::MAX, ..record("bot", 1, 1) });
    ledger.record(record("bot", 100, 20));
    drained(&ledger).await;

    assert_eq!(ledger.report(&Actor::system("test"), &question(By::Model)).await.unwrap().total.input, 100);
    assert!(home.path().join("rejected.txt").is_file());
}

#[tokio::test]
async fn others_see_what_their_workspaces_are_charged() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());
    let (ours, theirs) = (
        app.member(wharfinger::auth::Role::Compliance, "ours").await,
        app.member(wharfinger::auth::Role::Compliance, "theirs").await,
    );
    let (ours, theirs) = (app.actor(&ours).await, app.actor(&theirs).await);
    let ours_id = app.handles.catalog.workspace(&ours, "ours").await.unwrap().workspace_id;
    ledger.record(UsageRecord { workspace_id: Some(ours_id), ..record("bot", 100, 20) });
    ledger.record(record("nobodys", 7, 7));
    drained(&ledger).await;

    let seen =
        |report: wharfinger::gateway::usage::Report| report.lines.into_iter().map(|line| line.name).collect::<Vec<_>>();
    assert_eq!(seen(ledger.report(&ours, &question(By::Workspace)).await.unwrap()), ["ours"]);
    assert!(seen(ledger.report(&theirs, &question(By::Key)).await.unwrap()).is_empty());
    assert!(ledger.report(&Actor::anonymous(), &question(By::Key)).await.is_err());
    assert_eq!(seen(ledger.report(&Actor::system("test"), &question(By::Key)).await.unwrap()), ["bot", "nobodys"]);
}

fn expected(input: u64) -> wharfinger::gateway::limit::Expected {
    wharfinger::gateway::limit::Expected { input, ..Default::default() }
}

fn ask() -> Ask {
    let limit = Limit::new("p1", "daily", Measure::Tokens, Span::Fixed(Period::Day), 1_000, false);
    Ask { limit: std::sync::Arc::new(limit), value: "bot".into() }
}

fn quota(amount: u64) -> wharfinger::gateway::limit::QuotaSpent {
    wharfinger::gateway::limit::QuotaSpent { key: ask().key(), start: datetime!(2026-03-01 0:00 UTC), amount }
}
