//! Limits that replicas share through Redis: exact together, cheap for each, and of use without it.

use crate::support::test_folder;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wharfinger::base::{Clock, Sealed};
use wharfinger::gateway::limit::{
    Ask, Expected, Limit, Limits, Measure, Reservation, Shared, Span, Spent, WhenAway, Why,
};
use wharfinger::gateway::settings::Period;

/// A Redis of its own, on a free port.
struct Redis {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Redis {
    async fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = test_folder("redis");
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("skipped: there is no redis-server; scripts/setup test installs it");
            return None;
        };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { child, url: format!("redis://127.0.0.1:{port}"), folder })
    }

    fn replica(&self, when_away: WhenAway) -> Limits {
        Limits::shared(Clock::system(), Shared::new(&Sealed::new(self.url.clone()), when_away).unwrap())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn asks(measure: Measure, span: Span, most: u64) -> Vec<Ask> {
    vec![Ask { limit: Arc::new(Limit::new("p1", "per-key", measure, span, most, false)), value: "bot".into() }]
}

async fn reserve(limits: &Limits, asks: &[Ask]) -> Result<Reservation, Why> {
    let expected = Expected { input: 24, output: 200, ..Expected::default() };
    limits.reserve(expected, asks.to_vec(), Duration::ZERO).await.map_err(|refusal| refusal.why)
}

const USED: Spent = Spent { input: 24, output: 200, cost: 0, nothing: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_together_admit_no_more_than_the_limit() {
    let Some(redis) = Redis::start().await else { return };
    let replicas = [redis.replica(WhenAway::Share), redis.replica(WhenAway::Share)];
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
    let limits = redis.replica(WhenAway::Share);
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
    let first = redis.replica(WhenAway::Share);
    reserve(&first, &asks).await.unwrap().settle(Spent { output: 900, ..USED });
    let stopped = CancellationToken::new();
    stopped.cancel();
    first.run(stopped).await;

    let second = redis.replica(WhenAway::Share);

    assert_eq!(reserve(&second, &asks).await.unwrap_err(), Why::Spent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_are_counted_across_replicas() {
    let Some(redis) = Redis::start().await else { return };
    let (first, second) = (redis.replica(WhenAway::Share), redis.replica(WhenAway::Share));
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
    let (share, refuse) = (redis.replica(WhenAway::Share), redis.replica(WhenAway::Refuse));
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
