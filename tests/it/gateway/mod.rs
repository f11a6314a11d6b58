//! The gateway: traffic, its limits and its record.

mod ledger;
mod policies;
mod shared_limits;
