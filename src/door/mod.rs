//! What the doors share: the handles, who is calling, how input is read and answers are given.

mod asset_path;
mod body;
mod caller;
pub mod cookie;
mod exact;
mod extract;
mod fetch;
mod forgery;
mod front;
mod handles;
mod idempotency;
mod layers;
mod problem_page;
mod refused;
mod respond;
pub mod same_origin;
mod writes;

pub use asset_path::{AssetPath, segment};
pub use body::{BodyFault, problem_of as problem_of_body, read_body};
pub use caller::{Caller, credential, identify};
pub use extract::{Body, Json, OptionalJson, Path, Query, read_json, read_query};
pub use fetch::{fetch_definition, fetch_definitions, fetch_document, fetch_for_line};
pub use forgery::with_form_token;
pub use front::{Front, ReadyAnswers};
pub use handles::{Handles, Liveness, PublicUrl};
pub use idempotency::forget_old as forget_old_answers;
pub use layers::{RequestId, apply};
pub use problem_page::{AsItIs, ProblemContext, ProblemPage, prefers_html};
pub use refused::Asker;
pub use respond::{Failure, etag, if_match, is_fresh, render_problem};
pub use writes::{guarded_writes, writes_done_once};
