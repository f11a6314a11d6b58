//! The gateway's settings, from outside: who may say what, what is refused, what is kept secret, and when it is in force.

mod commands;
mod credential_form;
mod editing;
mod file;
mod import;
mod pages;
mod secrets;
mod things;
mod unread;

use crate::support::{Answer, Person};
use serde_json::{Value, json};

const GATEWAY: &str = "/api/v1/gateway";

fn backend(model: &str) -> Value {
    json!({"provider": "openai", "url": "https://api.example.com/v1", "models": {model: model}})
}

/// Makes a backend, a pool and a route for one model, all of the instance.
async fn one_route(person: &Person<'_>, model: &str) {
    person.put(&format!("{GATEWAY}/backends/eu"), &backend(model)).await.expect(201);
    person.put(&format!("{GATEWAY}/pools/chat"), &json!({"members": [{"backend": "eu"}]})).await.expect(201);
    let route = json!({"serves": {"models": [model]}, "pool": "chat"});
    person.put(&format!("{GATEWAY}/routes/chat"), &route).await.expect(201);
}

/// The places an answer names as wrong.
fn places(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["location"].as_str().unwrap().to_owned()).collect()
}
