//! Asking a running MCP server for its tools, in either era of the protocol, through the guarded client.

use crate::base::{HttpClient, Posted, parse_strict};
use crate::catalog::governance::Answered;
use crate::wire::{mcp, sse};
use serde_json::{Value, json};

/// Most pages of tools that are asked for.
const PAGES: usize = 50;
const MODERN: &str = "2026-07-28";

/// What the server at `url` says of itself.
///
/// # Errors
/// In a sentence, why nothing can be told.
pub async fn ask(http: &HttpClient, url: &str) -> Result<Answered, String> {
    let mut session = Session { http, url, era: Era::Modern, id: None, protocol: MODERN.to_owned(), next: 0 };
    if session.call("server/discover", json!({})).await.is_err() {
        session.era = Era::Legacy;
        session.protocol = mcp::LEGACY_NEWEST.to_owned();
        let params = json!({"protocolVersion": session.protocol, "capabilities": {},
                            "clientInfo": {"name": "wharfinger", "version": env!("CARGO_PKG_VERSION")}});
        let begun = session.call("initialize", params).await?;
        if let Some(protocol) = begun["protocolVersion"].as_str() {
            session.protocol = protocol.to_owned();
        }
        session.notify("notifications/initialized").await;
    }
    let mut tools = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
        let page = session.call("tools/list", params).await?;
        for tool in page["tools"].as_array().into_iter().flatten() {
            let name = tool["name"].as_str().unwrap_or_default().to_owned();
            tools.push((name, told(tool)));
        }
        cursor = page["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(Answered { protocol: session.protocol, tools });
        }
    }
    Err(format!("it lists tools without an end: more than {PAGES} pages"))
}

/// What of a tool counts: all that a model or a caller goes by.
fn told(tool: &Value) -> Value {
    let members = ["title", "description", "inputSchema", "outputSchema", "annotations"];
    let told =
        members.into_iter().filter(|name| !tool[*name].is_null()).map(|name| (name.to_owned(), tool[name].clone()));
    Value::Object(told.collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Modern,
    Legacy,
}

struct Session<'a> {
    http: &'a HttpClient,
    url: &'a str,
    era: Era,
    id: Option<String>,
    protocol: String,
    next: u32,
}

impl Session<'_> {
    async fn call(&mut self, method: &str, mut params: Value) -> Result<Value, String> {
        self.next += 1;
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let message = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        let posted = self.post(method, &message).await?;
        if let Some(id) = posted.headers.get("mcp-session-id").and_then(|value| value.to_str().ok()) {
            self.id = Some(id.to_owned());
        }
        let answer = answer(&posted).ok_or_else(|| match posted.status.as_u16() {
            401 | 403 => "it wants a credential".to_owned(),
            status => format!("it answered {method} with status {status} and no message of the protocol"),
        })?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => {
                let why: String =
                    answer["error"]["message"].as_str().unwrap_or("no reason").chars().take(200).collect();
                Err(format!("it refused {method}: {why}"))
            }
        }
    }

    async fn notify(&self, method: &str) {
        let message = json!({"jsonrpc": "2.0", "method": method});
        if let Err(error) = self.post(method, &message).await {
            tracing::debug!(error, "A server did not take a notification");
        }
    }

    async fn post(&self, method: &str, message: &Value) -> Result<Posted, String> {
        let mut headers = vec![("accept", "application/json, text/event-stream".to_owned())];
        if method != "initialize" {
            headers.push(("mcp-protocol-version", self.protocol.clone()));
        }
        if self.era == Era::Modern {
            headers.push(("mcp-method", method.to_owned()));
        }
        if let Some(id) = &self.id {
            headers.push(("mcp-session-id", id.clone()));
        }
        let body = serde_json::to_vec(message).expect("a JSON value serialises");
        self.http
            .ask(self.url, &headers, body, holds_answer)
            .await
            .map_err(|problem| problem.detail.trim_end_matches('.').to_owned())
    }
}

/// Whether the answer has come in a stream of events, which need not end after it.
fn holds_answer(bytes: &[u8]) -> bool {
    (bytes.starts_with(b"event:")
        || bytes.starts_with(b"data:")
        || bytes.starts_with(b"id:")
        || bytes.starts_with(b":"))
        && in_events(bytes).is_some()
}

fn answer(posted: &Posted) -> Option<Value> {
    let value = parse_strict(&posted.bytes).ok().or_else(|| in_events(&posted.bytes))?;
    (value.get("result").is_some() || value.get("error").is_some()).then_some(value)
}

fn in_events(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    loop {
        let end = sse::event_end(rest).unwrap_or(rest.len());
        let value = sse::data(&rest[..end]).and_then(|data| parse_strict(&data).ok());
        if let Some(value) = value.filter(|value| value.get("result").is_some() || value.get("error").is_some()) {
            return Some(value);
        }
        if end >= rest.len() {
            return None;
        }
        rest = &rest[end..];
    }
}
