//! Responses that the vendor stores: seen, cancelled and removed by their ids; what was asked of them it notes.

use super::mood::Mood;
use super::shape::{Shape, response, usage};
use super::{Seen, USUAL};
use axum::response::Response;
use http::{Method, Uri};
use serde_json::{Value, json};
use std::sync::Arc;

/// The answer to what is asked of a response; none where no response is named.
pub(super) fn answer(seen: &Arc<Seen>, method: &Method, uri: &Uri, mood: &Mood) -> Option<Response> {
    let (_, asked) = uri.path().split_once("/responses/")?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    seen.stored.lock().unwrap().push(format!("{method} {asked}{query}"));
    let (id, tail) = asked.split_once('/').unwrap_or((asked, ""));
    if query.contains("stream=true") {
        let asked = json!({"model": "gpt-4o", "stream": true});
        return Some(super::stream(seen.clone(), usize::MAX, Shape::Responses, &asked, mood));
    }
    if mood.fault == "gone" {
        return Some(super::json_answer(404, r#"{"error":{"message":"no such response"}}"#));
    }
    let answer = match tail {
        "input_items" => {
            json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false})
        }
        _ if method == Method::DELETE => json!({"id": id, "object": "response", "deleted": true}),
        // The first look at what is made in the background finds it under way.
        _ if mood.fault == "slowly" && seen.stored.lock().unwrap().len() == 1 => told(id, 0, "in_progress"),
        "cancel" => told(id, 2, "cancelled"),
        _ => told(id, USUAL, "completed"),
    };
    Some(super::json_answer(200, &answer.to_string()))
}

fn told(id: &str, words: u64, status: &str) -> Value {
    let text = " word".repeat(usize::try_from(words).unwrap());
    let mut told = response(&json!("gpt-4o"), &text, status);
    told["id"] = id.into();
    told["usage"] = if words > 0 { usage("", words, Shape::Responses) } else { Value::Null };
    told
}

/// What is said at once of a response that is made in the background.
pub(super) fn begun(asked: &Value) -> Value {
    let mut told = response(&asked["model"], "", "queued");
    told["id"] = "resp_behind".into();
    told["output"] = json!([]);
    told["usage"] = Value::Null;
    told["background"] = true.into();
    told
}
