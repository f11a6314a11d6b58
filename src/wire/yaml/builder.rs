//! The value, built from the parser's events within the bounds, which must hold while it grows.

use super::{MAX_COPIED_BYTES, MAX_DEPTH, MAX_FINDINGS, MAX_NODES, YamlError, breach, scalar};
use crate::wire::Finding;
use granit_parser::{Event, Marker, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// What a node costs beside its text.
const NODE_BYTES: usize = std::mem::size_of::<Value>();
const NO_KEY: &str = "a list or mapping cannot be a key";

/// The value as far as it has come.
#[derive(Default)]
pub(super) struct Builder {
    pub root: Option<Value>,
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    copied: usize,
    pub findings: Vec<Finding>,
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
    /// Takes in what the parser met next.
    pub fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
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
