//! The REST door, from outside.

mod changing;
mod documents;
mod import_export;
mod keys;
mod names;
mod registering;
mod sight;
mod strictness;
mod versions;

use crate::support::{Answer, Person};
use serde_json::{Value, json};

/// A small API, valid, with two operations.
fn petstore(version: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pet Store", "version": version, "summary": "Sells pets"},
        "servers": [{"url": "https://pets.example.com/v1"}],
        "paths": {
            "/pets": {"get": {
                "operationId": "listPets", "summary": "All pets",
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
                "responses": {"200": {"description": "Pets"}},
            }},
            "/pets/{id}": {"get": {
                "operationId": "getPet",
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "A pet"}},
            }},
        },
    })
}

impl Person<'_> {
    /// Registers in `default`.
    async fn register(&self, body: &Value) -> Answer {
        self.post("/api/v1/workspaces/default/assets", body).await
    }

    /// Sends a body of this type.
    async fn send_text(&self, path: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(reqwest::Method::POST, path).header("content-type", media_type).body(body);
        self.send(request).await
    }
}

/// The names of the items of a list.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// The places an answer names as wrong.
fn places(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["location"].as_str().unwrap().to_owned()).collect()
}
