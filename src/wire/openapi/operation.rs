//! The operations below `paths`: found, named, described.

use super::detail::{Parameter, Source};
use super::reference::{References, pointer};
use super::{Edition, text};
use crate::wire::Operation;
use crate::wire::findings::{Findings, counted};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Most bytes of detail in all, so that many operations cannot make much of little.
const ALL_DETAIL_BYTES: usize = 16 << 20;
/// Bounds of one operation's detail.
const DETAIL_BYTES: (usize, usize) = (256, 16 << 10);
/// Most operations that are listed, and most tags of one.
const MOST_OPERATIONS: usize = 20_000;
const MOST_TAGS: usize = 100;
/// Longest path, in bytes.
const PATH_BYTES: usize = 2_000;
/// Parameters that are looked at in all, and the bounds of one operation's share of them.
const ALL_PARAMETERS: usize = 1_000_000;
const PARAMETERS: (usize, usize) = (20, 500);
/// Longest name of an operation, in characters.
const NAME_CHARACTERS: usize = 200;
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// An operation as it stands in the document.
struct Found<'a> {
    path: &'a str,
    method: String,
    location: String,
    item: Vec<&'a Map<String, Value>>,
    operation: Vec<&'a Map<String, Value>>,
}

/// All operations of `paths`, in its order, with unique names.
pub(super) fn operations<'a>(
    root: &'a Map<String, Value>,
    paths: &'a Map<String, Value>,
    edition: Edition,
    references: &References<'a>,
    findings: &mut Findings,
) -> Vec<Operation> {
    let mut found = find(paths, edition, references, findings);
    if found.len() > MOST_OPERATIONS {
        found.truncate(MOST_OPERATIONS);
        let message = format!("more than {MOST_OPERATIONS} operations; only so many are listed");
        findings.warn("too-many-operations", "/paths", message);
    }
    let names = names(&found, findings);
    let (least, most) = DETAIL_BYTES;
    let bound = (ALL_DETAIL_BYTES / found.len().max(1)).clamp(least, most);

    let (fewest, most) = PARAMETERS;
    let most_parameters = (ALL_PARAMETERS / found.len().max(1)).clamp(fewest, most);

    let mut cut = 0;
    let operations: Vec<Operation> = found
        .iter()
        .zip(names)
        .map(|(found, name)| {
            let source = Source { edition, references, root, item: &found.item, operation: &found.operation };
            let parameters = source.parameters(most_parameters);
            check(found, &source, &parameters, findings);
            let (detail, is_cut) = source.detail(&parameters, bound);
            cut += usize::from(is_cut);
            let of = |key| found.operation.iter().find_map(|layer| text(layer, key));
            let of_item = |key| found.item.iter().find_map(|layer| text(layer, key));
            Operation {
                name,
                title: None,
                method: Some(found.method.clone()),
                path: Some(found.path.to_owned()),
                summary: of("summary").or_else(|| of_item("summary")),
                description: of("description").or_else(|| of_item("description")),
                tags: tags(&source),
                deprecated: source.member("deprecated") == Some(&Value::Bool(true)),
                detail,
            }
        })
        .collect();
    if cut > 0 {
        let message =
            format!("too large to keep whole beside the document, so cut short: {}", counted(cut, "operation"));
        findings.tell("large-operation", "/paths", message);
    }
    operations
}

fn find<'a>(
    paths: &'a Map<String, Value>,
    edition: Edition,
    references: &References<'a>,
    findings: &mut Findings,
) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        // Path items may share one by reference, so that few bytes make many operations.
        if all.len() > MOST_OPERATIONS {
            break;
        }
        let at = || pointer(["paths", path]);
        if path.len() > PATH_BYTES {
            let shown: String = path.chars().take(60).collect();
            let message = format!("the path {shown:?}… is longer than {PATH_BYTES} bytes; it is left out");
            findings.warn("too-long", "/paths", message);
            continue;
        }
        if !path.starts_with('/') {
            findings.warn("path-without-slash", at(), format!("the path {path:?} does not begin with a slash"));
        }
        let layers = references.layers(item);
        if layers.is_empty() && !item.is_null() {
            findings.warn("unexpected-type", at(), "a path item must be an object; this one is left out");
        }
        let mut seen = HashSet::new();
        for (key, operation) in layers.iter().flat_map(|layer| layer.iter()) {
            if key == "additionalOperations" && edition == Edition::V3_2 {
                for (method, operation) in operation.as_object().into_iter().flatten() {
                    let location = pointer(["paths", path, key, method]);
                    all.extend(found(path, method.clone(), location, operation, &layers, references, findings));
                }
                continue;
            }
            let method = key.to_ascii_lowercase();
            let is_method = METHODS.contains(&method.as_str()) || (method == "query" && edition == Edition::V3_2);
            if !is_method || !seen.insert(method.clone()) {
                continue;
            }
            let location = pointer(["paths", path, key]);
            if *key != method {
                findings.warn(
                    "method-in-capitals",
                    location.clone(),
                    format!("the method {key} must be in lower case"),
                );
            }
            all.extend(found(path, method.to_ascii_uppercase(), location, operation, &layers, references, findings));
        }
    }
    all
}

