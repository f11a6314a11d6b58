//! YAML 1.2 to JSON's values, within bounds: one document, aliases and merge keys expanded up to a limit.
//!
//! The events come from `granit_parser`; the value is built here, because the bounds must hold while it grows.

mod emit;
mod scalar;

pub use emit::emit;

use super::Finding;
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting of lists and mappings, aliases expanded; the same as for JSON.
pub const MAX_DEPTH: usize = 100;
/// Most nodes in all, aliases expanded.
pub const MAX_NODES: usize = 2_000_000;
/// Most bytes that anchors and aliases may copy, each node counted with [`NODE_BYTES`] beside its text.
pub const MAX_COPIED_BYTES: usize = 32 << 20;
const NODE_BYTES: usize = 32;
/// Most findings that are kept.
pub const MAX_FINDINGS: usize = 20;
const NO_KEY: &str = "a list or mapping cannot be a key";

/// Why a text is not the YAML we accept, and where (line and column from 1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line}, column {column}")]
pub struct YamlError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// What a YAML text says.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    pub value: Value,
    /// Keys that stand twice in one mapping, each with its line and column; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
}

/// The one document in `text`.
///
/// Plain scalars follow the core schema; time stamps stay text, and so do numbers JSON cannot hold. Keys that are no
/// strings become their text (`200:` is `"200"`). The merge key `<<` is followed; a mapping's own keys win over merged
/// ones, earlier merged ones over later. Of a key that stands twice the last value holds, as for most readers, and a
/// finding says so: real documents have them, and who must not guess can refuse them.
///
/// # Errors
/// [`YamlError`] for broken syntax, a second document, a key that is a list or mapping, an alias inside its own anchor, the character U+0000, or a bound that is passed ([`MAX_DEPTH`], [`MAX_NODES`], [`MAX_COPIED_BYTES`]).
pub fn parse(text: &str) -> Result<Yaml, YamlError> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| breach(*error.marker(), error.info()))?;
        builder.take(event, span)?;
    }
    let value = builder.root.ok_or_else(|| YamlError::new(1, 1, "the document is empty"))?;
    Ok(Yaml { value, findings: builder.findings })
}

impl YamlError {
    fn new(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), line, column }
    }
}

fn breach(at: Marker, message: impl Into<String>) -> YamlError {
    YamlError::new(at.line().max(1), at.col() + 1, message)
}

#[derive(Default)]
struct Builder {
    root: Option<Value>,
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    copied: usize,
    findings: Vec<Finding>,
}

/// A list or mapping that has begun.
struct Frame {
    anchor: usize,
    begin: Marker,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Mapping { entries: Map<String, Value>, key: Option<Key>, merged: Vec<Map<String, Value>> },
}

enum Key {
    Name(String),
    Merge,
}

