//! Formats that others define: parse and emit, no input or output of its own.

pub mod agent_card;
pub mod anthropic;
pub mod asyncapi;
pub mod call;
mod definition;
mod detect;
mod document;
mod findings;
mod json;
pub mod mcp;
pub mod openai;
pub mod openapi;
mod outline;
pub mod retry_after;
pub mod schema_view;
pub mod server_json;
pub mod sse;
mod text;
mod tidy;
pub mod translate;
pub mod usage;
pub mod yaml;

pub use definition::{ReadDefinition, Refusal, read_definition};
pub use detect::{detect, detect_text};
pub use document::{Document, DocumentError, Syntax};
pub use findings::Findings;
pub use outline::{Contact, ExternalDoc, Finding, Format, Icon, Licence, Operation, Outline, Server, Severity};
pub use text::{TextError, decode};
