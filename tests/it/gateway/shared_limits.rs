//! Limits that replicas share through Redis: exact together, cheap for each, and of use without it.

use crate::support::{Redis, TestApp};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use wharfinger::base::{Clock, Sealed};
use wharfinger::embed::Embedder;
use wharfinger::gateway::limit::{
    Ask, Expected, Limit, Limits, Measure, Reservation, Shared, Span, Spent, WhenAway, Whose, Why, period_start,
};
use wharfinger::gateway::settings::Period;

fn replica(redis: &Redis, when_away: WhenAway) -> Limits {
    replica_by(Clock::system(), redis, when_away)
}

fn replica_by(clock: Clock, redis: &Redis, when_away: WhenAway) -> Limits {
    Limits::shared(clock, Shared::new(&Sealed::new(redis.url.clone()), when_away).unwrap())
}

async fn connection(redis: &Redis) -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Where the store keeps the counter of these requests.
fn place(asks: &[Ask]) -> String {
    format!("wharfinger:{{limit}}:{}", asks[0].key().to_hex())
}

/// Leaves a quota in the store as if this had been used of it since then.
async fn plant(redis: &Redis, asks: &[Ask], used: u64, since: OffsetDateTime) {
    let mut planted = redis::cmd("HSET");
    planted.arg(place(asks)).arg("u").arg(used).arg("p").arg(since.unix_timestamp());
    let _: u64 = planted.query_async(&mut connection(redis).await).await.unwrap();
}

/// When the period began that the store keeps a quota for, in Unix seconds.
async fn kept_since(redis: &Redis, asks: &[Ask]) -> i64 {
    redis::cmd("HGET").arg(place(asks)).arg("p").query_async(&mut connection(redis).await).await.unwrap()
}

fn asks(measure: Measure, span: Span, most: u64) -> Vec<Ask> {
    vec![Ask {
        limit: Arc::new(Limit::new("p1", "per-key", measure, span, most, false)),
        value: "bot".into(),
        whose: Whose::default(),
    }]
}

async fn reserve(limits: &Limits, asks: &[Ask]) -> Result<Reservation, Why> {
    let expected = Expected { input: 24, output: 200, ..Expected::default() };
    limits.reserve(expected, asks.to_vec(), Duration::ZERO).await.map_err(|refusal| refusal.why)
}

