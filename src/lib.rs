//! Wharfinger keeps the register of an organisation's APIs and MCP servers.
pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
pub mod base;
pub mod catalog;
pub mod door;
pub mod embed;
pub mod gateway;
pub mod mcp;
pub mod notify;
pub mod queue;
pub mod registry;
pub mod search;
pub mod web;
pub mod wire;
