//! The gateway: traffic, its limits and its record.

mod clients;
mod house;
mod ledger;
mod policies;
mod shared_limits;
mod traffic;
