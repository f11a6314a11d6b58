//! The promises of the cache in this process; those of the shared one need its server and are told elsewhere.

use super::answer::OVERHEAD;
use super::*;
use bytes::Bytes;
use serde_json::json;

const HOUR: Duration = Duration::from_secs(3_600);

fn question(who: &str, text: &str) -> Question {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    Question::of(&["p", who], body.to_string().as_bytes(), 10).unwrap()
}

fn answer(text: &str) -> Stored {
    Stored { pieces: vec![Bytes::from(text.to_owned())], route: "chat".into(), ..Stored::default() }
}

/// An embedder that answers already: while it loads, only exact hits are to be had.
async fn loaded() -> Embedder {
    let embedder = Embedder::hashed();
    embedder.embed(vec!["once".to_owned()]).await.unwrap();
    embedder
}

async fn kept(cache: &Cache, who: &str, text: &str) {
    cache.keep(question(who, text), answer(text), HOUR, Duration::ZERO).await;
}

#[tokio::test]
async fn the_same_question_is_found_and_a_near_one_by_its_nearness() {
    let cache = Cache::new(loaded().await, 1 << 20);
    kept(&cache, "bot", "where does the ferry to the island leave").await;

    let same = cache.find(&question("bot", "where does the ferry to the island leave"), 1.0, HOUR / 2).await.unwrap();
    assert_eq!((same.is_exact, same.similarity, same.age), (true, 1.0, HOUR / 2));
    let near =
        cache.find(&question("bot", "where does the ferry to the island leave, please?"), 0.4, HOUR / 2).await.unwrap();
    assert!(!near.is_exact && near.similarity >= 0.4, "{near:?}");
    assert!(cache.find(&question("bot", "what is for lunch"), 0.4, HOUR / 2).await.is_none());
}

#[tokio::test]
async fn what_asks_for_another_number_is_not_near() {
    let cache = Cache::new(loaded().await, 1 << 20);
    kept(&cache, "bot", "refund the order 1041 of today please").await;

    assert!(cache.find(&question("bot", "refund the order 1042 of today please"), 0.1, HOUR / 2).await.is_none());
}

#[tokio::test]
async fn nobody_gets_the_answer_of_another() {
    let cache = Cache::new(loaded().await, 1 << 20);
    kept(&cache, "bot", "the same words").await;

    assert!(cache.find(&question("other", "the same words"), 0.0, HOUR / 2).await.is_none());
}

#[tokio::test]
async fn an_answer_expires_and_is_replaced() {
    let cache = Cache::new(loaded().await, 1 << 20);
    kept(&cache, "bot", "a question").await;
    assert!(cache.find(&question("bot", "a question"), 0.9, HOUR).await.is_none());
    cache.sweep(HOUR).await;
    assert_eq!(cache.status(HOUR).await.unwrap().answers, 0);

    cache.keep(question("bot", "a question"), answer("old"), HOUR, Duration::ZERO).await;
    cache.keep(question("bot", "a question"), answer("new"), HOUR, Duration::ZERO).await;
    let found = cache.find(&question("bot", "a question"), 0.9, Duration::ZERO).await.unwrap();
    assert_eq!(
        (found.stored.pieces[0].as_ref(), cache.status(HOUR / 2).await.unwrap().answers),
        (b"new".as_slice(), 1)
    );
}

#[tokio::test]
async fn it_keeps_within_its_bounds_and_lets_the_oldest_go() {
    let cache = Cache::new(Embedder::hashed(), 20 * OVERHEAD);
    for n in 0..100 {
        kept(&cache, "bot", &format!("question number {n}")).await;
    }

    let status = cache.status(HOUR / 2).await.unwrap();
    assert!(status.bytes <= 20 * OVERHEAD && status.answers >= 15, "{status:?}");
    assert!(cache.find(&question("bot", "question number 0"), 1.0, Duration::ZERO).await.is_none());
    assert!(cache.find(&question("bot", "question number 99"), 1.0, Duration::ZERO).await.is_some());
}

#[tokio::test]
async fn it_is_purged_by_what_is_named() {
    let cache = Cache::new(loaded().await, 1 << 20);
    for (key, route) in [("a", "chat"), ("b", "chat"), ("b", "other")] {
        let stored = Stored { key: key.into(), route: route.into(), ..answer("x") };
        cache.keep(question(&format!("{key}{route}"), "q"), stored, HOUR, Duration::ZERO).await;
    }

    assert_eq!(
        cache.purge(&Purge { key: Some("b".into()), route: Some("chat".into()), asset: None }, HOUR / 2).await,
        Some(1)
    );
    assert_eq!(cache.purge(&Purge { key: Some("c".into()), ..Purge::default() }, HOUR / 2).await, Some(0));
    assert_eq!(cache.purge(&Purge::default(), HOUR / 2).await, Some(2));
    assert_eq!(cache.status(HOUR / 2).await.unwrap(), CacheStatus { answers: 0, bytes: 0 });
}

#[tokio::test]
async fn without_a_model_the_same_question_is_still_found() {
    let cache = Cache::new(Embedder::absent("none here"), 1 << 20);
    kept(&cache, "bot", "a question").await;

    assert!(cache.find(&question("bot", "a question"), 0.5, Duration::ZERO).await.is_some());
    assert!(cache.find(&question("bot", "a question again"), 0.5, Duration::ZERO).await.is_none());
}
