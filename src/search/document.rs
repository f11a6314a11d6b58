//! What search takes of an asset: the text in which words are looked for, and the passages that become vectors.

use super::{lexical::Fields, words::spaced};
use crate::catalog::{Searchable, SearchableOperation};
use sha2::{Digest, Sha256};

/// Longest text of an asset in which words are looked for, in bytes.
const LONGEST_TEXT: usize = 200_000;
/// Longest passage, in bytes: more than the model reads.
const LONGEST_PASSAGE: usize = 2_000;
/// Most operations that get a vector of their own; the largest APIs have thousands, and the first say what it is about.
pub const MOST_OPERATIONS: usize = 300;

/// A text that becomes one vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The operation or tool it is about; none for the passage about the asset itself.
    pub operation: Option<String>,
    pub text: String,
}

impl Passage {
    /// SHA-256 of the text: equal texts share one vector.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.text.as_bytes()).to_vec()
    }
}

/// The fields of the word index.
#[must_use]
pub fn fields(asset: &Searchable) -> Fields {
    let card = &asset.card;
    let mut everything = String::new();
    let mut add = |text: &str| {
        if everything.len() < LONGEST_TEXT {
            everything.push_str(text);
            everything.push('\n');
        }
    };
    add(&card.title);
    // A slug mostly repeats the title; counted twice its words would outweigh what the description says.
    let title = format!(" {} ", spaced(&card.title).to_lowercase());
    let (namespace, slug) = card.name.split_once('/').unwrap_or(("", &card.name));
    if !spaced(slug).to_lowercase().split_whitespace().all(|word| title.contains(&format!(" {word} "))) {
        add(slug);
    }
    add(namespace);
    if !asset.description.starts_with(card.summary.trim_end_matches(['…', '.'])) {
        add(&card.summary);
    }
    add(&asset.description);
    card.tags.iter().chain(&card.owners).for_each(|word| add(word));
    for operation in &asset.operations {
        add(&operation.name);
        for text in texts(operation) {
            add(text);
        }
        if let Some(path) = operation.path.as_deref().filter(|path| !operation.name.contains(path)) {
            add(path);
        }
    }
    let names: Vec<&str> = asset.operations.iter().map(|operation| operation.name.as_str()).collect();
    Fields { title: card.title.clone(), operations: cut(&names.join("\n"), LONGEST_TEXT).to_owned(), everything }
}

/// The passages: first the asset with the names of its operations, then an operation each.
#[must_use]
pub fn passages(asset: &Searchable) -> Vec<Passage> {
    let card = &asset.card;
    let about = if asset.description.trim().is_empty() { &card.summary } else { &asset.description };
    let mut entry = format!("{}. {}", card.title.trim(), about.trim());
    if !asset.operations.is_empty() {
        let names: Vec<String> = asset.operations.iter().map(|operation| spaced(&operation.name)).collect();
        entry = format!("{} Tools: {}", cut(&entry, LONGEST_PASSAGE), names.join(", "));
    }
    let whole = Passage { operation: None, text: cut(&entry, 2 * LONGEST_PASSAGE).to_owned() };
    let each = asset.operations.iter().take(MOST_OPERATIONS).map(|operation| {
        let name = spaced(&operation.name);
        let about: Vec<&str> = texts(operation).collect();
        let text = format!("{}: {name}. {}", card.title.trim(), about.join(" "));
        Passage { operation: Some(operation.name.clone()), text: cut(&text, LONGEST_PASSAGE).to_owned() }
    });
    std::iter::once(whole).chain(each).collect()
}

/// What is said about an operation, nothing twice.
fn texts(operation: &SearchableOperation) -> impl Iterator<Item = &str> {
    let SearchableOperation { title, summary, description, .. } = operation;
    let description = description.as_deref().map(str::trim).unwrap_or_default();
    let is_said = |text: &&str| !text.is_empty() && !description.contains(*text);
    let title = title.as_deref().map(str::trim).filter(is_said).filter(|title| *title != operation.name);
    let summary = summary.as_deref().map(str::trim).filter(is_said).filter(|summary| Some(*summary) != title);
    title.into_iter().chain(summary).chain(Some(description).filter(|text| !text.is_empty()))
}

/// The beginning of `text`, at most `most` bytes, no character cut.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
