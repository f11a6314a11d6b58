//! What is asked of the search and what it answers: the words every door shares.

use crate::base::{Cursor, Limit};
use crate::catalog::Card;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What stands before and after a marked word.
pub const MARK: (char, char) = ('\u{E000}', '\u{E001}');

/// A question: the text of the search box, and filters set beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Words, `"exact words"`, and filters like `kind:mcp`; empty browses everything.
    pub text: String,
    pub filters: Filters,
    pub sort: Sort,
    pub limit: Limit,
    pub cursor: Option<Cursor>,
}

/// Values by facet name (`kind`, `workspace`, `tag`, `owner`, `stage`, `environment`, `transport`, or a metadata field
/// declared as facet). Several values of one facet: any of them; several facets: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

impl Filters {
    /// Adds a value; an empty one is left out.
    #[must_use]
    pub fn with(mut self, facet: &str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value.map(Into::into).filter(|value| !value.is_empty()) {
            self.0.entry(facet.to_owned()).or_default().push(value);
        }
        self
    }
}

/// In which order hits come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Best first; without words, newest change first.
    #[default]
    Relevance,
    Name,
    Newest,
    Updated,
}

/// An answer: one page of hits, and what can be narrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    pub items: Vec<Hit>,
    pub facets: Vec<Facet>,
    /// How many hits there are in all that the actor may see.
    pub total: u64,
    /// Which parts of the search did not answer; empty when all did.
    pub degraded: Vec<Degraded>,
    /// What in the text was not understood, in sentences.
    pub hints: Vec<String>,
    pub next: Option<Cursor>,
}

/// A part of the search that is missing from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Degraded {
    /// No embeddings: hits are by words only.
    Semantic,
    /// The index is being built: hits are by plain text comparison.
    Lexical,
}

/// An asset that was found, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub card: Card,
    /// `0.0..=1.0` within one answer.
    pub score: f32,
    pub why: Vec<Why>,
    /// The operations or tools that fit best, best first.
    pub matched: Vec<Matched>,
}

/// A reason for a hit.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "reason", rename_all = "lowercase")]
pub enum Why {
    /// Words of the question stand in this field. `text` has the words that matched between U+E000 and U+E001, so that
    /// each door can mark them in its own way.
    Words { field: String, text: String },
    /// The meaning is near, whatever the words.
    Meaning { similarity: f32 },
}

/// The text without its marks: for programs.
#[must_use]
pub fn unmarked(text: &str) -> String {
    text.replace([MARK.0, MARK.1], "")
}

impl Why {
    /// The words of the question that stand there, as they are written there, each once; none where meaning is the reason.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        let Self::Words { text, .. } = self else { return Vec::new() };
        let mut words = Vec::new();
        for piece in text.split(MARK.0).skip(1) {
            let word = piece.split(MARK.1).next().unwrap_or_default();
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }
}

/// An operation or tool that fits.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Matched {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub score: f32,
}

/// One thing hits can be narrowed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Facet {
    /// As in [`Filters`].
    pub name: String,
    /// Most first; values that are set come along even at zero.
    pub values: Vec<FacetValue>,
}

/// A value and how many hits have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FacetValue {
    pub value: String,
    pub count: u64,
    pub selected: bool,
}

/// A completion while typing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Suggestion {
    /// What the box would say.
    pub text: String,
    /// `asset`, `tag`, `tool` ...
    pub sort: &'static str,
    /// Where an asset's page is: workspace and name.
    pub asset: Option<(String, String)>,
}
