//! What stories share.

mod postgres;

pub use postgres::{fresh_database, test_folder};
