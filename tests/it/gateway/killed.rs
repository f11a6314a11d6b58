//! Killed during load, the program, its database and its Redis: what was settled is in the ledger once, and traffic goes
//! on as far as the settings say.

use super::crowd::{ADMIN_KEY, Crowd, End, Pool, configure, wide_quota};
use crate::support::vendor::Vendor;
use crate::support::{Dice, Home, Program, Redis, fresh_database_url};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wharfinger::base::EmbeddedPostgres;

const ROUNDS: u64 = 6;
const POOLS: [Pool<'_>; 1] = [("fast", &["ok", "pace-5", "silent+pace-5", "slow-40"])];

fn settings(home: &Home) -> Vec<(&str, &str)> {
    vec![
        ("WHARFINGER_DATA_DIR", home.text()),
        // No model is needed, and loading one takes a moment.
        ("WHARFINGER_MODEL_DIR", home.text()),
        ("WHARFINGER_ADMIN_KEY", ADMIN_KEY),
        ("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"),
        ("WHARFINGER_TRUSTED_PROXIES", "127.0.0.1"),
    ]
}

async fn all(visitors: Vec<tokio::task::JoinHandle<()>>) {
    futures::future::join_all(visitors).await.into_iter().for_each(Result::unwrap);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_killed_again_and_again_loses_and_doubles_nothing_that_was_settled() {
    let (home, url, vendor) = (Home::new("killed-traffic"), fresh_database_url(true).await, Vendor::start().await);
    let settings = [settings(&home), vec![("WHARFINGER_DATABASE_URL", url.as_str())]].concat();
    let (crowd, mut dice) = (Crowd::default(), Dice::new(7));

    for round in 0..ROUNDS {
        let program = Program::serve(&settings).await;
        if round == 0 {
            configure(&program, &vendor, &POOLS, &[("quota", wide_quota())]).await;
        }
        let (stop, before) = (CancellationToken::new(), crowd.count(End::Whole));
        let visitors = crowd.visit(&program, 16, round, &stop);
        // Now within the first batch, now after several were written; on a busy machine the first takes its time.
        tokio::time::sleep(Duration::from_millis(100 + dice.below(1_400))).await;
        for _ in 0..1_000 {
            if crowd.count(End::Whole) > before + 20 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program.kill().await;
        stop.cancel();
        all(visitors).await;
    }
    let program = Program::serve(&settings).await;

    let db = PgPool::connect(&url).await.unwrap();
    crowd.compare(&db, &vendor).await;
    assert!(crowd.count(End::Cut) as u64 >= ROUNDS && crowd.count(End::Whole) > 100);
    assert_eq!(crowd.ask(&program.http, &program.url, true, 5).await, End::Whole);
    assert!(program.stop().await.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_traffic_goes_on_and_its_record_is_kept() {
    let (home, vendor) = (Home::new("postgres-killed"), Vendor::start().await);
    let program = Program::serve(&settings(&home)).await;
    configure(&program, &vendor, &POOLS, &[("quota", wide_quota())]).await;
    let (crowd, mut dice) = (Crowd::default(), Dice::new(11));
    let stop = CancellationToken::new();
    let visitors = crowd.visit(&program, 8, 1, &stop);

    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(900))).await;
        let before = crowd.count(End::Whole);
        let process = || {
            let text = std::fs::read_to_string(home.0.join("postgres/postmaster.pid")).ok()?;
            text.lines().next()?.parse::<i32>().ok()
        };
        let killed = process().unwrap();
        kill_process(Pid::from_raw(killed).unwrap(), Signal::KILL).unwrap();
        let begun = Instant::now();
        let keys = format!("{}/api/v1/keys", program.url);
        loop {
            let is_another = process().is_some_and(|process| process != killed);
            let answer = program.http.get(&keys).bearer_auth(ADMIN_KEY).send().await.unwrap();
            if is_another && answer.status() == 200 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "Postgres does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let meanwhile = crowd.count(End::Whole) - before;
        println!("round {round}: {meanwhile} requests were served in the {:?} without Postgres", begun.elapsed());
        assert!(meanwhile > 0, "round {round}: nothing was served");
    }
    stop.cancel();
    all(visitors).await;

    let others: Vec<_> = crowd.ends().into_iter().filter(|(_, end)| *end != End::Whole).collect();
    assert!(others.is_empty(), "not served: {others:?}");
    let db = PgPool::connect_with(EmbeddedPostgres::options_of_running(&home.0, "wharfinger")).await.unwrap();
    crowd.compare(&db, &vendor).await;
    db.close().await;
    assert!(program.stop().await.0);
}

/// A database that takes nobody in, or everybody again.
async fn open(keeper: &mut PgConnection, database: &str, is_open: bool) {
    let statement = format!(
        "alter database {database} allow_connections {is_open};
         select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}' and not {is_open}"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(keeper).await.expect("the cluster is ours");
}

#[tokio::test]
async fn without_postgres_a_balancer_of_the_gateway_still_finds_it_ready() {
    let (home, url, vendor) = (Home::new("postgres-away"), fresh_database_url(true).await, Vendor::start().await);
    let program = Program::serve(&[settings(&home), vec![("WHARFINGER_DATABASE_URL", url.as_str())]].concat()).await;
    configure(&program, &vendor, &[("fast", &["ok"])], &[]).await;
    let options: PgConnectOptions = url.parse().expect("the program takes this URL, too");
    let database = options.get_database().expect("each story has a database of its own").to_owned();
    let mut keeper = options.database("postgres").connect().await.expect("every cluster has this database");
    let crowd = Crowd::default();
    let ask = || crowd.ask(&program.http, &program.url, false, 5);
    let ready = async |of: &str| -> (u16, Value) {
        let answer = program.http.get(format!("{}/readyz{of}", program.url)).send().await.expect("it answers always");
        (answer.status().as_u16(), answer.json().await.expect("and in JSON"))
    };
    let until = async |status: u16| {
        let begun = Instant::now();
        while ready("").await.0 != status {
            assert!(begun.elapsed() < Duration::from_secs(20), "/readyz never answers {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(ask().await, End::Whole);
    let parts = [ready("").await.0, ready("?part=gateway").await.0, ready("?part=crane").await.0];
    assert_eq!(parts, [200, 200, 422]);

    open(&mut keeper, &database, false).await;
    until(503).await;
    assert_eq!(ready("").await.1["status"], "unavailable");
    let (status, of_gateway) = ready("?part=gateway").await;
    assert_eq!(
        (status, &of_gateway["status"], &of_gateway["database"]),
        (200, &json!("degraded"), &json!("unavailable"))
    );
    assert_eq!(ask().await, End::Whole, "and it is");

    open(&mut keeper, &database, true).await;
    until(200).await;
    assert_eq!(ask().await, End::Whole);
    assert!(program.stop().await.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_traffic_goes_on_or_is_refused_as_the_settings_say() {
    for away in ["share", "refuse"] {
        let Some(mut redis) = Redis::start().await else { return };
        let (home, url, vendor) = (Home::new("redis-killed"), fresh_database_url(true).await, Vendor::start().await);
        let address = redis.url.clone();
        let more = [
            ("WHARFINGER_DATABASE_URL", url.as_str()),
            ("WHARFINGER_REDIS_URL", address.as_str()),
            ("WHARFINGER_REDIS_AWAY", away),
        ];
        let program = Program::serve(&[settings(&home), more.to_vec()].concat()).await;
        let limit = json!({"tokenLimit": {"counterKey": "{key}", "tokensPerMinute": 200_000,
            "quotas": [{"period": "day", "tokens": 1_000_000_000}]}});
        configure(&program, &vendor, &POOLS, &[("limit", limit)]).await;
        let (crowd, mut dice) = (Crowd::default(), Dice::new(13));
        let stop = CancellationToken::new();
        let visitors = crowd.visit(&program, 8, 2, &stop);

        for round in 0..3 {
            tokio::time::sleep(Duration::from_millis(300 + dice.below(700))).await;
            redis.kill();
            let (refused, gone) = (crowd.count(End::Refused(503)), Instant::now());
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            // Until what it was given is used up.
            while away == "refuse" && crowd.count(End::Refused(503)) < refused + 10 {
                assert!(gone.elapsed() < Duration::from_secs(30), "nothing is refused without Redis");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            redis.restart().await;
            let before = crowd.count(End::Whole);
            let begun = Instant::now();
            while crowd.count(End::Whole) < before + 20 {
                assert!(begun.elapsed() < Duration::from_secs(10), "{away}: nothing is served after round {round}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        stop.cancel();
        all(visitors).await;

        let refused = crowd.count(End::Refused(503));
        println!("{away}: {refused} refused, {} served", crowd.count(End::Whole));
        let others = crowd.ends().into_values().filter(|end| !matches!(end, End::Whole | End::Refused(503))).count();
        assert_eq!(others, 0, "{away}: neither served nor refused");
        if away == "share" {
            assert_eq!(refused, 0, "each goes on with its share");
        }
        let db = PgPool::connect(&url).await.unwrap();
        crowd.compare(&db, &vendor).await;
        assert!(program.stop().await.0);
    }
}
