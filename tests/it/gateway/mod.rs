//! The gateway: traffic, its limits and its record.

mod access;
mod cache_threshold;
mod cached;
mod callers;
mod clients;
mod crowd;
mod failing;
mod house;
mod killed;
mod ledger;
mod planted_secrets;
mod playground;
mod policies;
mod prompts;
mod purged;
mod rest;
mod rolling;
mod shared_cache;
mod shared_limits;
mod state;
mod storm;
mod telemetry;
mod tls;
mod traffic;
mod tries;
mod under_load;
