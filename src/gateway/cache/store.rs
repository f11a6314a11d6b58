//! Where answers are kept: in this process, bounded by bytes; the oldest go first.

use super::Question;
use crate::embed::{Embedder, Vector};
use bytes::Bytes;
use http::HeaderValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Questions of one partition that are compared by meaning; the oldest go first.
const COMPARED: usize = 2_000;
/// What an answer costs beside its bytes: its vector and its places in the tables.
const OVERHEAD: usize = 2_048;

/// The answers of all routes that have a cache; cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    embedder: Embedder,
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    partitions: HashMap<[u8; 16], Partition>,
    /// Partition and number of each answer, oldest first.
    order: VecDeque<([u8; 16], u64)>,
    bytes: usize,
    next: u64,
}

#[derive(Default)]
struct Partition {
    exact: HashMap<[u8; 16], u64>,
    answers: HashMap<u64, Answered>,
    /// Those that can be compared by meaning, oldest first.
    compared: VecDeque<u64>,
}

struct Answered {
    question: Question,
    vector: Option<Vector>,
    stored: Arc<Stored>,
    /// On the monotonic clock.
    at: Duration,
    expires: Duration,
    bytes: usize,
}

/// An answer as it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    pub content_type: Option<HeaderValue>,
    /// As they went to the client: a stream is replayed in its pieces.
    pub pieces: Vec<Bytes>,
    pub is_stream: bool,
    /// What the vendor calls the model.
    pub vendor_model: String,
    pub backend: String,
    /// What giving it again saves.
    pub input: u64,
    pub output: u64,
    pub cost: u64,
    /// By what it can be purged.
    pub route: String,
    pub asset: String,
    pub key: String,
}

/// An answer that fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub stored: Arc<Stored>,
    /// From 0 to 1, higher is nearer; 1 for the same question.
    pub similarity: f32,
    pub is_exact: bool,
    pub age: Duration,
}

/// Which answers are to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    pub route: Option<String>,
    pub asset: Option<String>,
    pub key: Option<String>,
}

/// How full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    pub answers: usize,
    pub bytes: usize,
}

impl Cache {
    /// A cache of at most so many bytes.
    #[must_use]
    pub fn new(embedder: Embedder, most_bytes: usize) -> Self {
        Self(Arc::new(Inner { embedder, most_bytes, kept: Mutex::default() }))
    }

    /// The answer to the same question; else, of those at least as near as `threshold`, the nearest. `now` is the
    /// monotonic clock's.
    pub async fn find(&self, question: &Question, threshold: f32, now: Duration) -> Option<Found> {
        if let Some(found) = self.find_exact(question, now) {
            return Some(found);
        }
        let text = question.text.as_ref().filter(|_| threshold < 1.0)?;
        if self.lock().partitions.get(&question.partition).is_none_or(|partition| partition.compared.is_empty()) {
            return None;
        }
        // Without the model, only exact hits are to be had.
        let vector = self.0.embedder.embed_query(text).await.ok()?;
        let kept = self.lock();
        let partition = kept.partitions.get(&question.partition)?;
        let near = partition.compared.iter().filter_map(|number| {
            let answered = partition.answers.get(number)?;
            if answered.expires <= now || answered.question.wording != question.wording {
                return None;
            }
            let similarity = similarity(answered.vector.as_ref()?, &vector);
            (similarity >= threshold).then_some((similarity, answered))
        });
        let (similarity, answered) = near.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let (stored, age) = (answered.stored.clone(), now.saturating_sub(answered.at));
        Some(Found { stored, similarity, is_exact: false, age })
    }

    fn find_exact(&self, question: &Question, now: Duration) -> Option<Found> {
        let kept = self.lock();
        let partition = kept.partitions.get(&question.partition)?;
        let answered = partition.answers.get(partition.exact.get(&question.exact)?)?;
        let (stored, age) = (answered.stored.clone(), now.saturating_sub(answered.at));
        (answered.expires > now).then_some(Found { stored, similarity: 1.0, is_exact: true, age })
    }

    /// Keeps an answer for `ttl`. Too large a one is not kept.
    pub async fn keep(&self, question: Question, stored: Stored, ttl: Duration, now: Duration) {
        let bytes = stored.pieces.iter().map(Bytes::len).sum::<usize>() + OVERHEAD;
        if bytes > self.0.most_bytes / 8 {
            return;
        }
        let vector = match &question.text {
            Some(text) => self.0.embedder.embed_query(text).await.ok(),
            None => None,
        };
        let mut kept = self.lock();
        let number = kept.next;
        kept.next += 1;
        let partition = kept.partitions.entry(question.partition).or_default();
        let replaced = partition.exact.insert(question.exact, number);
        let mut gone = replaced.into_iter().collect::<Vec<_>>();
        if vector.is_some() {
            partition.compared.push_back(number);
            if partition.compared.len() > COMPARED {
                gone.extend(partition.compared.front().copied());
            }
        }
        let place = question.partition;
        let answered = Answered { question, vector, stored: Arc::new(stored), at: now, expires: now + ttl, bytes };
        partition.answers.insert(number, answered);
        kept.order.push_back((place, number));
        kept.bytes += bytes;
        for number in gone {
            kept.remove(place, number);
        }
        while kept.bytes > self.0.most_bytes
            && let Some((place, number)) = kept.order.pop_front()
        {
            kept.remove(place, number);
        }
    }

