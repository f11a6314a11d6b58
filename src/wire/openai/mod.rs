//! OpenAI's shapes, where we write them ourselves: errors and the list of models.

mod error;
mod models;

pub use error::error;
pub(in crate::wire) use error::message;
pub use models::models;
