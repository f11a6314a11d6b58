//! How a backend is chosen.

pub mod breaker;