struct Anchored {
    value: Value,
    size: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let at = span.start;
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(breach(at, "a second document begins here; send one document at a time"))
            }
            Event::SequenceStart(_, anchor, _) => self.open(anchor, at, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor, at, Content::Mapping { entries: Map::new(), key: None, merged: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.open.pop().expect("the parser closes only what it opened");
                self.put(frame.content.close(), frame.anchor, frame.begin)
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, at: Marker, content: Content) -> Result<(), YamlError> {
        if matches!(self.open.last(), Some(Frame { content: Content::Mapping { key: None, .. }, .. })) {
            return Err(breach(at, NO_KEY));
        }
        self.check_depth(1, at)?;
        self.count_nodes(1, at)?;
        self.open.push(Frame { anchor, begin: at, content });
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Marker,
    ) -> Result<(), YamlError> {
        if text.contains('\0') {
            return Err(breach(at, "the character U+0000 is not allowed"));
        }
        self.count_nodes(1, at)?;
        let is_plain = style == ScalarStyle::Plain && tag.is_none();
        let value = match self.open.last().map(|frame| &frame.content) {
            Some(Content::Mapping { key: None, .. }) => {
                if anchor != 0 {
                    self.anchor(anchor, Value::String(text.clone().into_owned()), at)?;
                }
                return self.key(text.into_owned(), is_plain, at);
            }
            Some(Content::Mapping { key: Some(Key::Name(name)), .. })
                if is_plain && matches!(name.as_str(), "version" | "openapi" | "swagger") =>
            {
                scalar::version(&text)
            }
            _ if is_plain || tag.is_some_and(resolves) => scalar::plain(&text),
            _ => Value::String(text.into_owned()),
        };
        self.put(value, anchor, at)
    }

    fn alias(&mut self, anchor: usize, at: Marker) -> Result<(), YamlError> {
        let Some(Anchored { value, size }) = self.anchors.get(&anchor) else {
            return Err(breach(at, "this alias stands inside the node it refers to"));
        };
        let size = *size;
        if let Some(Frame { content: Content::Mapping { key: None, .. }, .. }) = self.open.last() {
            let name = match value {
                Value::String(text) => text.clone(),
                Value::Array(_) | Value::Object(_) => return Err(breach(at, NO_KEY)),
                other => other.to_string(),
            };
            self.count_copied(size, at)?;
            return self.key(name, false, at);
        }
        self.check_depth(size.depth, at)?;
        self.count_copied(size, at)?;
        let value = self.anchors[&anchor].value.clone();
        self.put(value, 0, at)
    }

    /// Takes `name` as the key of the open mapping's next entry.
    fn key(&mut self, name: String, may_merge: bool, at: Marker) -> Result<(), YamlError> {
        let Some(Frame { content: Content::Mapping { entries, key, .. }, .. }) = self.open.last_mut() else {
            unreachable!("asked only while a mapping awaits a key")
        };
        if may_merge && name == "<<" {
            *key = Some(Key::Merge);
        } else {
            if entries.contains_key(&name) && self.findings.len() < MAX_FINDINGS {
                let place = format!("line {}, column {}", at.line(), at.col() + 1);
                let message = format!("the key {name:?} stands twice in one mapping; this last one holds");
                self.findings.push(Finding::warning("duplicate-key", place, message));
            }
            *key = Some(Key::Name(name));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs, and remembers it when it has an anchor.
    fn put(&mut self, value: Value, anchor: usize, at: Marker) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchor(anchor, value.clone(), at)?;
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        match &mut frame.content {
            Content::List(items) => items.push(value),
            Content::Mapping { entries, key, merged } => match key.take() {
                Some(Key::Name(name)) => {
                    entries.insert(name, value);
                }
                Some(Key::Merge) => merge(value, merged).map_err(|message| breach(at, message))?,
                None => return Err(breach(at, NO_KEY)),
            },
        }
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, value: Value, at: Marker) -> Result<(), YamlError> {
        let size = size_of(&value);
        self.count_copied(size, at)?;
        self.anchors.insert(anchor, Anchored { value, size });
        Ok(())
    }

    fn check_depth(&self, more: usize, at: Marker) -> Result<(), YamlError> {
        if self.open.len() + more > MAX_DEPTH {
            return Err(breach(at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn count_nodes(&mut self, more: usize, at: Marker) -> Result<(), YamlError> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(breach(at, format!("more than {MAX_NODES} nodes, aliases expanded")));
        }
        Ok(())
    }

    fn count_copied(&mut self, size: Size, at: Marker) -> Result<(), YamlError> {
        self.count_nodes(size.nodes, at)?;
        self.copied += size.bytes;
        if self.copied > MAX_COPIED_BYTES {
            return Err(breach(at, format!("aliases expand to more than {} MiB", MAX_COPIED_BYTES >> 20)));
        }
        Ok(())
    }
}

impl Content {
    fn close(self) -> Value {
        match self {
            Self::List(items) => Value::Array(items),
            Self::Mapping { mut entries, merged, .. } => {
                for (name, value) in merged.into_iter().flatten() {
                    entries.entry(name).or_insert(value);
                }
                Value::Object(entries)
            }
        }
    }
}

fn merge(value: Value, merged: &mut Vec<Map<String, Value>>) -> Result<(), &'static str> {
    const MESSAGE: &str = "the merge key << takes a mapping or a list of mappings";
    match value {
        Value::Object(map) => merged.push(map),
        Value::Array(items) => {
            for item in items {
                let Value::Object(map) = item else { return Err(MESSAGE) };
                merged.push(map);
            }
        }
        _ => return Err(MESSAGE),
    }
    Ok(())
}

/// Whether a tag asks for the core schema's reading; `!!str` does not, and a tag of somebody's own says nothing to us.
fn resolves(tag: &Tag) -> bool {
    ["int", "float", "bool", "null"].into_iter().any(|name| tag.is_yaml_core_schema_tag(name))
}

fn size_of(value: &Value) -> Size {
    let mut size = Size { nodes: 1, bytes: NODE_BYTES, depth: 0 };
    let mut add = |inner: Size, key: usize| {
        size.nodes += inner.nodes;
        size.bytes += inner.bytes + key;
        size.depth = size.depth.max(inner.depth);
    };
    match value {
        Value::String(text) => size.bytes += text.len(),
        Value::Array(items) => {
            items.iter().for_each(|item| add(size_of(item), 0));
            size.depth += 1;
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(key, item)| add(size_of(item), key.len()));
            size.depth += 1;
        }
        _ => {}
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_comes_out_in_its_order_with_its_types() {
        let text = "%YAML 1.2\n---\nb: [1, 'x', ~]\n200: {true: no}\nwhen: 2026-11-23\ntext: |\n  one\n  two\n\
                    folded: >-\n  one\n  two\nversion: 1.10\ntagged: !!str 5\nown: !Ref thing\nnumber: !!int '7'\n...\n";

        let value = parse(text).unwrap().value;

        assert_eq!(
            value.to_string(),
            r#"{"b":[1,"x",null],"200":{"true":"no"},"when":"2026-11-23","text":"one\ntwo\n","folded":"one two","version":"1.10","tagged":"5","own":"thing","number":7}"#
        );
    }

    #[test]
    fn anchors_and_merge_keys_are_expanded() {
        let text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nname: &n key\n\
                    one: {<<: *base, b: 9}\nmany: {b: 9, <<: [*base, *other]}\nquoted: {\"<<\": 1}\n*n : again\n";

        let value = parse(text).unwrap().value;

        assert_eq!(value["one"], json!({"a": 1, "b": 9}));
        assert_eq!(value["many"], json!({"b": 9, "a": 1, "c": 4}));
        assert_eq!(value["quoted"], json!({"<<": 1}));
        assert_eq!(value["key"], json!("again"));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_holds_and_a_finding_says_so() {
        let yaml = parse("a: 1\n200:\n  c: 1\n  d: 2\n  c: 3\n\"200\": 4\na: 5\n").unwrap();

        let places: Vec<_> = yaml.findings.iter().map(|finding| finding.location.as_str()).collect();
        assert_eq!(places, ["line 5, column 3", "line 6, column 1", "line 7, column 1"]);
        assert_eq!(yaml.value, json!({"a": 5, "200": 4}));
    }

    #[test]
    fn a_bracket_may_close_at_its_parents_column() {
        let yaml = parse("a:\n  b: {\n    \"80/tcp\": {},\n  }\n  c: [\n    1\n  ]\n").unwrap();

        assert_eq!(yaml.value, json!({"a": {"b": {"80/tcp": {}}, "c": [1]}}));
    }

    #[test]
    fn every_breach_is_named_with_its_place() {
        let deep = format!("a: {}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let alias_deep = format!("a: &a {}1{}\nb: [[*a]]", "[".repeat(MAX_DEPTH - 2), "]".repeat(MAX_DEPTH - 2));
        for (text, line, column, message) in [
            ("? [a, b]\n: 1\n", 1, 3, "cannot be a key"),
            ("? {a: b}\n: 1\n", 1, 3, "cannot be a key"),
            ("a: &x [1, *x]\n", 1, 11, "inside the node"),
            ("a: *nowhere\n", 1, 4, "unknown anchor"),
            ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
            ("a: \"\\0\"\n", 1, 4, "U+0000"),
            ("<<: 1\n", 1, 5, "merge key"),
            ("a: {<<: [1]}\n", 1, 9, "merge key"),
            ("a:\n\t- b\n", 2, 2, "tab"),
            ("a: [1, 2\nb: 3\n", 2, 2, ""),
            ("a: 'open\n", 1, 4, ""),
            (deep.as_str(), 1, MAX_DEPTH + 3, "nested deeper"),
            (alias_deep.as_str(), 2, 6, "nested deeper"),
            ("# nothing\n", 1, 1, "empty"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(message), "{text:.40}: {error}");
            assert_eq!((error.line, error.column), (line, column), "{text:.40}: {error}");
        }
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
        }
        let heavy = format!("a: &a {}\nb: [{}*a]\n", "x".repeat(1 << 20), "*a, ".repeat(1_000));

        for text in [laughs, heavy] {
            assert!(parse(&text).unwrap_err().message.contains("aliases expand"));
        }
    }
}
