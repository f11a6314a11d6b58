//! Formats that others define: parse and emit, no input or output of its own.

pub mod agent_card;
pub mod asyncapi;
mod definition;
mod detect;
mod document;
mod findings;
pub mod mcp;
pub mod openapi;
mod outline;
pub mod schema_view;
pub mod server_json;
mod text;
mod tidy;
mod yaml;

pub use definition::{ReadDefinition, Refusal, read_definition};
pub use detect::{detect, detect_text};
pub use document::{Document, DocumentError, Syntax};
pub use findings::Findings;
pub use outline::{Contact, ExternalDoc, Finding, Format, Icon, Licence, Operation, Outline, Server, Severity};
pub use text::{TextError, decode};
