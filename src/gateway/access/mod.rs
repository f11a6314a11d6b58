//! Access to what the gateway leads to: somebody asks to call an asset, whoever governs its workspace decides, and the
//! asker makes a key that calls its routes and nothing else.
//!
//! What may be done in which state is one table (`deed.rs`); what is stored stands in `request.rs`. Access itself is a
//! role for the one asset, so it is listed, explained and taken back like every other role.

mod deed;
mod request;
mod verbs;

pub use deed::{AccessState, Deed, Obstacle};
pub use request::{AccessFilter, AccessRequest};
pub use verbs::{AccessDecision, NewAccess, Standing};
