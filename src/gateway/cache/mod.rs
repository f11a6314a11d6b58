//! Answers that are given again: to the same question, or to one that means the same.
//!
//! A [`Question`] is read from a request. Its partition holds all that makes answers differ: who asks (as the policy
//! says), model, parameters, tools, system prompt and the dialogue before the last message. Within a partition the last
//! message is compared: first exactly, then by meaning, where it is a plain text that the embedding model reads whole.

mod question;
mod store;
mod wording;
mod words;

pub use question::{Question, Unfit};
pub use store::{Cache, CacheStatus, Found, Purge, Stored};
