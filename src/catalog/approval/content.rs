//! What a reviewer looks at: the content of an asset and a version, its digest, what of it is guarded, and how two contents
//! differ. Pure but for the reading.

use super::super::{Asset, Error, Kind, Visibility, definition, deployment, operation, version};
use crate::base::VersionId;
use crate::wire::Format;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Most operations that are looked at.
const MOST_OPERATIONS: i64 = 10_000;

/// One place in which two contents differ.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Difference {
    /// `owners`, `deployments`, `operations/refund/description`.
    pub place: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub before: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub after: Value,
}

/// The content of an asset, and of a version of it.
pub(in crate::catalog) async fn read(
    conn: &mut PgConnection,
    asset: &Asset,
    version: Option<VersionId>,
) -> Result<Value, Error> {
    let mut content = json!({
        "title": asset.title, "summary": asset.summary, "description": asset.description, "kind": asset.kind,
        "tags": asset.tags, "owners": asset.owners, "visibility": asset.visibility, "sharedWith": asset.shared_with,
        "licence": asset.licence,
    });
    let Some(id) = version else { return Ok(content) };
    let found = version::by_id(&mut *conn, id).await?;
    content["version"] = json!(found.map(|version| version.name));
    let documents = definition::list(&mut *conn, id).await?;
    let described = |format: &str| Format::from_name(format).and_then(Kind::of_format) == Some(asset.kind);
    let (own, beside): (Vec<_>, Vec<_>) = documents.iter().partition(|document| described(&document.format));
    let told = |all: Vec<&super::super::Definition>| -> Value {
        let of = |one: &super::super::Definition| (one.name.clone(), json!(hex::encode(&one.digest)));
        Value::Object(all.into_iter().map(of).collect())
    };
    content["definitions"] = told(own);
    content["documents"] = told(beside);
    let mut operations = Map::new();
    for one in operation::list(&mut *conn, id, 0, MOST_OPERATIONS, true).await? {
        let told = json!({"title": one.title, "method": one.method, "path": one.path, "summary": one.summary,
                          "description": one.description, "detail": one.detail});
        operations.insert(one.name, without_nulls(told));
    }
    content["operations"] = Value::Object(operations);
    let runs = deployment::list(&mut *conn, asset.asset_id, Some(id)).await?;
    let mut runs: Vec<Value> = runs
        .into_iter()
        .map(|one| {
            json!({"url": one.url, "transport": one.transport, "environment": one.environment, "active": one.is_active})
        })
        .collect();
    runs.sort_by_key(ToString::to_string);
    content["deployments"] = runs.into();
    Ok(content)
}

/// SHA-256 of contents; equal contents have equal ones however their members are ordered.
#[must_use]
pub(in crate::catalog) fn digest(contents: &[&Value]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for content in contents {
        hash.update(canonical(content).to_string());
        hash.update([0]);
    }
    hash.finalize().to_vec()
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().map(|(name, value)| (name.clone(), canonical(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

/// Whether the second content says more than was approved with the first: another definition, other operations, other
/// addresses, other owners, or more people who see it.
#[must_use]
pub(in crate::catalog) fn needs_approval(before: &Value, after: &Value) -> bool {
    let differs = |member: &str| canonical(&before[member]) != canonical(&after[member]);
    if ["definitions", "operations", "deployments"].into_iter().any(differs) {
        return true;
    }
    let words = |content: &Value, member: &str| -> Vec<String> {
        let mut all: Vec<String> = serde_json::from_value(content[member].clone()).unwrap_or_default();
        all.sort_unstable();
        all.dedup();
        all
    };
    let reach = |content: &Value| match serde_json::from_value(content["visibility"].clone()) {
        Ok(Visibility::Private) => 0,
        Ok(Visibility::Internal) => 1,
        _ => 2,
    };
    let groups = words(before, "sharedWith");
    words(before, "owners") != words(after, "owners")
        || reach(after) > reach(before)
        || words(after, "sharedWith").iter().any(|group| groups.binary_search(group).is_err())
}

/// The places in which two contents differ, by name; members of objects are compared one by one, three deep.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", before, after, 3, &mut found);
    found
}

fn compare(place: &str, before: &Value, after: &Value, depth: usize, found: &mut Vec<Difference>) {
    if canonical(before) == canonical(after) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) if depth > 0 => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let below = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
                let of = |side: &Map<String, Value>| side.get(name).cloned().unwrap_or(Value::Null);
                compare(&below, &of(old), &of(new), depth - 1, found);
            }
        }
        _ => found.push(Difference { place: place.to_owned(), before: before.clone(), after: after.clone() }),
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Value {
        json!({"title": "Pay", "owners": ["anna", "team"], "visibility": "internal", "sharedWith": [],
               "definitions": {"openapi": "aa"}, "documents": {}, "operations": {"pay": {"description": "Pays"}},
               "deployments": [{"url": "https://a.example"}]})
    }

    #[test]
    fn what_was_approved_is_guarded_and_words_are_not() {
        let change = |pointer: &str, value: Value| {
            let mut after = content();
            *after.pointer_mut(pointer).unwrap() = value;
            needs_approval(&content(), &after)
        };

        for (pointer, value) in [
            ("/definitions/openapi", json!("bb")),
            ("/operations/pay/description", json!("Pays, and tells")),
            ("/deployments/0/url", json!("https://b.example")),
            ("/owners", json!(["anna"])),
            ("/visibility", json!("public")),
            ("/sharedWith", json!(["ops"])),
        ] {
            assert!(change(pointer, value), "{pointer}");
        }
        for (pointer, value) in [
            ("/title", json!("Payments")),
            ("/documents", json!({"guide": "cc"})),
            ("/owners", json!(["team", "anna"])),
            ("/visibility", json!("private")),
        ] {
            assert!(!change(pointer, value), "{pointer}");
        }
    }

    #[test]
    fn differences_name_their_places() {
        let mut after = content();
        after["operations"]["pay"]["description"] = json!("Pays twice");
        after["operations"]["tell"] = json!({"description": "Tells"});

        let places: Vec<_> = differences(&content(), &after).into_iter().map(|one| one.place).collect();

        assert_eq!(places, ["operations/pay/description", "operations/tell"]);
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_members() {
        let (one, other) = (json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"d": 3, "c": 2}, "a": 1}));

        assert_eq!(digest(&[&one]), digest(&[&other]));
        assert_ne!(digest(&[&one]), digest(&[&one, &other]));
    }
}
