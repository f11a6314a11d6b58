//! Answers that replicas share through Redis: given again on each of them, to nobody else, bounded, purged everywhere, and
//! missed quietly when Redis is away.

use super::house::{backend, house_with, install, parts, route};
use crate::support::vendor::Vendor;
use crate::support::{Answer, Redis, TestApp};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wharfinger::auth::Role;
use wharfinger::base::{Clock, Sealed};
use wharfinger::embed::Embedder;
use wharfinger::gateway::cache::{Cache, Found, Purge, Question, Stored};
use wharfinger::gateway::settings::{PolicySettings, Provider, Rule, SemanticCache};

const HOUR: Duration = Duration::from_secs(3_600);

fn question(who: &str, text: &str) -> Question {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    Question::of(&["p", who], body.to_string().as_bytes(), 10).unwrap()
}

fn answer(pieces: &[&str]) -> Stored {
    let pieces = pieces.iter().map(|piece| Bytes::from((*piece).to_owned())).collect();
    Stored { pieces, is_stream: true, route: "chat".into(), key: "bot".into(), ..Stored::default() }
}

/// Two replicas, both with their model loaded.
async fn replicas(redis: &Redis, most_bytes: usize) -> [Cache; 2] {
    let embedder = Embedder::hashed();
    embedder.embed(vec!["once".to_owned()]).await.unwrap();
    let url = Sealed::new(redis.url.clone());
    [(); 2].map(|()| Cache::shared(embedder.clone(), most_bytes, &url).unwrap())
}

fn now() -> Duration {
    Clock::system().monotonic()
}

