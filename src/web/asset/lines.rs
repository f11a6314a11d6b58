//! Operations and tools as lines of a list: what each is, what it says, and what it costs in a prompt.

use super::pages::Pages;
use crate::catalog::Kind;
use crate::web::markdown;
use crate::wire::Operation;
use serde_json::json;

/// Characters a list shows of what an operation says.
const SAYS: usize = 160;
/// Bytes of JSON that make one token, about: measured English and JSON lie between 3 and 5 with today's tokenizers.
const BYTES_A_TOKEN: usize = 4;

/// An operation or tool in a list.
pub struct Line {
    pub href: String,
    pub name: String,
    pub method: Option<String>,
    pub path: Option<String>,
    pub says: String,
    pub is_deprecated: bool,
    /// Estimated tokens of the tool's definition; tools only, and only where its schema was read.
    pub cost: Option<usize>,
}

impl Line {
    #[must_use]
    pub fn of(operation: &Operation, pages: &Pages, kind: Kind) -> Self {
        let says = [&operation.summary, &operation.title, &operation.description]
            .into_iter()
            .flatten()
            .find(|text| !text.trim().is_empty() && **text != operation.name);
        Self {
            href: pages.one(kind.operations_title(), &operation.name),
            name: cut(&operation.name, 200),
            method: operation.method.clone(),
            path: operation.path.as_deref().map(|path| cut(path, 300)),
            says: says.map(|text| first_line(text)).unwrap_or_default(),
            is_deprecated: operation.deprecated,
            cost: (kind == Kind::Mcp && !operation.detail.is_null()).then(|| tokens(operation)),
        }
    }

    /// The class that colours the method.
    #[must_use]
    pub fn method_class(&self) -> &'static str {
        method_class(self.method.as_deref())
    }
}

/// The stylesheet's class for a method: what only reads has none.
#[must_use]
pub fn method_class(method: Option<&str>) -> &'static str {
    match method {
        Some("POST" | "PUT" | "PATCH") => " write",
        Some("DELETE") => " delete",
        _ => "",
    }
}

/// What the definition of a tool adds to every prompt of a client that offers it, in tokens, estimated.
///
/// Counts what clients send on: name, description and input schema, as compact JSON.
#[must_use]
pub fn tokens(operation: &Operation) -> usize {
    let description = operation.description.as_deref().or(operation.summary.as_deref()).unwrap_or_default();
    let sent = json!({
        "name": operation.name,
        "description": description,
        "inputSchema": operation.detail.get("inputSchema"),
    });
    sent.to_string().len().div_ceil(BYTES_A_TOKEN)
}

/// At most `most` characters, the last an ellipsis when something was left out.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// What a list shows of a longer text: the words of its first paragraphs on one line.
#[must_use]
pub fn first_line(text: &str) -> String {
    markdown::plain(text, SAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_first_thing_worth_saying() {
        let operation = Operation {
            name: "list_pets".into(),
            summary: Some(" ".into()),
            description: Some("# Lists\n  all pets.\n\nMore.".into()),
            detail: json!({"inputSchema": {"type": "object"}}),
            ..Operation::default()
        };

        let line = Line::of(&operation, &Pages::new("w", "a", None), Kind::Mcp);

        assert_eq!(line.says, "Lists all pets. More.");
        assert_eq!(line.href, "/assets/w/a/tools/list_pets");
        assert_eq!(line.cost, Some(tokens(&operation)));
        assert_eq!(Line::of(&operation, &Pages::new("w", "a", None), Kind::Rest).cost, None);
    }

    #[test]
    fn the_estimate_grows_with_what_is_sent() {
        let bare = Operation { name: "t".into(), ..Operation::default() };
        let told = Operation { description: Some("x".repeat(400)), ..bare.clone() };

        assert_eq!(tokens(&told) - tokens(&bare), 100);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
