//! Who may do and see what.

mod access;
