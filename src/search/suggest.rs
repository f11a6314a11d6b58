//! Completions while typing: assets by the beginning of a word of their title or name, tags, and values of filters.

use super::{request::Suggestion, roster::Roster};
use crate::auth::Sight;

/// Longest text that is completed, in bytes.
const LONGEST: usize = 200;
/// Most tags among the completions.
const MOST_TAGS: usize = 3;

/// At most `limit` completions of `text`, likeliest first, of what `sight` may see.
#[must_use]
pub(super) fn suggest(roster: &Roster, sight: &Sight, text: &str, limit: usize) -> Vec<Suggestion> {
    let text = text.trim_start();
    if text.trim().is_empty() || text.len() > LONGEST {
        return Vec::new();
    }
    let (before, last) = text.rsplit_once(char::is_whitespace).unwrap_or(("", text));
    if let Some((field, begun)) = last.split_once(':').filter(|(field, _)| roster.is_field(field)) {
        return values(roster, sight, before, field, begun, limit);
    }
    let wanted = text.trim_end().to_lowercase();
    let mut found: Vec<(u8, usize, &str, Suggestion)> = Vec::new();
    for (_, entry) in roster.seen_by(sight) {
        let (title, name) = (&*entry.folded.title, &*entry.folded.name);
        let place = match (starts_word(title, &wanted), starts_word(name, &wanted)) {
            (Some(0), _) => 0,
            (Some(_), _) => 1,
            (None, Some(_)) => 2,
            (None, None) => continue,
        };
        let suggestion = Suggestion {
            text: entry.title.to_string(),
            sort: "asset",
            asset: Some((roster.workspace_of(entry).to_owned(), entry.name.to_string())),
        };
        found.push((place, title.len(), name, suggestion));
    }
    found.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
    let tags = roster
        .values_seen("tag", sight)
        .into_iter()
        .filter(|(tag, _)| starts_word(&tag.to_lowercase(), &wanted).is_some());
    let tags: Vec<Suggestion> =
        tags.take(MOST_TAGS.min(limit)).map(|(tag, _)| filter("tag", "", "tag", &tag)).collect();
    found.truncate(limit - tags.len());
    found.into_iter().map(|(_, _, _, suggestion)| suggestion).chain(tags).collect()
}

/// The values of a filter that is being typed.
fn values(roster: &Roster, sight: &Sight, before: &str, field: &str, begun: &str, limit: usize) -> Vec<Suggestion> {
    let begun = begun.trim_start_matches('"').to_lowercase();
    let values = roster.values_seen(field, sight).into_iter();
    let fitting = values.filter(|(value, _)| starts_word(&value.to_lowercase(), &begun).is_some());
    fitting.take(limit).map(|(value, _)| filter("filter", before, field, &value)).collect()
}

fn filter(sort: &'static str, before: &str, field: &str, value: &str) -> Suggestion {
    let value = if value.contains(char::is_whitespace) { format!("\"{value}\"") } else { value.to_owned() };
    let text = format!("{before} {field}:{value}").trim_start().to_owned();
    Suggestion { text, sort, asset: None }
}

/// Where in `text` a word begins with `wanted`.
fn starts_word(text: &str, wanted: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(wanted) {
        let at = from + at;
        if !text[..at].ends_with(char::is_alphanumeric) {
            return Some(at);
        }
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_beginnings_of_words_count() {
        assert_eq!(starts_word("card payments", "pay"), Some(5));
        assert_eq!(starts_word("com.example/pay-out", "pay"), Some(12));
        assert_eq!(starts_word("repay", "pay"), None);
        assert_eq!(starts_word("éé pay", "é"), Some(0));
    }
}
