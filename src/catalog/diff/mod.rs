//! What changed from one version to another, told in operations and fields, and whether callers break. Pure.

mod operation;
mod schema;

use super::VersionDetail;
use crate::wire::Operation;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use utoipa::ToSchema;

/// What a caller of one version meets in another.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionDiff {
    pub from: String,
    pub to: String,
    /// Whether something that worked with `from` may fail with `to`.
    pub breaking: bool,
    /// Of the version itself.
    pub fields: Vec<FieldChange>,
    /// Operations of an API, tools of an MCP server, skills of an agent.
    pub operations: OperationsDiff,
}

/// A field of the version that differs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// `stage`, `status`, `format`, `definitions`, `deployments`.
    pub field: String,
    pub before: Value,
    pub after: Value,
}

/// Which operations came, went and changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct OperationsDiff {
    pub added: Vec<OperationName>,
    /// Each breaks its callers.
    pub removed: Vec<OperationName>,
    pub changed: Vec<ChangedOperation>,
    /// How many are the same in both.
    pub unchanged: usize,
}

/// An operation by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OperationName {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// An operation that is in both versions and differs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChangedOperation {
    #[serde(flatten)]
    pub operation: OperationName,
    pub breaking: bool,
    pub changes: Vec<OperationChange>,
}

/// One difference within an operation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OperationChange {
    /// A JSON pointer into the operation: `/parameters/query/limit/schema/maximum`, `/inputSchema/properties/city`.
    pub location: String,
    /// What happened, in a sentence.
    pub message: String,
    /// Whether a caller may fail because of it.
    pub breaking: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub before: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub after: Value,
}

impl From<&Operation> for OperationName {
    fn from(operation: &Operation) -> Self {
        Self {
            name: operation.name.clone(),
            title: operation.title.clone(),
            method: operation.method.clone(),
            path: operation.path.clone(),
            summary: operation.summary.clone(),
        }
    }
}

/// The difference of two versions, each with its operations and their details.
#[must_use]
pub fn between(from: (&VersionDetail, &[Operation]), to: (&VersionDetail, &[Operation])) -> VersionDiff {
    let operations = of_operations(from.1, to.1);
    VersionDiff {
        from: from.0.version.name.clone(),
        to: to.0.version.name.clone(),
        breaking: !operations.removed.is_empty() || operations.changed.iter().any(|changed| changed.breaking),
        fields: of_fields(from.0, to.0),
        operations,
    }
}

fn of_fields(from: &VersionDetail, to: &VersionDetail) -> Vec<FieldChange> {
    let definitions = |side: &VersionDetail| -> Value {
        let mut all: Vec<_> = side.definitions.iter().map(|one| (&one.name, hex::encode(&one.digest))).collect();
        all.sort();
        all.into_iter().map(|(name, digest)| json!({"name": name, "digest": digest})).collect()
    };
    let deployments = |side: &VersionDetail| -> Value {
        let mut all: Vec<_> = side.deployments.iter().map(|one| (&one.url, &one.environment)).collect();
        all.sort();
        all.into_iter().map(|(url, environment)| json!({"url": url, "environment": environment})).collect()
    };
    let pairs = [
        ("stage", json!(from.version.stage), json!(to.version.stage)),
        ("status", json!(from.version.status), json!(to.version.status)),
        ("format", json!(from.version.format_name), json!(to.version.format_name)),
        ("definitions", definitions(from), definitions(to)),
        ("deployments", deployments(from), deployments(to)),
    ];
    let differing = pairs.into_iter().filter(|(_, before, after)| before != after);
    differing.map(|(field, before, after)| FieldChange { field: field.to_owned(), before, after }).collect()
}

/// Operations are the same by name, else by method and path: an API that renames its operationIds breaks nobody.
#[must_use]
pub fn of_operations(from: &[Operation], to: &[Operation]) -> OperationsDiff {
    let by_name: HashMap<&str, usize> = to.iter().enumerate().map(|(at, one)| (one.name.as_str(), at)).collect();
    let by_path: HashMap<(&str, &str), usize> =
        to.iter().enumerate().filter_map(|(at, one)| Some((route(one)?, at))).collect();

    let mut diff = OperationsDiff::default();
    let mut met = vec![false; to.len()];
    let mut left = Vec::new();
    let mut pairs = Vec::new();
    for (place, old) in from.iter().enumerate() {
        match by_name.get(old.name.as_str()) {
            Some(&at) => {
                met[at] = true;
                pairs.push((place, old, &to[at]));
            }
            None => left.push((place, old)),
        }
    }
    for (place, old) in left {
        match route(old).and_then(|route| by_path.get(&route)).filter(|at| !met[**at]) {
            Some(&at) => {
                met[at] = true;
                pairs.push((place, old, &to[at]));
            }
            None => diff.removed.push(old.into()),
        }
    }
    pairs.sort_by_key(|(place, ..)| *place);
    for (_, old, new) in pairs {
        let changes = operation::compare(old, new);
        if changes.is_empty() {
            diff.unchanged += 1;
        } else {
            let breaking = changes.iter().any(|change| change.breaking);
            diff.changed.push(ChangedOperation { operation: new.into(), breaking, changes });
        }
    }
    diff.added = to.iter().zip(met).filter(|(_, met)| !met).map(|(new, _)| new.into()).collect();
    diff
}

fn route(operation: &Operation) -> Option<(&str, &str)> {
    Some((operation.method.as_deref()?, operation.path.as_deref()?))
}

/// Where a comparison stands, and what it has found.
struct Finder {
    location: String,
    found: Vec<OperationChange>,
}

impl Finder {
    fn new() -> Self {
        Self { location: String::new(), found: Vec::new() }
    }

    /// Looks below `step`.
    fn within(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let length = self.location.len();
        self.location.push('/');
        self.location.push_str(&step.replace('~', "~0").replace('/', "~1"));
        look(self);
        self.location.truncate(length);
    }

    /// Notes a difference right below here.
    fn note(&mut self, step: &str, breaking: bool, message: String, before: Option<&Value>, after: Option<&Value>) {
        self.within(step, |here| {
            here.found.push(OperationChange {
                location: here.location.clone(),
                message,
                breaking,
                before: before.cloned().unwrap_or_default(),
                after: after.cloned().unwrap_or_default(),
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(name: &str, method: &str, path: &str) -> Operation {
        Operation {
            name: name.to_owned(),
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            ..Operation::default()
        }
    }

    #[test]
    fn operations_come_go_and_stay() {
        let from = [operation("list", "GET", "/pets"), operation("drop", "DELETE", "/pets")];
        let to = [operation("list", "GET", "/pets"), operation("make", "POST", "/pets")];

        let diff = of_operations(&from, &to);

        assert_eq!(diff.unchanged, 1);
        assert_eq!(diff.removed[0].name, "drop");
        assert_eq!(diff.added[0].name, "make");
        assert!(diff.changed.is_empty());
    }

    #[test]
    fn a_new_operation_id_for_the_same_route_breaks_nobody() {
        let diff = of_operations(&[operation("a", "GET", "/pets")], &[operation("b", "GET", "/pets")]);

        assert!(diff.added.is_empty() && diff.removed.is_empty());
        assert_eq!(diff.changed[0].changes[0].location, "/name");
        assert!(!diff.changed[0].breaking);
    }
}
