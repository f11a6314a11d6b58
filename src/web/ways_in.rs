//! Lines to copy that lead programs and agents to this instance.

use crate::door::PublicUrl;
use serde_json::json;

/// Each a line for a terminal or a settings file.
pub struct WaysIn {
    pub register: String,
    pub import: &'static str,
    pub mcp: String,
    pub claude_code: String,
    pub vscode: String,
    pub registry: String,
    pub vscode_registry: String,
    pub servers: String,
    pub search: String,
}

impl WaysIn {
    /// The lines for the instance at this address.
    #[must_use]
    pub fn to(public_url: &PublicUrl) -> Self {
        let mcp = public_url.join("/mcp");
        let vscode = json!({"name": "wharfinger", "type": "http", "url": mcp});
        Self {
            register: format!(
                "curl -X POST {} -H \"Authorization: Bearer $WHARFINGER_KEY\" -H 'Content-Type: application/yaml' \
                 --data-binary @openapi.yaml",
                public_url.join("/api/v1/workspaces/default/assets"),
            ),
            import: "wharfinger import servers.jsonl",
            claude_code: format!("claude mcp add --transport http wharfinger {mcp}"),
            vscode: format!("code --add-mcp '{vscode}'"),
            mcp,
            registry: public_url.as_str().to_owned(),
            vscode_registry: vscode_registry(public_url.as_str()),
            servers: format!("curl '{}'", public_url.join("/v0.1/servers?limit=10")),
            search: format!("curl '{}'", public_url.join("/api/v1/search?q=refund+a+card")),
        }
    }
}

/// The line of VS Code's settings that makes it show the MCP registry at `base`.
#[must_use]
pub fn vscode_registry(base: &str) -> String {
    format!("\"chat.mcp.gallery.serviceUrl\": {}", serde_json::Value::from(base))
}
