//! Results and facets as the page shows them.

use super::marked;
use super::question::{FACETS, Question};
use crate::catalog::{Card, Kind, Stage};
use crate::search::{Facet, Hit, Matched, Why};
use crate::web::{asset_path, words};
use askama::filters::Safe;

/// How many values of a facet stand there before "more" is asked for.
const FIRST_VALUES: usize = 6;
/// How many at most even then: more is what searching is for.
const MOST_VALUES: usize = 40;

/// A facet with its links.
pub struct FacetView {
    pub title: String,
    pub values: Vec<ValueView>,
    /// What the link to the rest says, and where it leads.
    pub more: Option<(String, String)>,
}

pub struct ValueView {
    pub title: String,
    pub count: u64,
    pub selected: bool,
    /// None where nothing would be found.
    pub href: Option<String>,
}

/// A filter that is set; its link takes it away.
pub struct Chip {
    pub title: String,
    pub href: String,
}

/// A hit.
pub struct Row {
    pub card: Card,
    pub href: String,
    pub title: Safe<String>,
    pub summary: Safe<String>,
    /// Why it is there, where title and summary do not already show it.
    pub why: Option<Safe<String>>,
}

/// The facets in the order of the page, without those that cannot narrow anything.
pub fn facets(question: &Question, facets: &[Facet]) -> Vec<FacetView> {
    let place = |facet: &Facet| FACETS.iter().position(|name| *name == facet.name).unwrap_or(FACETS.len());
    let mut facets: Vec<_> = facets.iter().filter(|facet| !facet.values.is_empty()).collect();
    facets.sort_by_key(|facet| place(facet));
    facets.into_iter().map(|facet| facet_view(question, facet)).collect()
}

fn facet_view(question: &Question, facet: &Facet) -> FacetView {
    let open = question.open.as_deref() == Some(facet.name.as_str());
    let shown = if open { MOST_VALUES } else { FIRST_VALUES };
    // One value more costs no more place than the link to it.
    let shown = if facet.values.len() == shown + 1 { shown + 1 } else { shown };
    let chosen = |value: &&crate::search::FacetValue| value.selected;
    let visible = facet.values.iter().take(shown).chain(facet.values.iter().skip(shown).filter(chosen));
    let values: Vec<_> = visible
        .map(|value| ValueView {
            title: value_title(&facet.name, &value.value),
            count: value.count,
            selected: value.selected,
            href: (value.count > 0 || value.selected).then(|| question.toggled(&facet.name, &value.value).href()),
        })
        .collect();
    let left = facet.values.len().saturating_sub(values.len());
    let title = facet_title(&facet.name);
    let more = match (open, left) {
        (true, _) if facet.values.len() > FIRST_VALUES => Some(("Fewer".to_owned(), question.opened(None).href())),
        (false, 1..) => Some((format!("{left} more"), question.opened(Some(&facet.name)).href())),
        _ => None,
    };
    FacetView { title, values, more }
}

pub fn chips(question: &Question) -> Vec<Chip> {
    question
        .set()
        .map(|(facet, value)| Chip { title: filter_title(facet, value), href: question.toggled(facet, value).href() })
        .collect()
}

/// `Kind: MCP server`.
pub fn filter_title(facet: &str, value: &str) -> String {
    format!("{}: {}", facet_title(facet), value_title(facet, value))
}

/// `Kind`; a metadata field's name without its hyphens.
fn facet_title(name: &str) -> String {
    words::capital(&name.replace(['-', '_'], " "))
}

fn value_title(facet: &str, value: &str) -> String {
    let known = match facet {
        "kind" => value.parse::<Kind>().ok().map(Kind::title),
        "stage" => value.parse::<Stage>().ok().map(Stage::title),
        "transport" => Some(words::transport(value)),
        _ => None,
    };
    known.unwrap_or(value).to_owned()
}

impl Row {
    pub fn of(hit: Hit) -> Self {
        let Hit { card, why, matched, .. } = hit;
        let words_in = |field: &str| {
            why.iter().find_map(|why| match why {
                Why::Words { field: found, text } if found == field => Some(text.as_str()),
                _ => None,
            })
        };
        let marked_in = |field: &str, text: &str| marked::html(words_in(field).unwrap_or(text));
        Self {
            href: asset_path(&card.workspace, &card.name),
            title: marked_in("title", &card.title),
            summary: match words_in("summary") {
                Some(text) => marked::html(&marked::excerpt(text, 240)),
                None => marked::html(&marked::excerpt(&card.summary, 240)),
            },
            why: reason(card.kind, &why, &matched),
            card,
        }
    }
}

/// The line below a hit: the tool that fits, the other place where words stand, or that only the meaning is near.
fn reason(kind: Kind, why: &[Why], matched: &[Matched]) -> Option<Safe<String>> {
    let shown_already = ["title", "summary", "name"];
    let elsewhere = why.iter().find_map(|why| match why {
        Why::Words { field, text } if !shown_already.contains(&field.as_str()) => Some((field, text)),
        _ => None,
    });
    let has_words = why.iter().any(|why| matches!(why, Why::Words { .. }));
    if let Some(tool) = matched.first() {
        let part = match kind {
            Kind::Mcp => "Tool",
            Kind::Agent => "Skill",
            _ => "Operation",
        };
        let label = if matched.len() > 1 { format!("{part}s") } else { part.to_owned() };
        let names: Vec<_> =
            matched.iter().take(3).map(|tool| format!("<code>{}</code>", marked::html(&tool.name).0)).collect();
        let says = match matched.len() {
            1 if !tool.description.is_empty() => {
                format!(": {}", marked::html(&marked::excerpt(&tool.description, 120)).0)
            }
            _ => String::new(),
        };
        return Some(Safe(format!("{label} {}{says}", names.join(", "))));
    }
    if let Some((field, text)) = elsewhere {
        let label = facet_title(field);
        let text = marked::excerpt(text, 120);
        return Some(Safe(format!("{}: {}", marked::html(&label).0, marked::html(&text).0)));
    }
    (!has_words && why.iter().any(|why| matches!(why, Why::Meaning { .. }))).then(|| Safe("Similar meaning".to_owned()))
}
