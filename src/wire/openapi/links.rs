//! All references of a document: those that dangle, and those into other documents, which are kept and never fetched.

use super::reference::{References, pointer};
use crate::wire::findings::{Findings, counted};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

/// Members whose keys are names that authors choose, not keywords.
const NAME_MAPS: [&str; 22] = [
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependentSchemas",
    "components",
    "schemas",
    "responses",
    "parameters",
    "requestBodies",
    "headers",
    "securitySchemes",
    "securityDefinitions",
    "links",
    "callbacks",
    "pathItems",
    "mediaTypes",
    "paths",
    "webhooks",
    "content",
    "encoding",
    "additionalOperations",
];
/// Members that hold an author's data, in which `$ref` means nothing to us.
const DATA: [&str; 5] = ["example", "default", "enum", "const", "value"];

struct Scan<'s, 'a> {
    references: &'s References<'a>,
    findings: &'s mut Findings,
    path: Vec<Cow<'a, str>>,
    dangling: HashSet<&'a str>,
    elsewhere: usize,
    first_elsewhere: Vec<&'a str>,
}

/// Adds a warning for each local reference that leads nowhere, and one line that counts those into other documents.
pub(super) fn check<'a>(root: &'a Value, references: &References<'a>, findings: &mut Findings) {
    let mut scan = Scan {
        references,
        findings,
        path: Vec::new(),
        dangling: HashSet::new(),
        elsewhere: 0,
        first_elsewhere: Vec::new(),
    };
    scan.walk(root, false);
    if scan.elsewhere > 0 {
        let message = format!(
            "{} into other documents, which are not fetched; they stand as written (such as {})",
            counted(scan.elsewhere, "reference"),
            scan.first_elsewhere.join(", ")
        );
        scan.findings.tell("external-reference", "", message);
    }
}

impl<'a> Scan<'_, 'a> {
    fn walk(&mut self, value: &'a Value, keys_are_names: bool) {
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate().filter(|(_, item)| item.is_object() || item.is_array()) {
                    self.path.push(Cow::Owned(i.to_string()));
                    self.walk(item, false);
                    self.path.pop();
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    if !keys_are_names {
                        if let ("$ref", Value::String(reference)) = (key.as_str(), member) {
                            self.reference(reference);
                        }
                        if key.starts_with("x-") || DATA.contains(&key.as_str()) {
                            continue;
                        }
                    }
                    if member.is_object() || member.is_array() {
                        self.path.push(Cow::Borrowed(key));
                        self.walk(member, !keys_are_names && NAME_MAPS.contains(&key.as_str()));
                        self.path.pop();
                    }
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, reference: &'a str) {
        let is_pointer = reference.is_empty() || reference == "#" || reference.starts_with("#/");
        if !is_pointer {
            self.elsewhere += 1;
            if self.first_elsewhere.len() < 3 && !self.first_elsewhere.contains(&reference) {
                self.first_elsewhere.push(reference);
            }
        } else if self.references.target(reference).is_none() && self.dangling.insert(reference) {
            let location = pointer(self.path.iter().map(|part| &**part));
            let message = format!("the reference {reference:?} leads nowhere in this document");
            self.findings.warn("dangling-reference", location, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dangling_references_are_named_once_and_external_ones_counted() {
        let root = json!({
            "paths": {"/a": {"get": {"responses": {
                "default": {"$ref": "#/components/responses/Gone"},
                "200": {"content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Here"},
                    "example": {"$ref": "#/not/ours"},
                    "examples": {"one": {"value": {"$ref": "#/not/ours"}}},
                }}},
            }}}},
            "components": {"schemas": {
                "Here": {"properties": {"default": {"$ref": "#/components/responses/Gone"}, "$ref": {"type": "string"}}},
                "There": {"items": [{"$ref": "https://other.example/x.json#/A"}, {"$ref": "common.yaml"}, {"$ref": ""}]},
            }},
        });
        let mut findings = Findings::default();

        check(&root, &References::new(&root), &mut findings);

        let told: Vec<_> = findings.finish().into_iter().map(|f| (f.rule, f.location, f.message)).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0].1, "/paths/~1a/get/responses/default");
        assert_eq!(told[1].1, "/components/schemas/There/items/2");
        assert!(told[2].2.starts_with("2 references into"), "{told:?}");
    }
}
