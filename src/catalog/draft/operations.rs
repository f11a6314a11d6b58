//! Operations as they are told beside a document.

use crate::catalog::input::NewOperation;
use crate::catalog::wrong::Wrong;
use crate::wire::Operation;
use serde_json::{Map, Value};

/// Names made unique: catalogs in the wild name two operations alike.
pub(super) fn operations_of(told: Vec<NewOperation>, wrong: &mut Wrong) -> Vec<Operation> {
    if told.len() > 5_000 {
        wrong.add("body.operations", "at most 5,000");
    }
    let mut names = std::collections::HashSet::new();
    told.into_iter()
        .enumerate()
        .map(|(i, new)| {
            let base = wrong.text(&format!("body.operations[{i}].name"), new.name.trim(), 1..=300);
            let mut name = base.clone();
            for n in 2.. {
                if names.insert(name.clone()) {
                    break;
                }
                name = format!("{base}_{n}");
            }
            let mut detail = match new.detail {
                Some(Value::Object(detail)) => detail,
                _ => Map::new(),
            };
            let schemas = [
                ("inputSchema", new.input_schema),
                ("outputSchema", new.output_schema),
                ("annotations", new.annotations),
            ];
            detail.extend(schemas.into_iter().filter_map(|(member, value)| Some((member.to_owned(), value?))));
            Operation {
                name,
                title: new.title,
                method: new.method.map(|method| method.to_uppercase()),
                path: new.path,
                summary: new.summary,
                description: new.description,
                tags: new.tags,
                deprecated: new.deprecated,
                detail: Value::Object(detail),
            }
        })
        .collect()
}
