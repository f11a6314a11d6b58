//! Local references (`#/components/schemas/Pet`): where they lead, looked up once each.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashMap;

/// Longest chain of references that only lead to references.
const MAX_HOPS: usize = 16;

pub(in crate::wire) struct References<'a> {
    root: &'a Value,
    targets: RefCell<HashMap<&'a str, Option<&'a Value>>>,
}

impl<'a> References<'a> {
    pub(in crate::wire) fn new(root: &'a Value) -> Self {
        Self { root, targets: RefCell::default() }
    }

    /// What a local reference leads to; nothing for a dangling one, and for one into another document.
    pub(super) fn target(&self, reference: &'a str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        *self.targets.borrow_mut().entry(reference).or_insert_with(|| {
            let decoded = percent_decode_str(pointer).decode_utf8().ok()?;
            // Some writers forget to encode a literal `%`.
            self.root.pointer(&decoded).or_else(|| self.root.pointer(pointer))
        })
    }

    /// `value`, or what it leads to when it is a reference that can be followed.
    pub(in crate::wire) fn follow(&self, mut value: &'a Value) -> &'a Value {
        for _ in 0..MAX_HOPS {
            let Some(target) = reference_of(value).and_then(|reference| self.target(reference)) else { break };
            value = target;
        }
        value
    }

    /// The objects that make up `value`: its own, then those its `$ref` leads to; earlier members win over later.
    pub(super) fn layers(&self, mut value: &'a Value) -> Vec<&'a Map<String, Value>> {
        let mut layers = Vec::new();
        while let Value::Object(own) = value {
            layers.push(own);
            let Some(target) = reference_of(value).and_then(|reference| self.target(reference)) else { break };
            if layers.len() > MAX_HOPS {
                break;
            }
            value = target;
        }
        layers
    }
}

/// The text of `$ref`, where `value` is a reference.
pub(super) fn reference_of(value: &Value) -> Option<&str> {
    value.as_object()?.get("$ref")?.as_str()
}

/// The last part of a reference, which is the name of what it leads to.
pub(in crate::wire) fn name_of(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    percent_decode_str(last).decode_utf8_lossy().replace("~1", "/").replace("~0", "~")
}

/// A JSON pointer (RFC 6901) of these parts.
pub(super) fn pointer<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    parts.into_iter().flat_map(|part| ["/".to_owned(), part.replace('~', "~0").replace('/', "~1")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_followed_with_escapes_and_without_end() {
        let root = json!({
            "paths": {"/pets/{id}": {"get": 1}},
            "a": {"$ref": "#/b"}, "b": {"$ref": "#/c"}, "c": {"d": 2}, "50% off": 3,
            "loop": {"$ref": "#/loop"},
        });
        let references = References::new(&root);

        for (reference, target) in [
            ("#/paths/~1pets~1{id}/get", Some(json!(1))),
            ("#/paths/~1pets~1%7Bid%7D/get", Some(json!(1))),
            ("#/50% off", Some(json!(3))),
            ("#/nowhere", None),
            ("", None),
            ("other.yaml#/a", None),
        ] {
            assert_eq!(references.target(reference), target.as_ref(), "{reference}");
        }
        assert_eq!(references.follow(&root["a"]), &json!({"d": 2}));
        assert_eq!(references.follow(&root["loop"]), &root["loop"]);
        assert_eq!(references.layers(&root["a"]).len(), 3);
        assert!(references.layers(&root["loop"]).len() > 1);
    }
}
