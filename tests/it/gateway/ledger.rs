//! The ledger: nothing that was settled is lost, and nothing counts twice.

use crate::support::TestApp;
use std::path::Path;
use std::time::Duration;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use wharfinger::auth::Actor;
use wharfinger::base::{Clock, Config, Database};
use wharfinger::gateway::limit::{Ask, Limit, Limits, Measure, Span, Whose};
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
        operation: "chat".into(),
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
async fn the_chargeback_holds_the_parts_of_days_too() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());
    for (at, input) in [
        (datetime!(2026-02-27 22:59 UTC), 1_000),
        (datetime!(2026-02-27 23:30 UTC), 1),
        (datetime!(2026-02-28 12:00 UTC), 20),
        (datetime!(2026-03-01 12:10 UTC), 300),
        (datetime!(2026-03-01 12:30 UTC), 4_000),
    ] {
        ledger.record(UsageRecord { at, ..record("bot", input, 0) });
    }
    drained(&ledger).await;

    let (from, to) = (datetime!(2026-02-28 0:00 +1), datetime!(2026-03-01 12:15 UTC));
    let asked = Question { from, to, step: "day", ..question(By::Key) };
    let lines = ledger.chargeback(&Actor::system("test"), &asked).await.unwrap();
    let report = ledger.report(&Actor::system("test"), &asked).await.unwrap();

    let days: Vec<_> = lines.iter().map(|line| (line.at.date().day(), line.figures.input)).collect();
    assert_eq!(days, [(27, 1), (28, 20), (1, 300)]);
    assert_eq!(report.total.input, 321);
    assert_eq!(report.points.iter().map(|point| point.tokens).collect::<Vec<_>>(), [1, 20, 300]);
}

#[tokio::test]
async fn what_a_record_says_stands_in_its_columns() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());
    let full = UsageRecord {
        at: datetime!(2026-03-01 12:00:00.123456 UTC),
        request_id: "one".to_owned(),
        workspace_id: Some(uuid::Uuid::from_u128(1).into()),
        key_id: Some(uuid::Uuid::from_u128(2).into()),
        key_name: "bot".to_owned(),
        user_name: "Käthe".to_owned(),
        route: "chat".to_owned(),
        asset: "a/b".to_owned(),
        operation: "responses".into(),
        model: "alias".to_owned(),
        backend: "east".to_owned(),
        provider: "openai".into(),
        vendor_model: "gpt".to_owned(),
        tokens: Tokens {
            input: 1,
            cached_input: 2,
            cache_write: 3,
            input_audio: 4,
            output: 5,
            reasoning: 6,
            output_audio: 7,
            ..Tokens::default()
        },
        cost: 8,
        saved: 9,
        saved_cost: 10,
        latency_ms: 11,
        first_token_ms: Some(12),
        attempts: 13,
        status: 200,
        stream: true,
        outcome: Outcome::Cancelled,
        refused_by: "limit".to_owned(),
        cache: CacheUse::Exact,
        source: Source::Counted,
        dimensions: [("team".to_owned(), "\"x\"".to_owned())].into(),
        quotas: Vec::new(),
    };
    ledger.record(full);
    ledger.record(UsageRecord { request_id: "two".to_owned(), ..UsageRecord::new(datetime!(1999-12-31 23:59:59 UTC)) });
    drained(&ledger).await;

    let rows: Vec<serde_json::Value> =
        sqlx::query_scalar("select to_jsonb(usage_record) from usage_record order by request_id")
            .fetch_all(&app.handles.db.read)
            .await
            .unwrap();
    let expected = serde_json::json!({
        "at": "2026-03-01T12:00:00.123456+00:00", "request_id": "one",
        "workspace_id": uuid::Uuid::from_u128(1), "key_id": uuid::Uuid::from_u128(2), "key_name": "bot",
        "user_name": "Käthe", "route": "chat", "asset": "a/b", "operation": "responses", "model": "alias",
        "backend": "east", "vendor_model": "gpt", "input": 1, "cached_input": 2, "cache_write": 3, "input_audio": 4,
        "output": 5, "reasoning": 6, "output_audio": 7, "cost": 8, "saved": 9, "saved_cost": 10, "latency_ms": 11,
        "first_token_ms": 12, "attempts": 13, "status": 200, "stream": true, "outcome": "cancelled",
        "refused_by": "limit", "cache": "exact", "source": "counted", "dimensions": {"team": "\"x\""},
    });
    assert_eq!(rows[0], expected);
    assert_eq!(rows[1]["at"], "1999-12-31T23:59:59+00:00");
    assert_eq!((&rows[1]["key_id"], &rows[1]["first_token_ms"]), (&serde_json::Value::Null, &serde_json::Value::Null));
}

