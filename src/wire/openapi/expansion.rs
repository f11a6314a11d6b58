//! `Expansion`: schemas with their local references opened, as deep as a number of bytes allows.
//!
//! Size is counted while building and the building stops at the bound, so that one operation costs at most a few times
//! its bound, however large and circular the schemas are.

use super::reference::{References, name_of, reference_of};
use serde_json::{Map, Value};

/// Depths of references that are tried, shallow first; the deepest that fits is kept.
const DEPTHS: [usize; 7] = [0, 1, 2, 3, 4, 6, 8];
/// Longest description when the whole does not fit.
const BRIEF_CHARACTERS: usize = 160;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Whole,
    /// Descriptions cut, examples left out.
    Brief,
    /// Brief, and what does not fit is left out.
    Cut,
}

/// One attempt at building something within a bound; every method gives nothing once the bound is passed.
pub(super) struct Expansion<'r, 'a> {
    references: &'r References<'a>,
    depth: usize,
    style: Style,
    left: usize,
    /// A reference stayed closed only for want of depth.
    has_closed: bool,
    trail: Vec<&'a str>,
}

/// What was built, and how.
pub(super) struct Fitted<T> {
    pub(super) value: T,
    pub(super) bytes: usize,
    /// Something was left out to stay within the bound.
    pub(super) is_cut: bool,
}

/// What `build` gives with references opened as deep as fits into `bound` bytes.
pub(super) fn fit<'r, 'a, T: Default>(
    references: &'r References<'a>,
    bound: usize,
    build: impl Fn(&mut Expansion<'r, 'a>) -> Option<T>,
) -> Fitted<T> {
    let attempt = |depth, style| {
        let mut expansion = Expansion { references, depth, style, left: bound, has_closed: false, trail: Vec::new() };
        build(&mut expansion).map(|value| (value, expansion))
    };
    let mut best = None;
    for depth in DEPTHS {
        let Some((value, expansion)) = attempt(depth, Style::Whole) else { break };
        best = Some(Fitted { value, bytes: bound - expansion.left, is_cut: false });
        if !expansion.has_closed {
            break;
        }
    }
    best.unwrap_or_else(|| match attempt(0, Style::Brief) {
        Some((value, expansion)) => Fitted { value, bytes: bound - expansion.left, is_cut: true },
        None => Fitted {
            value: attempt(0, Style::Cut).map(|(value, _)| value).unwrap_or_default(),
            bytes: bound,
            is_cut: true,
        },
    })
}

