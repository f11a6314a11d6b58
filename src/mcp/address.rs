//! `catalog://` addresses: how resources name assets and their parts.

use crate::door::{AssetPath, segment};

/// The part of an asset an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Asset,
    /// The document of a version; `latest` is the latest one.
    Definition {
        version: String,
    },
    /// One operation or tool of a version.
    Operation {
        version: String,
        operation: String,
    },
}

/// What an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub workspace: String,
    pub name: String,
    pub part: Part,
}

pub(super) const SCHEME: &str = "catalog://";
/// Name, title, description and URI template of each sort of address.
pub(super) const TEMPLATES: [(&str, &str, &str, &str); 3] = [
    (
        "asset",
        "An asset",
        "What an API or MCP server is and does, with its operations or tools.",
        "catalog://{workspace}/{name}",
    ),
    (
        "definition",
        "The document of a version",
        "The OpenAPI document, server.json or other definition, byte for byte; `latest` is a version.",
        "catalog://{workspace}/{name}/versions/{version}/definition",
    ),
    (
        "operation",
        "One operation or tool",
        "An operation of an API or a tool of an MCP server, with its schemas.",
        "catalog://{workspace}/{name}/versions/{version}/operations/{operation}",
    ),
];

impl Address {
    pub(super) fn asset(workspace: &str, name: &str) -> Self {
        Self { workspace: workspace.to_owned(), name: name.to_owned(), part: Part::Asset }
    }

    pub(super) fn definition(workspace: &str, name: &str, version: &str) -> Self {
        Self { part: Part::Definition { version: version.to_owned() }, ..Self::asset(workspace, name) }
    }

    pub(super) fn operation(workspace: &str, name: &str, version: &str, operation: &str) -> Self {
        let part = Part::Operation { version: version.to_owned(), operation: operation.to_owned() };
        Self { part, ..Self::asset(workspace, name) }
    }

    /// The address as a URI; a slash of a name is `%2F`.
    pub(super) fn uri(&self) -> String {
        let whole = format!("{SCHEME}{}/{}", segment(&self.workspace), segment(&self.name));
        match &self.part {
            Part::Asset => whole,
            Part::Definition { version } => format!("{whole}/versions/{}/definition", segment(version)),
            Part::Operation { version, operation } => {
                format!("{whole}/versions/{}/operations/{}", segment(version), segment(operation))
            }
        }
    }

    /// What `uri` names; a bare slash in a name is tolerated. `None` for what is no address of ours.
    pub(super) fn parse(uri: &str) -> Option<Self> {
        let (workspace, path) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let AssetPath { name: workspace, rest } = AssetPath::parse(workspace, &[])?;
        if !rest.is_empty() || workspace.contains('/') {
            return None;
        }
        let AssetPath { name, rest } = AssetPath::parse(path, &["versions"])?;
        let part = match rest.as_slice() {
            [] => Part::Asset,
            [versions, version, word] if versions == "versions" && word == "definition" => {
                Part::Definition { version: version.clone() }
            }
            [versions, version, word, operation] if versions == "versions" && word == "operations" => {
                Part::Operation { version: version.clone(), operation: operation.clone() }
            }
            _ => return None,
        };
        Some(Self { workspace, name, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_and_read_back() {
        for (address, uri) in [
            (Address::asset("default", "payments"), "catalog://default/payments"),
            (Address::asset("default", "com.example/files"), "catalog://default/com.example%2Ffiles"),
            (Address::definition("a", "b", "1.0+x"), "catalog://a/b/versions/1.0%2Bx/definition"),
            (
                Address::operation("a", "n/s", "latest", "GET /x"),
                "catalog://a/n%2Fs/versions/latest/operations/GET%20%2Fx",
            ),
        ] {
            assert_eq!(address.uri(), uri);
            assert_eq!(Address::parse(uri).as_ref(), Some(&address));
        }
        assert_eq!(Address::parse("catalog://a/n/s/versions/1/definition"), Some(Address::definition("a", "n/s", "1")));
    }

    #[test]
    fn other_addresses_name_nothing() {
        for uri in [
            "",
            "catalog://",
            "catalog://a",
            "catalog://a/",
            "http://a/b",
            "catalog://a/b/versions",
            "catalog://a/b/c/d",
            "catalog://a%2Fb/c",
            "catalog://a/%00",
        ] {
            assert_eq!(Address::parse(uri), None, "{uri}");
        }
    }
}
