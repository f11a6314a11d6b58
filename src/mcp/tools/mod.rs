//! The tools, one file each: what it takes, what it gives, and the verb it calls.

mod connect;
mod definition;
mod describe;
mod search;
mod target;
mod versions;

pub(super) use describe::described;

use super::answer::{Found, Sorry};
use crate::auth::Actor;
use crate::catalog::Kind;
use crate::door::Handles;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Who asks, and of what.
pub(super) struct Asked<'a> {
    pub handles: &'a Handles,
    pub actor: Actor,
}

/// The tools by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    SearchCatalog,
    DescribeAsset,
    GetDefinition,
    ListVersions,
    Connect,
}

impl Name {
    const ALL: [Self; 5] =
        [Self::SearchCatalog, Self::DescribeAsset, Self::GetDefinition, Self::ListVersions, Self::Connect];

    const fn as_str(self) -> &'static str {
        match self {
            Self::SearchCatalog => "search_catalog",
            Self::DescribeAsset => "describe_asset",
            Self::GetDefinition => "get_definition",
            Self::ListVersions => "list_versions",
            Self::Connect => "connect",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == name)
    }

    pub(super) async fn call(self, asked: &Asked<'_>, arguments: JsonObject) -> Result<Found, Sorry> {
        match self {
            Self::SearchCatalog => search::call(asked, self.read(arguments)?).await,
            Self::DescribeAsset => describe::call(asked, self.read(arguments)?).await,
            Self::GetDefinition => definition::call(asked, self.read(arguments)?).await,
            Self::ListVersions => versions::call(asked, self.read(arguments)?).await,
            Self::Connect => connect::call(asked, self.read(arguments)?).await,
        }
    }

    /// The arguments, or which of them is wrong and what there is.
    fn read<A: DeserializeOwned + JsonSchema>(self, mut arguments: JsonObject) -> Result<A, Sorry> {
        // Models write null for what they leave out.
        arguments.retain(|_, value| !value.is_null());
        serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
            let place = error.path().to_string();
            let place = if place == "." { String::new() } else { format!(" `{place}`:") };
            let known = properties(&schema_of::<A>(Contract::Deserialize));
            Sorry::new(format!(
                "The arguments are wrong:{place} {}. {} takes {}.",
                error.inner(),
                self.as_str(),
                known.join(", ")
            ))
        })
    }

    fn tool(self) -> Tool {
        match self {
            Self::SearchCatalog => self.made::<search::Arguments, search::Hits>(
                "Search the catalog",
                "Finds APIs and MCP servers by what they do, in words or by meaning. Say what you want to do; the best \
                 hits come first, each with the operations or tools that fit and the address of more.",
            ),
            Self::DescribeAsset => self.made::<describe::Arguments, describe::Description>(
                "Describe an API or server",
                "Tells what an API or MCP server is, who owns it, where it runs, and lists its operations or tools, \
                 30 at a time.",
            ),
            Self::GetDefinition => self.made::<definition::Arguments, definition::Part>(
                "Get a definition",
                "Gives one operation of an API or one tool of an MCP server with its schemas; without a name the whole \
                 document (OpenAPI, server.json), 16,000 characters at a time.",
            ),
            Self::ListVersions => self.made::<versions::Arguments, versions::Versions>(
                "List versions",
                "Lists the versions of an API or MCP server, the latest first, with lifecycle stage and status.",
            ),
            Self::Connect => self.made::<connect::Arguments, connect::Connections>(
                "Connect to an API or server",
                "For an MCP server: what to put into a client's configuration, and what the user has to fill in. For an \
                 API: its addresses and curl commands.",
            ),
        }
    }

    fn made<A: JsonSchema, O: JsonSchema>(self, title: &str, description: &'static str) -> Tool {
        let mut tool = Tool::new(self.as_str(), description, Arc::new(schema_of::<A>(Contract::Deserialize)));
        tool.title = Some(title.to_owned());
        tool.output_schema = Some(Arc::new(schema_of::<O>(Contract::Serialize)));
        // They read a closed register and change nothing.
        let hints =
            ToolAnnotations::with_title(title).read_only(true).destructive(false).idempotent(true).open_world(false);
        tool.annotations = Some(hints);
        tool
    }
}

