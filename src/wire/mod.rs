//! Formats that others define: parse and emit, no input or output of its own.

mod outline;

pub use outline::{Contact, ExternalDoc, Finding, Format, Icon, Licence, Operation, Outline, Server, Severity};
