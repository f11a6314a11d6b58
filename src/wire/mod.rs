//! Formats that others define: parse and emit, no input or output of its own.

mod definition;
mod outline;
pub mod server_json;

pub use definition::{ReadDefinition, Refusal, read_definition};
pub use outline::{Contact, ExternalDoc, Finding, Format, Icon, Licence, Operation, Outline, Server, Severity};