const USED: Spent = Spent { input: 24, output: 200, cost: 0, nothing: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_together_admit_no_more_than_the_limit() {
    let Some(redis) = Redis::start().await else { return };
    let replicas = [replica(&redis, WhenAway::Share), replica(&redis, WhenAway::Share)];
    let asks = asks(Measure::Tokens, Span::MINUTE, 100_000);
    let stop = CancellationToken::new();
    for replica in &replicas {
        tokio::spawn(replica.clone().run(stop.clone()));
    }

    let mut tasks = Vec::new();
    for n in 0..64 {
        let (limits, asks) = (replicas[n % 2].clone(), asks.clone());
        tasks.push(tokio::spawn(async move {
            let mut served = 0_u64;
            for _ in 0..30 {
                if let Ok(reservation) = reserve(&limits, &asks).await {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    reservation.settle(USED);
                    served += 1;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            served
        }));
    }
    let mut served = 0;
    for task in tasks {
        served += task.await.unwrap();
    }
    stop.cancel();

    println!("served {served} of {} that fit, of 1,920 asked", 100_000 / 224);
    assert!(served * 224 <= 100_000, "{served} were served");
    assert!(served * 224 >= 90_000, "{served} were served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_steady_state_few_requests_ask_the_store() {
    let Some(redis) = Redis::start().await else { return };
    let limits = replica(&redis, WhenAway::Share);
    let asks = asks(Measure::Tokens, Span::MINUTE, 10_000_000);

    for _ in 0..2_000 {
        reserve(&limits, &asks).await.unwrap().settle(USED);
    }

    println!("{} trips for 2,000 requests", limits.trips());
    assert!(limits.trips() <= 200, "{} trips", limits.trips());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_spent_counts_for_the_other_and_for_its_successor() {
    let Some(redis) = Redis::start().await else { return };
    let asks = asks(Measure::Tokens, Span::Fixed(Period::Month), 1_000);
    let first = replica(&redis, WhenAway::Share);
    reserve(&first, &asks).await.unwrap().settle(Spent { output: 900, ..USED });
    let stopped = CancellationToken::new();
    stopped.cancel();
    first.run(stopped).await;

    let second = replica(&redis, WhenAway::Share);

    assert_eq!(reserve(&second, &asks).await.unwrap_err(), Why::Spent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_as_used_is_what_all_replicas_spent() {
    let Some(redis) = Redis::start().await else { return };
    let asks = asks(Measure::Tokens, Span::Fixed(Period::Month), 10_000);
    let (first, second) = (replica(&redis, WhenAway::Share), replica(&redis, WhenAway::Share));
    reserve(&first, &asks).await.unwrap().settle(USED);
    let stopped = CancellationToken::new();
    stopped.cancel();
    first.run(stopped).await;

    reserve(&second, &asks).await.unwrap().settle(USED);

    assert_eq!(second.used(asks[0].key()), 2 * 224);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_are_counted_across_replicas() {
    let Some(redis) = Redis::start().await else { return };
    let (first, second) = (replica(&redis, WhenAway::Share), replica(&redis, WhenAway::Share));
    let asks = asks(Measure::Requests, Span::AtOnce, 2);

    let one = reserve(&first, &asks).await.unwrap();
    let other = reserve(&second, &asks).await.unwrap();

    assert!(reserve(&first, &asks).await.is_err() && reserve(&second, &asks).await.is_err());
    drop((one, other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_a_replica_has_its_share_or_refuses_as_the_settings_say() {
    let Some(redis) = Redis::start().await else { return };
    let asks = asks(Measure::Tokens, Span::MINUTE, 2_000);
    let (share, refuse) = (replica(&redis, WhenAway::Share), replica(&redis, WhenAway::Refuse));
    drop(redis);

    // The first to ask finds that the store is gone; from then on the settings decide.
    let begun = std::time::Instant::now();
    let mut served = 0;
    while let Ok(reservation) = reserve(&share, &asks).await {
        reservation.settle(USED);
        served += 1;
    }
    assert_eq!(served, 2_000 / 224);
    assert_eq!(reserve(&refuse, &asks).await.unwrap_err(), Why::Unreachable);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_told_by_readiness_and_status() {
    let Some(redis) = Redis::start().await else { return };
    let app = TestApp::start_with(&[("WHARFINGER_REDIS_URL", &redis.url)], Embedder::hashed()).await;
    let says_so = async || {
        let ready = app.stranger().get("/readyz").await.expect(200).json();
        ready["degraded"].as_array().unwrap().iter().any(|one| one["part"] == "redis")
    };
    assert!(!says_so().await);

    drop(redis);

    assert!(says_so().await);
    assert!(app.stranger().get("/status").await.expect(200).text.contains("Redis does not answer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_comes_back_empty_is_told_what_was_used() {
    for span in [Span::MINUTE, Span::Fixed(Period::Month)] {
        let Some(mut redis) = Redis::start().await else { return };
        let asks = asks(Measure::Tokens, span, 2_000);
        let (first, second) = (replica(&redis, WhenAway::Share), replica(&redis, WhenAway::Share));
        let mut served = 0;
        while let Ok(reservation) = reserve([&first, &second][served % 2], &asks).await {
            reservation.settle(USED);
            served += 1;
        }
        // Each tells what it spent, and hears of the other's.
        for replica in [&first, &second, &first, &second] {
            let stop = CancellationToken::new();
            stop.cancel();
            replica.clone().run(stop).await;
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert!(reserve(replica, &asks).await.is_err());
        }

        redis.kill();
        redis.restart().await;
        // Until it is asked again after its absence was noticed.
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            for replica in [&first, &second] {
                if let Ok(reservation) = reserve(replica, &asks).await {
                    reservation.settle(USED);
                    served += 1;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        println!("{span:?}: {served} were served of {} that fit", 2_000 / 224);
        // What others spent in a window leaves it by and by, as far as a replica knows without the store.
        let slack = if span == Span::MINUTE { 2_000 / 20 } else { 0 };
        assert!(served * 224 <= 2_000 + slack, "{span:?}: {served} were served");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_grow_beyond_what_was_expected_are_taken_from_what_replicas_share() {
    let Some(redis) = Redis::start().await else { return };
    let replicas = [replica(&redis, WhenAway::Share), replica(&redis, WhenAway::Share)];
    let asks = asks(Measure::Tokens, Span::Fixed(Period::Month), 10_000);

    let mut served = 0_u64;
    for n in 0..80 {
        if let Ok(mut reservation) = reserve(&replicas[n % 2], &asks).await {
            reservation.grow(1_000);
            reservation.settle(Spent { output: 1_000, ..USED });
            served += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // 224 are expected of each: the last reply of each replica may go over by the rest.
    println!("served {served} of {} that fit, of 80 asked", 10_000 / 1_024);
    assert!(served * 1_024 <= 10_000 + 2 * 800, "{served} were served");
    assert!(served >= 9, "{served} were served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_clock_is_wrong_frees_no_quota() {
    let Some(redis) = Redis::start().await else { return };
    let days = |days: i64| Clock::fixed(OffsetDateTime::now_utc() + time::Duration::days(days));
    let clocks = [Clock::system(), days(40), days(-40)];
    let replicas = clocks.map(|clock| replica_by(clock, &redis, WhenAway::Share));
    let asks = asks(Measure::Tokens, Span::Fixed(Period::Month), 2_000);

    let mut served = 0;
    for n in 0..90 {
        if let Ok(reservation) = reserve(&replicas[n % 3], &asks).await {
            reservation.settle(USED);
            served += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    println!("served {served} of {} that fit, of 90 asked", 2_000 / 224);
    assert!(served * 224 <= 2_000, "{served} were served");
    assert!(served >= 6, "{served} were served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_periods_of_the_store_are_those_of_the_calendar() {
    let Some(redis) = Redis::start().await else { return };
    let limits = replica_by(Clock::fixed(OffsetDateTime::UNIX_EPOCH), &redis, WhenAway::Share);
    for period in [Period::Hour, Period::Day, Period::Week, Period::Month] {
        let asks = asks(Measure::Tokens, Span::Fixed(period), 10_000);
        let now = || period_start(period, OffsetDateTime::now_utc()).unix_timestamp();

        let before = now();
        reserve(&limits, &asks).await.unwrap().settle(USED);
        let kept = kept_since(&redis, &asks).await;

        // One may end meanwhile.
        assert!((before..=now()).contains(&kept), "{period:?}: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debt_shrinks_by_the_quota_with_each_period_that_goes_by() {
    let Some(redis) = Redis::start().await else { return };
    let limits = replica(&redis, WhenAway::Share);
    let asks = asks(Measure::Tokens, Span::Fixed(Period::Month), 1_000);
    let month = period_start(Period::Month, OffsetDateTime::now_utc());
    let last = period_start(Period::Month, month - time::Duration::days(1));
    let before = period_start(Period::Month, last - time::Duration::days(1));

    plant(&redis, &asks, 2_500, before).await;
    reserve(&limits, &asks).await.unwrap().settle(USED);

    plant(&redis, &asks, 2_500, last).await;
    let other = replica(&redis, WhenAway::Share);
    assert_eq!(reserve(&other, &asks).await.unwrap_err(), Why::Spent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_far_ahead_neither_frees_nor_freezes_a_quota() {
    let Some(redis) = Redis::start().await else { return };
    let limits = replica(&redis, WhenAway::Share);
    let asks = asks(Measure::Tokens, Span::Fixed(Period::Month), 1_000);
    let now = OffsetDateTime::now_utc();
    plant(&redis, &asks, 900, period_start(Period::Month, now + time::Duration::days(70))).await;

    assert_eq!(reserve(&limits, &asks).await.unwrap_err(), Why::Spent);

    let kept = kept_since(&redis, &asks).await;
    assert!(kept <= OffsetDateTime::now_utc().unix_timestamp(), "{kept}");
}
