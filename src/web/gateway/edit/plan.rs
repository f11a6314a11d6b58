//! What a write would change, place by place, for who is about to save it. Pure.

use super::field::text;
use crate::gateway::Rehearsed;
use serde_json::Value;
use std::collections::BTreeMap;

/// What would change.
pub(super) struct Plan {
    pub changes: Vec<Change>,
    /// What is most likely a slip.
    pub warnings: Vec<String>,
}

/// One place that becomes other than it was.
pub(super) struct Change {
    pub place: String,
    /// Empty where it was unsaid.
    pub before: String,
    pub after: String,
}

/// What a write that was rehearsed would change.
pub(super) fn plan(rehearsed: Rehearsed) -> Plan {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(&rehearsed.before.unwrap_or_default(), String::new(), &mut before);
    leaves(&rehearsed.after, String::new(), &mut after);
    let mut places: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    places.sort();
    places.dedup();
    let value = |of: &BTreeMap<String, String>, place: &str| of.get(place).cloned().unwrap_or_default();
    let changes =
        places.into_iter().map(|place| Change { before: value(&before, &place), after: value(&after, &place), place });
    let changes = changes.filter(|change| change.before != change.after).collect();
    Plan { changes, warnings: rehearsed.warnings }
}

/// Each place that holds a value, with it.
fn leaves(value: &Value, at: String, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let below = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                leaves(value, below, found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (number, value) in list.iter().enumerate() {
                leaves(value, format!("{at}[{number}]"), found);
            }
        }
        Value::Array(list) => {
            found.insert(at, list.iter().map(text).collect::<Vec<_>>().join(", "));
        }
        Value::Null => {}
        value => {
            if !at.is_empty() {
                found.insert(at, text(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_names_what_differs() {
        let before = Some(json!({"members": [{"backend": "eu"}], "strategy": "least-busy"}));
        let after = json!({"members": [{"backend": "eu", "weight": 2}, {"backend": "us"}], "strategy": "least-busy"});

        let changes = plan(Rehearsed { before, after, warnings: Vec::new() }).changes;

        let told: Vec<_> =
            changes.iter().map(|one| (one.place.as_str(), one.before.as_str(), one.after.as_str())).collect();
        assert_eq!(told, [("members[0].weight", "", "2"), ("members[1].backend", "", "us")]);
    }
}