#[tokio::test]
async fn what_was_read_before_a_process_was_killed_counts_once() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let killed = ledger(&app.handles.db, home.path());
    let mut one = record("bot", 100, 20);
    one.add_quotas(vec![quota(100)]);
    killed.record(one);
    killed.recover(&Limits::new(Clock::fixed(NOW))).await.unwrap();
    killed.record(record("bot", 7, 1));
    drop(killed);

    for _ in 0..2 {
        let next = ledger(&app.handles.db, home.path());
        next.recover(&Limits::new(Clock::fixed(NOW))).await.unwrap();

        let report = next.report(&Actor::system("test"), &question(By::Model)).await.unwrap();
        assert_eq!((report.total.requests, report.total.input), (2, 107));
    }
    let used: i64 = sqlx::query_scalar("select used from usage_counter").fetch_one(&app.handles.db.read).await.unwrap();
    assert_eq!(used, 100);
    let files: i64 =
        sqlx::query_scalar("select count(*) from usage_spool").fetch_one(&app.handles.db.read).await.unwrap();
    assert_eq!(files, 0, "a file that was removed is forgotten");
}

#[tokio::test]
async fn a_database_that_lost_its_last_moments_is_told_them_again() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let ledger = ledger(&app.handles.db, home.path());
    let stop = CancellationToken::new();
    let running = tokio::spawn(ledger.clone().run(stop.clone()));
    let requests = async || ledger.report(&Actor::system("test"), &question(By::Model)).await.unwrap().total.requests;
    let until = async |count| {
        tokio::time::timeout(Duration::from_secs(20), async {
            while requests().await != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    };
    ledger.record(record("bot", 1, 1));
    until(1).await.unwrap();
    ledger.record(record("bot", 2, 2));
    until(2).await.unwrap();

    // As a database does that is brought back from before the second.
    let statement = "update usage_spool set read_to = read_from, read_from = 0";
    sqlx::query(statement).execute(&app.handles.db.write).await.unwrap();
    sqlx::query("update usage_rollup set requests = requests - 1").execute(&app.handles.db.write).await.unwrap();
    ledger.record(record("bot", 3, 3));

    until(3).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    assert_eq!(requests().await, 3);
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
    std::fs::write(home.path().join(format!("{}.jsonl", uuid::Uuid::now_v7())), b"{\"at\": \"torn\n").unwrap();

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
async fn a_restart_remembers_todays_use_and_yesterdays_debt() {
    let app = TestApp::start().await;
    let home = tempfile::tempdir().unwrap();
    let killed = ledger(&app.handles.db, home.path());
    let spent = |start, amount| wharfinger::gateway::limit::QuotaSpent { key: ask().key(), start, amount };
    let mut today = record("bot", 1, 1);
    today.add_quotas(vec![spent(datetime!(2026-03-01 0:00 UTC), 600)]);
    killed.record(today);
    drained(&killed).await;
    // They are told later, and lie behind today's row.
    let mut before = record("bot", 1, 1);
    before.add_quotas(vec![spent(datetime!(2026-02-28 0:00 UTC), 1_350), spent(datetime!(2026-01-15 0:00 UTC), 900)]);
    killed.record(before);
    drained(&killed).await;

    let limits = Limits::new(Clock::fixed(NOW));
    ledger(&app.handles.db, home.path()).recover(&limits).await.unwrap();

    let refusal = limits.reserve_now(expected(100), &[ask()]).unwrap_err();
    assert_eq!(refusal.used, 600 + 350, "today's, and what yesterday went over its 1,000");
    assert!(limits.reserve_now(expected(50), &[ask()]).is_ok());
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
    // Each has room in its column; their sum has none.
    for _ in 0..2 {
        ledger.record(UsageRecord { cost: i64::MAX.unsigned_abs() / 3 * 2, ..record("bot", 10, 2) });
    }
    ledger.record(record("bot", 1, 1));
    drained(&ledger).await;

    assert_eq!(ledger.report(&Actor::system("test"), &question(By::Model)).await.unwrap().total.input, 101 + 10);
    assert_eq!(std::fs::read_to_string(home.path().join("rejected.txt")).unwrap().lines().count(), 2);
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
    Ask { limit: std::sync::Arc::new(limit), value: "bot".into(), whose: Whose::default() }
}

fn quota(amount: u64) -> wharfinger::gateway::limit::QuotaSpent {
    wharfinger::gateway::limit::QuotaSpent { key: ask().key(), start: datetime!(2026-03-01 0:00 UTC), amount }
}
