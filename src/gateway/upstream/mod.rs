//! The way to a backend: connections that are kept, requests sent over them, answers read piece by piece.
//!
//! Heads are parsed by `httparse`; connections are ours, for what open streams and each request cost with a client library's
//! ([`link`]).

mod answer;
mod framing;
mod head;
mod link;
mod origin;
mod stream;

pub use answer::{AnswerBody, BodyError};
pub use head::Request;
pub use origin::{Answered, Origin, Origins, SendError};