impl<'a> Expansion<'_, 'a> {
    /// A schema. An opened reference gets the name of its target as `title` where it has none.
    pub(super) fn schema(&mut self, schema: &'a Value) -> Option<Value> {
        let Value::Object(members) = schema else { return self.copy(schema) };
        match reference_of(schema) {
            Some(reference) => self.reference(reference, members),
            None => self.members(members.iter()).map(Value::Object),
        }
    }

    fn reference(&mut self, reference: &'a str, members: &'a Map<String, Value>) -> Option<Value> {
        let target = self.references.target(reference).filter(|target| target.is_object());
        let is_circular = self.trail.contains(&reference);
        let Some(target) = target.filter(|_| !is_circular && self.trail.len() < self.depth) else {
            self.has_closed |= target.is_some() && !is_circular;
            return self.members(members.iter()).map(Value::Object);
        };

        self.trail.push(reference);
        let opened = self.schema(target);
        self.trail.pop();
        let Some(Value::Object(mut opened)) = opened else { return opened };
        if !opened.contains_key("title") && !opened.contains_key("$ref") {
            let title = name_of(reference);
            self.spend(title.len() + 12)?;
            opened.insert("title".to_owned(), Value::String(title));
        }
        // Members beside `$ref` add to what it leads to (OpenAPI 3.1); where they clash, the nearer one is meant.
        opened.extend(self.members(members.iter().filter(|(key, _)| *key != "$ref"))?);
        Some(Value::Object(opened))
    }

    /// These keywords of a schema, without extensions (`x-`).
    pub(super) fn members(
        &mut self,
        members: impl Iterator<Item = (&'a String, &'a Value)>,
    ) -> Option<Map<String, Value>> {
        self.spend(2)?;
        let mut built = Map::new();
        for (key, value) in members {
            let is_example = key == "example" || key == "examples";
            if key.starts_with("x-") || (is_example && self.style != Style::Whole) {
                continue;
            }
            let value = self.spend(key.len() + 4).and_then(|()| self.keyword(key, value));
            if self.keep(value, |value| built.insert(key.clone(), value))? {
                break;
            }
        }
        Some(built)
    }

    fn keyword(&mut self, key: &str, value: &'a Value) -> Option<Value> {
        match (key, value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(named),
            ) => {
                self.spend(2)?;
                let mut built = Map::new();
                for (name, schema) in named {
                    let schema = self.spend(name.len() + 4).and_then(|()| self.schema(schema));
                    if self.keep(schema, |schema| built.insert(name.clone(), schema))? {
                        break;
                    }
                }
                Some(Value::Object(built))
            }
            ("allOf" | "oneOf" | "anyOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                self.spend(2)?;
                let mut built = Vec::with_capacity(schemas.len().min(64));
                for schema in schemas {
                    let schema = self.schema(schema);
                    if self.keep(schema, |schema| built.push(schema))? {
                        break;
                    }
                }
                Some(Value::Array(built))
            }
            (
                "items"
                | "additionalProperties"
                | "additionalItems"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "contentSchema",
                _,
            ) => self.schema(value),
            ("description" | "title", Value::String(text)) => self.text(text),
            _ => self.copy(value),
        }
    }

    /// A text for people.
    pub(super) fn text(&mut self, text: &str) -> Option<Value> {
        let text = match text.char_indices().nth(BRIEF_CHARACTERS) {
            Some((end, _)) if self.style != Style::Whole => format!("{}…", &text[..end]),
            _ if self.left < text.len() => return None,
            _ => text.to_owned(),
        };
        self.spend(text.len() + 2)?;
        Some(Value::String(text))
    }

    /// `value` as it is.
    pub(super) fn copy(&mut self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => {
                self.spend(2)?;
                let mut built = Vec::with_capacity(items.len().min(64));
                for item in items {
                    let item = self.copy(item);
                    if self.keep(item, |item| built.push(item))? {
                        break;
                    }
                }
                Some(Value::Array(built))
            }
            Value::Object(members) => {
                self.spend(2)?;
                let mut built = Map::new();
                for (key, member) in members {
                    let member = self.spend(key.len() + 4).and_then(|()| self.copy(member));
                    if self.keep(member, |member| built.insert(key.clone(), member))? {
                        break;
                    }
                }
                Some(Value::Object(built))
            }
            Value::String(text) => {
                self.spend(text.len() + 3)?;
                Some(value.clone())
            }
            _ => {
                self.spend(5)?;
                Some(value.clone())
            }
        }
    }

    /// Hands a part that was built to `put`. True when the part did not fit and the whole is to end here; nothing when
    /// the whole attempt has failed.
    pub(super) fn keep<T, R>(&mut self, part: Option<T>, put: impl FnOnce(T) -> R) -> Option<bool> {
        match part {
            Some(part) => {
                put(part);
                Some(false)
            }
            None if self.style == Style::Cut => Some(true),
            None => None,
        }
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Option<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                return None;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fitted(root: &Value, bound: usize) -> Fitted<Value> {
        fit(&References::new(root), bound, |expansion| expansion.schema(&root["start"]))
    }

    fn tree() -> Value {
        json!({
            "start": {"type": "object", "properties": {"pet": {"$ref": "#/defs/Pet", "description": "mine"}}, "x-a": 1},
            "defs": {
                "Pet": {"type": "object", "properties": {
                    "x-name": {"type": "string", "description": "what it listens to"},
                    "friend": {"$ref": "#/defs/Pet"},
                    "owner": {"allOf": [{"$ref": "#/defs/Owner"}]},
                    "$ref": {"type": "string"},
                }},
                "Owner": {"type": "object", "title": "A person", "default": {"x-keep": 1}},
            },
        })
    }

    #[test]
    fn references_are_opened_but_for_circles_and_extensions_left_out() {
        let whole = fitted(&tree(), 10_000);

        assert_eq!(
            whole.value,
            json!({"type": "object", "properties": {"pet": {
                "type": "object",
                "properties": {
                    "x-name": {"type": "string", "description": "what it listens to"},
                    "friend": {"$ref": "#/defs/Pet"},
                    "owner": {"allOf": [{"type": "object", "title": "A person", "default": {"x-keep": 1}}]},
                    "$ref": {"type": "string"},
                },
                "title": "Pet",
                "description": "mine",
            }}})
        );
        assert!(!whole.is_cut);
    }

    #[test]
    fn a_small_bound_leaves_references_closed_and_then_cuts() {
        let shallow = fitted(&tree(), 150);
        let tiny = fitted(&tree(), 30);

        assert_eq!(shallow.value["properties"]["pet"], json!({"$ref": "#/defs/Pet", "description": "mine"}));
        assert!(!shallow.is_cut);
        assert!(tiny.is_cut);
        assert!(tiny.value.to_string().len() <= 40, "{}", tiny.value);
    }

    #[test]
    fn the_bound_holds_for_schemas_that_refer_to_everything() {
        let names: Vec<String> = (0..60).map(|n| format!("S{n}")).collect();
        let all: Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!({"$ref": format!("#/defs/{name}")}))).collect();
        let defs: Map<String, Value> = names
            .iter()
            .map(|name| (name.clone(), json!({"properties": all, "description": "d".repeat(500)})))
            .collect();
        let root = json!({"start": {"$ref": "#/defs/S0"}, "defs": defs});

        let fitted = fitted(&root, 16 << 10);

        assert!(fitted.value.to_string().len() <= 16 << 10);
        assert!(fitted.value.to_string().len() > 2_000, "one level fits");
    }
}
