//! The gateway's settings: the things of each section, all of them as one file, and what is done to them.

pub mod file;
pub mod import;
pub mod things;

pub use things::{backend, credential, policy, pool, price, route};
