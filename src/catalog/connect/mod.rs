//! How a client is told to use an MCP server, and how an API is called by hand: pure functions from documents to text.
//!
//! [`options`] reads a `server.json` and gives the ways to reach the server: its remotes, then its packages.
//! [`forms`] turns one of them into what each client wants: a link, a command, a piece of its configuration file.
//! [`curl`] and [`http_file`] do the like for the operations of an API.
//!
//! Documents come from strangers. No text of theirs may end a shell word, a JSON string or a link, hide what a command
//! does, or make a client read a variable of its user's environment and send it to the stranger's server.

mod claude;
mod codex;
mod copilot;
mod cursor;
mod escape;
mod gemini;
mod launch;
mod option;
mod package;
mod plain;
mod remote;
mod requests;
mod sample;
mod template;
mod vscode;

#[cfg(test)]
mod golden;

pub use option::{ConnectOption, Way, options};
pub use requests::{curl, http_file};
pub use sample::sample;
pub use template::Need;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program that speaks to MCP servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    #[serde(rename = "vscode")]
    VsCode,
    Cursor,
    ClaudeCode,
    ClaudeDesktop,
    Codex,
    CopilotCli,
    GeminiCli,
    /// Every other client that reads `mcpServers`.
    Json,
}

impl Client {
    pub const ALL: [Self; 8] = [
        Self::VsCode,
        Self::Cursor,
        Self::ClaudeCode,
        Self::ClaudeDesktop,
        Self::Codex,
        Self::CopilotCli,
        Self::GeminiCli,
        Self::Json,
    ];

    /// The name in JSON, in addresses and as an anchor of a page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VsCode => "vscode",
            Self::Cursor => "cursor",
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Codex => "codex",
            Self::CopilotCli => "copilot-cli",
            Self::GeminiCli => "gemini-cli",
            Self::Json => "json",
        }
    }

    /// The name people know it by.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::VsCode => "VS Code",
            Self::Cursor => "Cursor",
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Codex => "Codex",
            Self::CopilotCli => "Copilot CLI",
            Self::GeminiCli => "Gemini CLI",
            Self::Json => "JSON",
        }
    }

    /// The client of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.as_str() == name)
    }
}

/// What one client needs to use a server, one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    pub client: Client,
    pub title: &'static str,
    /// Steps in order where [`Step::label`] says so; otherwise any one of them will do.
    pub steps: Vec<Step>,
}

/// Something to copy, to follow, or to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// Where the text goes (`.vscode/mcp.json`, `in a terminal`), or what the link says.
    pub label: String,
    /// `json`, `toml`, `sh`, `http`, `link`, or `text` for a sentence to read.
    pub language: &'static str,
    pub text: String,
    /// Where a link leads: an address that opens the client, or a download.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

impl Step {
    fn new(label: &str, language: &'static str, text: impl Into<String>) -> Self {
        Self { label: label.to_owned(), language, text: text.into(), href: None }
    }

    fn json(label: &str, value: &serde_json::Value) -> Self {
        Self::new(label, "json", escape::pretty(value))
    }

    fn shell(label: &str, words: &[String]) -> Self {
        Self::new(label, "sh", escape::command(words))
    }

    fn link(label: &str, href: String) -> Self {
        Self { label: label.to_owned(), language: "link", text: href.clone(), href: Some(href) }
    }

    fn note(text: &str) -> Self {
        Self::new("good to know", "text", text)
    }
}

/// The forms of every client that can use the server this way, in the order in which pages show them.
#[must_use]
pub fn forms(option: &ConnectOption) -> Vec<Form> {
    Client::ALL.into_iter().filter_map(|client| form(option, client)).collect()
}

/// The form of one client; none when it cannot use the server this way at all.
#[must_use]
pub fn form(option: &ConnectOption, client: Client) -> Option<Form> {
    let mut steps = match client {
        Client::VsCode => vscode::steps(option),
        Client::Cursor => cursor::steps(option),
        Client::ClaudeCode => claude::code(option),
        Client::ClaudeDesktop => claude::desktop(option),
        Client::Codex => codex::steps(option),
        Client::CopilotCli => copilot::steps(option),
        Client::GeminiCli => gemini::steps(option),
        Client::Json => plain::steps(option),
    };
    if steps.is_empty() {
        return None;
    }
    if let Some(start) = launch::start_first(option) {
        steps.insert(0, start);
    }
    Some(Form { client, title: client.title(), steps })
}
