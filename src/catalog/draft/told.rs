//! What nobody said outright and a document tells all the same: a name, a summary.

use super::DefinitionDraft;
use crate::base::Name;
use crate::wire::{Format, Outline};

/// A name from the document: a server.json's own, else one made of the title.
pub(super) fn name_of(outline: &Outline, definition: Option<&DefinitionDraft>) -> Option<Name> {
    if definition?.format == Format::ServerJson {
        return outline.name.as_deref().and_then(|name| Name::parse(name).ok());
    }
    let title = outline.title.as_deref()?;
    let mut slug = String::new();
    for c in title.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(100);
    Name::parse(slug.trim_end_matches('-')).ok()
}

/// The first sentence of a text, without markup lines, at most 200 characters.
pub(super) fn first_sentence(text: &str) -> String {
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', '<', '!', '`', '|', '-']));
    let line = line.unwrap_or_default();
    let end = line.match_indices(['.', '!', '?', '。']).map(|(at, mark)| at + mark.len()).find(|end| {
        line[*end..].is_empty() || line[*end..].starts_with(char::is_whitespace) || line[..*end].ends_with('。')
    });
    let sentence = &line[..end.unwrap_or(line.len())];
    match sentence.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", sentence[..cut].trim_end()),
        None => sentence.to_owned(),
    }
}
