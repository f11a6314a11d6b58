//! Texts become unit vectors; near meanings become near vectors.
//!
//! The model runs on threads of its own, one session each, so that neither the async runtime nor a request waits for
//! bulk work: that has its own threads, of the lowest priority. Loading happens in the background; until it is done, and
//! when there is no model at all, callers get an [`Unavailable`] with the reason and go on without.

mod hashed;
mod local;
mod pool;

pub use local::Source;

use moka::sync::Cache;
use pool::{Pool, Urgency};
use std::sync::Arc;

/// How many numbers a vector has.
pub const DIMENSIONS: usize = 384;

/// Query vectors that are remembered; 1.5 KB each.
const REMEMBERED: u64 = 2_000;
/// Longest query text that is looked at, in characters: the model reads 256 word pieces.
const QUERY_CHARACTERS: usize = 2_000;
/// Texts in one portion of bulk work: how long the end of the program may have to wait (some 30 ms on an idle core).
const PORTION: usize = 4;

/// [`DIMENSIONS`] numbers whose squares sum to one.
pub type Vector = Arc<[f32]>;

/// Whether vectors can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The model is being loaded.
    Loading,
    Ready,
    /// There will be none until the reason is mended and the program started again.
    Absent {
        reason: String,
    },
}

/// Why there is no vector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no embedding: {0}")]
pub struct Unavailable(pub String);

/// Makes vectors; cheap to clone. When the last clone goes, its threads end.
#[derive(Clone)]
pub struct Embedder {
    pool: Arc<Pool>,
    queries: Cache<String, Vector>,
}

impl Embedder {
    /// Loads the model in the background, on `threads` threads for queries and as many for bulk work (at least one
    /// each, with a copy of the model of some 75 MB).
    #[must_use]
    pub fn start(source: Source, threads: usize) -> Self {
        let model = source.name();
        Self::over(Pool::start(model, threads.max(1), move || local::open(&source)))
    }

    /// A small deterministic embedder that needs no model: texts with words in common are near. For tests.
    #[must_use]
    pub fn hashed() -> Self {
        Self::over(Pool::start("hashed".to_owned(), 1, || Ok(Box::new(hashed::embed))))
    }

    /// None; `reason` is what callers and the status page are told.
    #[must_use]
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::over(Pool::absent(reason.into()))
    }

    fn over(pool: Pool) -> Self {
        Self { pool: Arc::new(pool), queries: Cache::new(REMEMBERED) }
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.pool.state()
    }

    /// Waits until loading has ended, well or not.
    pub async fn loaded(&self) -> State {
        self.pool.loaded().await
    }

    /// The name of the vector space; vectors of two spaces cannot be compared.
    #[must_use]
    pub fn model(&self) -> &str {
        self.pool.model()
    }

    /// The vector of a search text, made while somebody waits; remembered. Cut at 2,000 characters.
    ///
    /// # Errors
    /// [`Unavailable`] while loading, without a model, or when the model fails.
    pub async fn embed_query(&self, text: &str) -> Result<Vector, Unavailable> {
        let text: String = text.chars().take(QUERY_CHARACTERS).collect();
        if let Some(known) = self.queries.get(&text) {
            return Ok(known);
        }
        let vector = self.pool.run(vec![text.clone()], Urgency::Query).await?.pop();
        let vector = vector.ok_or_else(|| Unavailable("the model gave nothing".to_owned()))?;
        self.queries.insert(text, vector.clone());
        Ok(vector)
    }

    /// The vectors of `texts`, in their order; the model reads the first 256 word pieces of each. Gives way to
    /// everything else. Waits for a model that is still loading.
    ///
    /// # Errors
    /// [`Unavailable`] without a model, or when the model fails.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vector>, Unavailable> {
        self.loaded().await;
        let count = texts.len();
        let mut texts = texts.into_iter();
        let portions = std::iter::from_fn(|| Some(texts.by_ref().take(PORTION).collect::<Vec<_>>()))
            .take_while(|portion| !portion.is_empty())
            .map(|portion| self.pool.run(portion, Urgency::Bulk));
        let made = futures::future::try_join_all(portions).await?;
        let vectors: Vec<Vector> = made.into_iter().flatten().collect();
        match vectors.len() == count {
            true => Ok(vectors),
            false => Err(Unavailable("the model gave too few".to_owned())),
        }
    }
}

/// Scales to length one; a vector of zeros stays.
fn to_unit(mut vector: Vec<f32>) -> Vector {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn cosine(a: &Vector, b: &Vector) -> f32 {
        a.iter().zip(b.iter()).map(|(x, y)| x * y).sum()
    }

    #[tokio::test]
    async fn vectors_come_back_in_the_order_of_their_texts() {
        let embedder = Embedder::hashed();
        let texts: Vec<String> = (0..25).map(|n| "word ".repeat(25 - n) + &format!("number{n}")).collect();

        let vectors = embedder.embed(texts.clone()).await.unwrap();

        for (text, vector) in texts.iter().zip(&vectors) {
            assert_eq!(*vector, embedder.embed_query(text).await.unwrap());
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
        }
    }

    #[tokio::test]
    async fn a_missing_model_is_a_reason_and_no_panic() {
        let source = Source { model_dir: Some("/nonexistent/model".into()), runtime: None, hub_cache: None };
        let embedder = Embedder::start(source, 1);

        let State::Absent { reason } = embedder.loaded().await else { panic!("there is no model") };

        assert!(reason.contains("/nonexistent/model"), "{reason}");
        assert!(embedder.embed_query("anything").await.unwrap_err().to_string().contains("/nonexistent/model"));
        assert!(embedder.embed(vec!["anything".to_owned()]).await.is_err());
    }

    #[tokio::test]
    async fn dropping_the_last_handle_ends_the_threads() {
        let embedder = Embedder::hashed();
        embedder.loaded().await;
        let pool = Arc::downgrade(&embedder.pool);

        drop(embedder);

        assert!(pool.upgrade().is_none());
    }

    #[tokio::test]
    async fn the_local_model_knows_what_is_alike() {
        let Some(data) = std::env::var_os("WHARFINGER_TEST_MODEL").map(PathBuf::from) else {
            eprintln!("skipped: WHARFINGER_TEST_MODEL names no prepared data directory");
            return;
        };
        let source = Source {
            model_dir: Some(data.join("models/all-MiniLM-L6-v2")),
            runtime: Some(data.join("lib/libonnxruntime.so")),
            hub_cache: None,
        };
        let embedder = Embedder::start(source, 1);
        assert_eq!(embedder.loaded().await, State::Ready);

        let [refund, money, weather] =
            ["refund a card payment", "give the money back to a customer", "tomorrow's rain in Bergen"];
        let made = embedder.embed(vec![refund.to_owned(), money.to_owned(), weather.to_owned()]).await.unwrap();

        assert!(cosine(&made[0], &made[1]) > cosine(&made[0], &made[2]) + 0.2);
    }
}
