//! What the doors share: the handles, who is calling, how input is read and answers are given.

mod asset_path;
mod caller;
mod extract;
mod handles;
mod respond;

pub use asset_path::{AssetPath, segment};
pub use caller::{Caller, credential};
pub use extract::{Body, Json, Path, Query, read_json, read_query};
pub use handles::{Handles, PublicUrl};
pub use respond::{Failure, etag, if_match, is_fresh, render_problem};
