//! Who may do and see what.

mod access;
mod bearer_tokens;
mod passwords;
mod providers;
mod sessions;
