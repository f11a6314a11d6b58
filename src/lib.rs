//! Wharfinger keeps the register of an organisation's APIs and MCP servers.
pub mod base;
pub mod wire;
