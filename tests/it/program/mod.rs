//! The program as a process: starting, stopping, being killed, and its commands.

mod commands;
mod killed;
mod killed_deciding;
mod notices;
mod replicas;
mod starved;
