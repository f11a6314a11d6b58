//! The front door: what every request meets before and after its handler.

mod connections;
mod layers;
