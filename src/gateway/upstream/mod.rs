//! The way to a backend: connections that are kept, requests sent over them, answers read piece by piece.
//!
//! A connection is driven by the task that waits for its answer, and by nobody while it is idle. A task of its own for each
//! connection, as client libraries have, would wake two tasks for every piece of a stream.

mod link;
mod origin;
mod stream;

pub use link::{AnswerBody, BodyError};
pub use origin::{Answered, Origin, Origins, SendError};
