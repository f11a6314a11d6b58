//! The list of models as OpenAI's clients read it.

use serde_json::{Value, json};

/// The list, of names and when each came to be in seconds since 1970.
pub fn models<'a>(models: impl IntoIterator<Item = (&'a str, i64)>) -> Value {
    let data: Vec<Value> = models
        .into_iter()
        .map(|(id, created)| json!({"id": id, "object": "model", "created": created, "owned_by": "wharfinger"}))
        .collect();
    json!({"object": "list", "data": data})
}