async fn found(cache: &Cache, who: &str, text: &str, threshold: f32) -> Option<Found> {
    cache.find(&question(who, text), threshold, now()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_keeps_the_other_gives_exactly_and_by_meaning() {
    let Some(redis) = Redis::start().await else { return };
    let [first, second] = replicas(&redis, 1 << 20).await;
    let kept =
        Stored { content_type: Some("text/event-stream".parse().unwrap()), output: 7, ..answer(&["one", "", "two"]) };
    first.keep(question("bot", "where does the ferry to the island leave"), kept.clone(), HOUR, now()).await;

    let same = found(&second, "bot", "where does the ferry to the island leave", 1.0).await.unwrap();
    let near = found(&second, "bot", "where does the ferry to the island leave, please?", 0.4).await.unwrap();

    assert!(same.is_exact && same.similarity == 1.0 && same.age < Duration::from_secs(60));
    assert_eq!(*same.stored, kept);
    assert!(!near.is_exact && (0.4..1.0).contains(&near.similarity), "{near:?}");
    assert!(found(&second, "bot", "what is for lunch", 0.4).await.is_none());
    assert!(found(&second, "other", "where does the ferry to the island leave", 0.0).await.is_none());
    assert!(found(&second, "bot", "where does the ferry 9 to the island leave", 0.0).await.is_none(), "another number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_ends_with_its_time_and_is_replaced_by_a_newer_one() {
    let Some(redis) = Redis::start().await else { return };
    let [first, second] = replicas(&redis, 1 << 20).await;
    first.keep(question("bot", "a question"), answer(&["old"]), HOUR, now()).await;
    second.keep(question("bot", "a question"), answer(&["new"]), HOUR, now()).await;
    assert_eq!(found(&first, "bot", "a question", 1.0).await.unwrap().stored.pieces, ["new"]);
    assert_eq!(first.status(now()).await.unwrap().answers, 1);

    first.keep(question("bot", "a question"), answer(&["brief"]), Duration::from_millis(300), now()).await;
    assert!(found(&second, "bot", "a question", 1.0).await.is_some());
    tokio::time::sleep(Duration::from_millis(400)).await;

    assert!(found(&second, "bot", "a question", 1.0).await.is_none());
    assert!(found(&second, "bot", "one question", 0.1).await.is_none(), "its vector leads nowhere");
    first.sweep(now()).await;
    let status = first.status(now()).await.unwrap();
    assert_eq!((status.answers, status.bytes), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_within_its_bytes_and_within_each_partitions_bound() {
    let Some(redis) = Redis::start().await else { return };
    let most = 256 << 10;
    let [cache, _] = replicas(&redis, most).await;
    let long = "x".repeat(8 << 10);
    for n in 0..60 {
        cache.keep(question("bot", &format!("question number {n}")), answer(&[&long]), HOUR, now()).await;
    }
    let status = cache.status(now()).await.unwrap();
    assert!(status.bytes <= most && status.answers >= 20, "{status:?}");
    assert!(found(&cache, "bot", "question number 0", 1.0).await.is_none(), "the oldest go first");
    assert!(found(&cache, "bot", "question number 59", 1.0).await.is_some());
    cache.keep(question("bot", "a long one"), answer(&[&"x".repeat(most)]), HOUR, now()).await;
    assert!(found(&cache, "bot", "a long one", 1.0).await.is_none(), "one alone may not push out all others");

    let [cache, _] = replicas(&redis, 64 << 20).await;
    cache.purge(&Purge::default(), now()).await.unwrap();
    for n in 0..300 {
        cache.keep(question("bot", &format!("ask about thing {n}")), answer(&["a"]), HOUR, now()).await;
    }
    let mut connection =
        redis::Client::open(redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let near = format!("wharfinger:cache:near:{}", hex::encode(question("bot", "any").partition));
    let compared: usize = redis::cmd("HLEN").arg(near).query_async(&mut connection).await.unwrap();
    assert_eq!(compared, 256);
    assert!(found(&cache, "bot", "ask about thing 0", 1.0).await.is_some(), "the same question is found all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_purged_on_all_replicas_by_what_is_named() {
    let Some(redis) = Redis::start().await else { return };
    let [first, second] = replicas(&redis, 64 << 20).await;
    for n in 0..700 {
        let (key, asset) = (if n % 2 == 0 { "even" } else { "odd" }, if n < 100 { "shop/chat" } else { "" });
        let stored = Stored { key: key.into(), asset: asset.into(), ..answer(&["a"]) };
        first.keep(question("bot", &format!("thing {n}")), stored, HOUR, now()).await;
    }

    let by = |key: Option<&str>, asset: Option<&str>| Purge {
        key: key.map(str::to_owned),
        asset: asset.map(str::to_owned),
        route: Some("chat".to_owned()),
    };
    assert_eq!(second.purge(&by(Some("even"), Some("shop/chat")), now()).await, Some(50));
    assert_eq!(second.purge(&by(Some("odd"), None), now()).await, Some(350));
    assert!(found(&first, "bot", "thing 1", 1.0).await.is_none());
    assert!(found(&first, "bot", "thing 102", 1.0).await.is_some());
    let other_route = Purge { route: Some("other".to_owned()), ..Purge::default() };
    assert_eq!(second.purge(&other_route, now()).await, Some(0));
    assert_eq!(second.purge(&Purge::default(), now()).await, Some(300));
    let mut connection =
        redis::Client::open(redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("wharfinger:cache:*").query_async(&mut connection).await.unwrap();
    assert_eq!(left, ["wharfinger:cache:sizes"], "nothing of what was asked is left");
}

/// A program with a cached route, at this Redis.
async fn program(redis: &Redis) -> (TestApp, Vendor) {
    let (app, vendor) = house_with(&[("WHARFINGER_REDIS_URL", &redis.url)]).await;
    cached_route(&app, &vendor);
    (app, vendor)
}

fn cached_route(app: &TestApp, vendor: &Vendor) {
    let mut parts = route(parts(), "fast", &[("one", backend(vendor, Provider::Openai, "ok"))]);
    parts = parts.with_policy("cache", PolicySettings::new(Rule::SemanticCache(SemanticCache::default())));
    parts.routes[0].settings.policies = vec!["cache".to_owned()];
    install(app, parts);
}

async fn ask(app: &TestApp, stream: bool) -> Answer {
    let messages = json!([{"role": "user", "content": "where is berth nine"}]);
    let body: Value = json!({"model": "fast", "stream": stream, "max_tokens": 6, "messages": messages});
    app.admin().post("/llm/v1/chat/completions", &body).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_gives_again_purges_and_goes_on_without_redis() {
    let Some(redis) = Redis::start().await else { return };
    let (app, vendor) = program(&redis).await;

    for stream in [false, true] {
        let first = ask(&app, stream).await;
        assert_eq!(first.header("x-wharfinger-cache"), "miss");
        let begun = Instant::now();
        let again = loop {
            let again = ask(&app, stream).await;
            if again.header("x-wharfinger-cache") == "exact" {
                break again;
            }
            // It is kept beside the answer.
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", again.headers);
        };
        assert_eq!(first.text, again.text);
    }
    let purge = json!({"route": "fast"});
    app.member(Role::Publisher, "team").await.post("/api/v1/gateway/cache/purge", &purge).await.expect(403);
    let purged = app.admin().post("/api/v1/gateway/cache/purge", &purge).await.expect(200);
    assert_eq!(purged.json()["removed"], 2);
    assert_eq!(ask(&app, false).await.header("x-wharfinger-cache"), "miss");

    drop(redis);
    let before = vendor.requests("ok");
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(ask(&app, false).await.header("x-wharfinger-cache"), "miss");
    }
    assert_eq!(vendor.requests("ok"), before + 5);
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits long for it");
    app.admin().post("/api/v1/gateway/cache/purge", &purge).await.expect(503);
}
