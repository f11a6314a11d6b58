//! The program as a process: starting, stopping, being killed, and its commands.

mod commands;
mod killed;

mod replicas;
mod starved;