fn found<'a>(
    path: &'a str,
    method: String,
    location: String,
    operation: &'a Value,
    item: &[&'a Map<String, Value>],
    references: &References<'a>,
    findings: &mut Findings,
) -> Option<Found<'a>> {
    let operation = references.layers(operation);
    if operation.is_empty() {
        findings.warn("unexpected-type", location, "an operation must be an object; this one is left out");
        return None;
    }
    Some(Found { path, method, location, item: item.to_vec(), operation })
}

/// A unique name for each: the `operationId`, else one of method and path.
fn names(all: &[Found<'_>], findings: &mut Findings) -> Vec<String> {
    let ids: Vec<Option<String>> = all
        .iter()
        .map(|found| found.operation.iter().find_map(|layer| text(layer, "operationId")).map(|id| shortened(id.trim())))
        .collect();
    let mut taken = Taken::default();
    // Identifiers first: a name we make must not take one that the document gives further down.
    let mut names: Vec<Option<String>> = vec![None; all.len()];
    for (name, (id, found)) in names.iter_mut().zip(ids.iter().zip(all)) {
        let Some(id) = id else { continue };
        let free = taken.take(id);
        if free != *id {
            let message = format!("the operationId {id:?} stands on another operation too; this one is named {free:?}");
            findings.warn("duplicate-operation-id", format!("{}/operationId", found.location), message);
        }
        *name = Some(free);
    }
    let unnamed = names.iter().filter(|name| name.is_none()).count();
    if unnamed > 0 {
        let message = format!("named by method and path for want of an operationId: {}", counted(unnamed, "operation"));
        findings.tell("missing-operation-id", "/paths", message);
    }
    names
        .into_iter()
        .zip(all)
        .map(|(name, found)| {
            name.unwrap_or_else(|| {
                let made = made_name(&found.method, found.path);
                let free = taken.take(&made);
                if free != made {
                    let message =
                        format!("the name {made:?}, made of method and path, is taken; this one is named {free:?}");
                    findings.tell("made-name-taken", found.location.clone(), message);
                }
                free
            })
        })
        .collect()
}

/// Names that are taken, and the next number to try for each that was asked for again.
#[derive(Default)]
struct Taken {
    names: HashSet<String>,
    next: HashMap<String, usize>,
}

impl Taken {
    /// `wanted`, or `wanted_2` and so on where it is taken.
    fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let next = self.next.entry(name.clone()).or_insert(2);
        while !self.names.insert(name.clone()) {
            name = format!("{wanted}_{next}");
            *next += 1;
        }
        name
    }
}

/// `get_pets_petId` for `GET /pets/{petId}`.
fn made_name(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = method.to_ascii_lowercase();
    for word in words {
        name.push('_');
        name.push_str(word);
    }
    if name.len() == method.len() {
        name.push_str("_root");
    }
    shortened(&name)
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_CHARACTERS).collect()
}

fn tags(source: &Source<'_, '_>) -> Vec<String> {
    let told = source.member("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut known = HashSet::new();
    told.map(str::trim).filter(|tag| !tag.is_empty() && known.insert(*tag)).take(MOST_TAGS).map(str::to_owned).collect()
}

/// What is missing in one operation.
fn check(found: &Found<'_>, source: &Source<'_, '_>, parameters: &[Parameter<'_>], findings: &mut Findings) {
    let is_elsewhere = found.operation.last().is_some_and(|layer| layer.contains_key("$ref"))
        || parameters.iter().any(Parameter::is_unresolved);
    if is_elsewhere {
        return;
    }
    for name in template_names(found.path) {
        if !parameters.iter().any(|parameter| parameter.place() == "path" && parameter.name() == name) {
            let message = format!("the path has {{{name}}}, but no path parameter of that name is declared");
            findings.warn("undeclared-path-parameter", found.location.clone(), message);
        }
    }
    for parameter in parameters.iter().filter(|parameter| parameter.name().is_empty() && parameter.place() != "body") {
        let message = format!("a parameter in {:?} has no name", parameter.place());
        findings.warn("parameter-without-name", found.location.clone(), message);
    }
    let responses = source.member("responses").and_then(Value::as_object).map_or(0, Map::len);
    if responses == 0 && matches!(source.edition, Edition::V2 | Edition::V3_0) {
        findings.warn("missing-responses", found.location.clone(), "no response is described");
    }
}

fn template_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}
