//! The gateway's settings: the things of each section, all of them as one file, what is done to them, and what they do.

pub mod cache;
pub mod file;
pub mod import;
pub mod limits;
pub mod state;
pub mod things;

pub use things::{backend, credential, policy, pool, price, route};
