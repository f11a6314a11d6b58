//! The discovery endpoint, as agents of both eras meet it.

mod clients;
mod eras;
mod guarded;
mod resources;
mod rust_client;
mod sight;
mod tools;

use crate::support::{Answer, Person, TestApp};
use serde_json::{Value, json};
use wharfinger::auth::Actor;
use wharfinger::base::Slug;

const MODERN: &str = "2026-07-28";

/// Registers an asset in a workspace, which is made when it is not there.
async fn register(app: &TestApp, workspace: &str, new: Value) {
    let (system, catalog) = (Actor::system("test"), &app.handles.catalog);
    catalog.ensure_workspace(&system, &Slug::parse(workspace).unwrap(), workspace).await.unwrap();
    catalog.register(&system, workspace, serde_json::from_value(new).unwrap()).await.unwrap();
}

/// A server with a remote, a package and a tool, and an API with an operation, both public.
async fn harbour() -> TestApp {
    let app = TestApp::start().await;
    register(&app, "default", files_server("public")).await;
    register(&app, "default", payments_api("public")).await;
    app
}

fn files_server(visibility: &str) -> Value {
    json!({
        "visibility": visibility,
        "tags": ["storage"],
        "definition": {"format": "server-json", "value": {
            "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": "com.example/files", "title": "Files", "description": "Reads and writes files in a folder", "version": "1.2.0",
            "remotes": [{"type": "streamable-http", "url": "https://files.example.com/mcp"}],
            "packages": [{
                "registryType": "npm", "identifier": "@example/files", "version": "1.2.0", "transport": {"type": "stdio"},
                "environmentVariables": [{"name": "FILES_TOKEN", "isSecret": true, "isRequired": true}],
            }],
            "_meta": {"io.modelcontextprotocol.registry/publisher-provided": {"tools": [
                {"name": "read_file", "description": "Reads a file", "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}}},
            ]}},
        }},
    })
}

fn payments_api(visibility: &str) -> Value {
    json!({
        "name": "payments", "visibility": visibility, "tags": ["money"],
        "definition": {"value": {
            "openapi": "3.1.0", "info": {"title": "Payments", "version": "2.0.0", "summary": "Takes and refunds payments"},
            "servers": [{"url": "https://pay.example.com/v2"}],
            "paths": {"/refunds/{id}": {"put": {
                "operationId": "refund", "summary": "Refund a card payment",
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"amount": {"type": "integer"}}}}}},
                "responses": {"200": {"description": "done"}},
            }}},
        }},
    })
}

/// Sends one message as a modern client does, and gives the answer.
async fn modern(person: &Person<'_>, method: &str, params: Value) -> Answer {
    let (message, named) = modern_message(method, params);
    let mut request = person
        .request(reqwest::Method::POST, "/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", method);
    if let Some(named) = named {
        request = request.header("mcp-name", named);
    }
    person.send(request.json(&message)).await
}

/// The message, and what belongs into `Mcp-Name`.
fn modern_message(method: &str, mut params: Value) -> (Value, Option<String>) {
    let member = if method == "resources/read" { "uri" } else { "name" };
    let named = params.get(member).and_then(Value::as_str).map(str::to_owned);
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    (json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), named)
}

/// Sends one message as a client of 2025-11-25 does.
async fn legacy(person: &Person<'_>, method: &str, params: Value) -> Answer {
    let request = person
        .request(reqwest::Method::POST, "/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    person.send(request.json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))).await
}

/// The structured content of a tool's answer, which must be a good one.
async fn called(person: &Person<'_>, tool: &str, arguments: Value) -> Value {
    let answer = modern(person, "tools/call", json!({"name": tool, "arguments": arguments})).await.json();
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    answer["result"]["structuredContent"].clone()
}

/// The words with which a tool refuses.
async fn refused(person: &Person<'_>, tool: &str, arguments: Value) -> String {
    let answer = modern(person, "tools/call", json!({"name": tool, "arguments": arguments})).await.json();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}