    /// Removes answers; what is not named fits all. Gives how many went.
    pub fn purge(&self, which: &Purge) -> usize {
        let fits = |stored: &Stored| {
            let is = |named: &Option<String>, value: &str| named.as_ref().is_none_or(|named| named == value);
            is(&which.route, &stored.route) && is(&which.asset, &stored.asset) && is(&which.key, &stored.key)
        };
        self.remove_where(|answered| fits(&answered.stored))
    }

    /// Removes what has expired; to be called now and then.
    pub fn sweep(&self, now: Duration) -> usize {
        self.remove_where(|answered| answered.expires <= now)
    }

    #[must_use]
    pub fn status(&self) -> CacheStatus {
        let kept = self.lock();
        let answers = kept.partitions.values().map(|partition| partition.answers.len()).sum();
        CacheStatus { answers, bytes: kept.bytes }
    }

    fn remove_where(&self, fits: impl Fn(&Answered) -> bool) -> usize {
        let mut kept = self.lock();
        let gone: Vec<_> = kept
            .partitions
            .iter()
            .flat_map(|(place, partition)| {
                let fits = &fits;
                let numbers = partition.answers.iter().filter(move |(_, answered)| fits(answered));
                numbers.map(|(number, _)| (*place, *number))
            })
            .collect();
        for (place, number) in &gone {
            kept.remove(*place, *number);
        }
        kept.tidy();
        gone.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.kept.lock().expect("no holder of this lock can panic")
    }
}

impl Kept {
    fn remove(&mut self, place: [u8; 16], number: u64) {
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        let Some(answered) = partition.answers.remove(&number) else { return };
        self.bytes -= answered.bytes;
        if partition.exact.get(&answered.question.exact) == Some(&number) {
            partition.exact.remove(&answered.question.exact);
        }
        if answered.vector.is_some() {
            partition.compared.retain(|other| *other != number);
        }
        if partition.answers.is_empty() {
            self.partitions.remove(&place);
        }
    }

    /// Lets go of places in the order whose answers went for another reason than their age.
    fn tidy(&mut self) {
        let partitions = &self.partitions;
        let there = |place: &[u8; 16], number: &u64| {
            partitions.get(place).is_some_and(|partition| partition.answers.contains_key(number))
        };
        self.order.retain(|(place, number)| there(place, number));
    }
}

/// The cosine of two unit vectors as a number from 0 to 1; what points away is not near at all.
fn similarity(a: &Vector, b: &Vector) -> f32 {
    a.iter().zip(b.iter()).map(|(x, y)| x * y).sum::<f32>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
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

        let same =
            cache.find(&question("bot", "where does the ferry to the island leave"), 1.0, HOUR / 2).await.unwrap();
        assert_eq!((same.is_exact, same.similarity, same.age), (true, 1.0, HOUR / 2));
        let near = cache
            .find(&question("bot", "where does the ferry to the island leave, please?"), 0.4, HOUR / 2)
            .await
            .unwrap();
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
        assert_eq!(cache.sweep(HOUR), 1);

        cache.keep(question("bot", "a question"), answer("old"), HOUR, Duration::ZERO).await;
        cache.keep(question("bot", "a question"), answer("new"), HOUR, Duration::ZERO).await;
        let found = cache.find(&question("bot", "a question"), 0.9, Duration::ZERO).await.unwrap();
        assert_eq!((found.stored.pieces[0].as_ref(), cache.status().answers), (b"new".as_slice(), 1));
    }

    #[tokio::test]
    async fn it_keeps_within_its_bounds_and_lets_the_oldest_go() {
        let cache = Cache::new(Embedder::hashed(), 20 * OVERHEAD);
        for n in 0..100 {
            kept(&cache, "bot", &format!("question number {n}")).await;
        }

        let status = cache.status();
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

        assert_eq!(cache.purge(&Purge { key: Some("b".into()), route: Some("chat".into()), asset: None }), 1);
        assert_eq!(cache.purge(&Purge { key: Some("c".into()), ..Purge::default() }), 0);
        assert_eq!(cache.purge(&Purge::default()), 2);
        assert_eq!(cache.status(), CacheStatus { answers: 0, bytes: 0 });
    }

    #[tokio::test]
    async fn without_a_model_the_same_question_is_still_found() {
        let cache = Cache::new(Embedder::absent("none here"), 1 << 20);
        kept(&cache, "bot", "a question").await;

        assert!(cache.find(&question("bot", "a question"), 0.5, Duration::ZERO).await.is_some());
        assert!(cache.find(&question("bot", "a question again"), 0.5, Duration::ZERO).await.is_none());
    }
}
