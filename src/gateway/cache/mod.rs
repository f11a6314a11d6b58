//! Answers that are given again: to the same question, or to one that means the same.
//!
//! A [`Question`] is read from a request. Its partition holds all that makes answers differ: who asks (as the policy
//! says), model, parameters, tools, system prompt and the dialogue before the last message. Within a partition the last
//! message is compared: first exactly, then by meaning, where it is a plain text that the embedding model reads whole.
//!
//! Answers are kept in this process, or where replicas share them.

mod answer;
mod local;
mod question;
mod shared;
mod wording;
mod words;

pub use answer::{CacheStatus, Found, Purge, Stored};
pub use question::{Question, Unfit};

use crate::base::Sealed;
use crate::embed::{Embedder, Vector};
use answer::Looked;
use local::Local;
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;

/// The answers of all routes that have a cache; cheap to clone. Every `now` is the monotonic clock's.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    embedder: Embedder,
    store: Store,
}

enum Store {
    Local(Local),
    Shared(Shared),
}

impl Cache {
    /// A cache of at most so many bytes in this process.
    #[must_use]
    pub fn new(embedder: Embedder, most_bytes: usize) -> Self {
        Self(Arc::new(Inner { embedder, store: Store::Local(Local::new(most_bytes)) }))
    }

    /// A cache of at most so many bytes in the Redis at this address, for all replicas together.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn shared(embedder: Embedder, most_bytes: usize, url: &Sealed<String>) -> redis::RedisResult<Self> {
        let store = Store::Shared(Shared::new(url, most_bytes, embedder.model())?);
        Ok(Self(Arc::new(Inner { embedder, store })))
    }

    /// Whether replicas share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0.store, Store::Shared(_))
    }

    /// The answer to the same question; else, of those at least as near as `threshold`, the nearest.
    pub async fn find(&self, question: &Question, threshold: f32, now: Duration) -> Option<Found> {
        let looked = match &self.0.store {
            Store::Local(store) => store.look(question, now),
            Store::Shared(store) => store.look(question, now).await,
        };
        let text = match looked {
            Looked::Same(found) => return Some(found),
            Looked::Others => question.text.as_ref().filter(|_| threshold < 1.0)?,
            Looked::Nothing => return None,
        };
        let vector = self.vector(Some(text)).await?;
        match &self.0.store {
            Store::Local(store) => store.nearest(question, &vector, threshold, now),
            Store::Shared(store) => store.nearest(question, &vector, threshold, now).await,
        }
    }

    /// Keeps an answer for `ttl`. Too large a one is not kept.
    pub async fn keep(&self, question: Question, stored: Stored, ttl: Duration, now: Duration) {
        match &self.0.store {
            Store::Local(store) => {
                // The same question is answered from now on, however long its vector takes.
                let (place, text) = (question.partition, question.text.clone());
                let kept = store.keep(question, stored, ttl, now);
                if let (Some(number), Some(vector)) = (kept, self.vector(text.as_deref()).await) {
                    store.compare(place, number, vector);
                }
            }
            Store::Shared(store) => {
                let vector = self.vector(question.text.as_deref()).await;
                store.keep(&question, vector.as_ref(), &stored, ttl, now).await;
            }
        }
    }

    /// None of what is no text, and without the model: then only exact hits are to be had.
    async fn vector(&self, text: Option<&str>) -> Option<Vector> {
        self.0.embedder.embed_query(text?).await.ok()
    }

    /// Removes answers; what is not named fits all. Gives how many went; none when a shared store does not answer.
    pub async fn purge(&self, which: &Purge, now: Duration) -> Option<usize> {
        match &self.0.store {
            Store::Local(store) => Some(store.purge(which)),
            Store::Shared(store) => store.purge(which, now).await,
        }
    }

    /// Removes what has expired; to be called now and then.
    pub async fn sweep(&self, now: Duration) {
        match &self.0.store {
            Store::Local(store) => drop(store.sweep(now)),
            Store::Shared(store) => store.sweep(now).await,
        }
    }

    /// How full it is; none when a shared store does not answer.
    pub async fn status(&self, now: Duration) -> Option<CacheStatus> {
        match &self.0.store {
            Store::Local(store) => Some(store.status()),
            Store::Shared(store) => store.status(now).await,
        }
    }
}

#[cfg(test)]
mod tests;
