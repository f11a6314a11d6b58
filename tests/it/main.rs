//! The promises of the whole program, each told as a story against a real database.

mod api;
mod architecture;
mod audit;
mod auth;
mod bad_input;
mod catalog;
mod connect;
mod fetching;
mod forbidden_addresses;
mod front_door;
mod gateway;
mod gateway_settings;
mod mcp;
mod openapi;
mod own_document;
mod program;
mod queue;
mod registry;
mod search;
mod server_json;
mod starting;
mod support;
mod upstream;
mod views;
mod web;
mod webhooks;