/// The tools as they are listed; made once.
pub(super) struct Tools(Vec<Tool>);

impl Tools {
    pub(super) fn new() -> Self {
        Self(Name::ALL.into_iter().map(Name::tool).collect())
    }

    pub(super) fn list(&self) -> &[Tool] {
        &self.0
    }

    pub(super) fn find(&self, name: &str) -> Option<&Tool> {
        self.0.iter().find(|tool| tool.name == name)
    }
}

/// The schema in the form all clients read: one object, nothing referred to.
fn schema_of<T: JsonSchema>(contract: Contract) -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.contract = contract;
    });
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("a struct has an object for a schema"),
    }
}

/// Without what only Rust means: names of structs, `format: uint32`, and null for what is simply left out.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("title").is_some_and(Value::is_string) {
                members.shift_remove("title");
            }
            if members
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|name| name.contains("int") || name == "double")
            {
                members.shift_remove("format");
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.shift_remove("default");
            }
            if let Some(Value::Array(kinds)) = members.get("type")
                && let [kind, null] = kinds.as_slice()
                && null == "null"
            {
                let kind = kind.clone();
                members.insert("type".to_owned(), kind);
            }
            if let Some(Value::Array(choices)) = members.get("anyOf")
                && let [Value::Object(one), null] = choices.as_slice()
                && null["type"] == "null"
            {
                let one = one.clone();
                members.shift_remove("anyOf");
                one.into_iter().for_each(|(name, value)| {
                    members.entry(name).or_insert(value);
                });
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn properties(schema: &JsonObject) -> Vec<String> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let names = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
    names
        .map(|name| if required.contains(&name.as_str()) { format!("{name} (needed)") } else { name.clone() })
        .collect()
}

/// A kind, as a word with its choices.
fn kind_schema(_: &mut SchemaGenerator) -> Schema {
    let kinds = Kind::ALL.map(Kind::as_str);
    json_schema!({"type": "string", "enum": kinds, "description": "Only assets of this kind."})
}

/// The text, or its first characters and an ellipsis; `most` characters in all.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(most - 1).map_or(text.len(), |(at, _)| at);
            format!("{}…", text[..end].trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_tells_what_it_takes_and_gives_and_that_it_changes_nothing() {
        for tool in Tools::new().list() {
            for schema in [&tool.input_schema, tool.output_schema.as_ref().unwrap()] {
                let text = serde_json::to_string(schema).unwrap();
                assert_eq!(schema["type"], "object", "{}", tool.name);
                assert!(
                    !text.contains("$ref") && !text.contains("null") && !text.contains("\"format\":\"u"),
                    "{}: {text}",
                    tool.name
                );
            }
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!((hints.read_only_hint, hints.open_world_hint), (Some(true), Some(false)));
            assert!(tool.title.is_some() && tool.description.as_ref().is_some_and(|text| text.len() > 50));
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        let of = |value: Value| value.as_object().unwrap().clone();
        for (arguments, expected) in [
            (serde_json::json!({}), "missing field `query`"),
            (serde_json::json!({"query": 7}), "`query`: invalid type"),
            (serde_json::json!({"query": "x", "limit": "ten"}), "`limit`: invalid type"),
            (serde_json::json!({"query": "x", "sort": "up"}), "unknown field `sort`"),
            (serde_json::json!({"query": "x", "kind": "car"}), "`kind`: unknown variant `car`"),
        ] {
            let sorry = Name::SearchCatalog.read::<search::Arguments>(of(arguments)).err().unwrap();
            assert!(sorry.text().contains(expected) && sorry.text().contains("query (needed)"), "{}", sorry.text());
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("naïve", 5), "naïve");
        assert_eq!(cut("naïve text", 5), "naïv…");
    }
}
