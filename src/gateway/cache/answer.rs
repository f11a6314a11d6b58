//! Answers as they are kept and found, and which of them are to go.

use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

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

impl Purge {
    /// Whether an answer with these labels is to go.
    #[must_use]
    pub fn takes(&self, route: &str, asset: &str, key: &str) -> bool {
        let is = |named: &Option<String>, value: &str| named.as_ref().is_none_or(|named| named == value);
        is(&self.route, route) && is(&self.asset, asset) && is(&self.key, key)
    }
}

/// What a store has for a question.
pub(super) enum Looked {
    /// The answer to the same one.
    Same(Found),
    /// Answers to others that may mean the same.
    Others,
    Nothing,
}

/// What an answer costs beside its bytes: its vector and its places in the tables.
pub(super) const OVERHEAD: usize = 2_048;

impl Stored {
    pub(super) fn bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum::<usize>() + OVERHEAD
    }
}

/// The cosine of two unit vectors as a number from 0 to 1; what points away is not near at all.
pub(super) fn similarity(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().clamp(0.0, 1.0)
}
