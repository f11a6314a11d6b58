//! The gateway: traffic, its limits and its record.

mod ledger;
mod shared_limits;
