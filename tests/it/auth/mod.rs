//! Who may do and see what.

mod access;
mod approval;
mod bearer_tokens;
mod drift;
mod leaks;
mod matrix;
mod passwords;
mod providers;
mod sessions;
