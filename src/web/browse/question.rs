//! The state of the browse page: everything of it stands in its address, so every filter, sort and page is a link.

use crate::base::{Cursor, Limit};
use crate::search::{Filters, Request, Sort};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many hits a page shows: with their reasons and badges they stay within the page's budget of elements.
pub const PER_PAGE: usize = 10;
/// The facets every catalog has, in the order in which they stand beside the results.
pub const FACETS: [&str; 7] = ["kind", "workspace", "stage", "transport", "tag", "owner", "environment"];
const LONGEST_TEXT: usize = 2_000;
const MOST_VALUES: usize = 50;

/// What is asked of the browse page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub text: String,
    pub filters: BTreeMap<String, Vec<String>>,
    pub sort: Sort,
    pub cursor: Option<String>,
    /// How many hits stand on the pages before this one.
    pub from: usize,
    /// The facet of which all values are shown.
    pub open: Option<String>,
}

impl Question {
    /// Reads a query string; never fails. What a parameter we do not know asks for is in the second part, by name:
    /// it may be a metadata field.
    #[must_use]
    pub fn read(query: &str) -> (Self, Vec<(String, String)>) {
        let (mut question, mut unknown) = (Self::default(), Vec::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect();
            match name.as_ref() {
                "q" => question.text = value.trim().to_owned(),
                "sort" => question.sort = sort_named(&value),
                "cursor" => question.cursor = Some(value).filter(|value| !value.is_empty()),
                "from" => question.from = value.parse().unwrap_or(0).min(10_000_000),
                "all" => question.open = Some(value),
                name if FACETS.contains(&name) => question.add(name, value),
                name => unknown.push((name.to_owned(), value)),
            }
        }
        if question.cursor.is_none() {
            question.from = 0;
        }
        (question, unknown)
    }

    /// Adds a filter; an empty value, one that is there already, and one too many are left out.
    pub fn add(&mut self, facet: &str, value: String) {
        let set: usize = self.filters.values().map(Vec::len).sum();
        let values = self.filters.entry(facet.to_owned()).or_default();
        if !value.is_empty() && !values.contains(&value) && set < MOST_VALUES {
            values.push(value);
        }
        self.filters.retain(|_, values| !values.is_empty());
    }

    /// The question the search is asked.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            text: self.text.clone(),
            filters: Filters(self.filters.clone()),
            sort: self.sort,
            limit: Limit(PER_PAGE),
            cursor: self.cursor.as_deref().map(Cursor::from_text),
        }
    }

    /// Facet and value of every filter that is set.
    pub fn set(&self) -> impl Iterator<Item = (&str, &str)> {
        self.filters.iter().flat_map(|(facet, values)| values.iter().map(move |value| (facet.as_str(), value.as_str())))
    }

    /// The same with this filter set, or without it when it is; from the first page on.
    #[must_use]
    pub fn toggled(&self, facet: &str, value: &str) -> Self {
        let mut other = self.first_page();
        let values = other.filters.entry(facet.to_owned()).or_default();
        match values.iter().position(|one| one == value) {
            Some(at) => {
                values.remove(at);
            }
            None => {
                // A filter within the text is taken back there.
                let word = format!("{facet}:{value}");
                let rest: Vec<_> = other.text.split_whitespace().filter(|part| *part != word).collect();
                if rest.len() < other.text.split_whitespace().count() {
                    other.text = rest.join(" ");
                } else {
                    values.push(value.to_owned());
                }
            }
        }
        other.filters.retain(|_, values| !values.is_empty());
        other
    }

    #[must_use]
    pub fn without_filters(&self) -> Self {
        Self { filters: BTreeMap::new(), ..self.first_page() }
    }

    #[must_use]
    pub fn sorted(&self, sort: Sort) -> Self {
        Self { sort, ..self.first_page() }
    }

    /// The same with all values of this facet shown, or only the first ones.
    #[must_use]
    pub fn opened(&self, facet: Option<&str>) -> Self {
        Self { open: facet.map(str::to_owned), ..self.clone() }
    }

    #[must_use]
    pub fn after(&self, cursor: &Cursor, shown: usize) -> Self {
        Self { cursor: Some(cursor.as_str().to_owned()), from: self.from + shown, ..self.clone() }
    }

    #[must_use]
    pub fn first_page(&self) -> Self {
        Self { cursor: None, from: 0, ..self.clone() }
    }

    /// The address that asks this.
    #[must_use]
    pub fn href(&self) -> String {
        let mut href = String::from("/browse");
        let mut separator = '?';
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                // Writing into a string cannot fail.
                let _ = write!(href, "{separator}{}={}", encoded(name), encoded(value));
                separator = '&';
            }
        };
        add("q", &self.text);
        self.set().for_each(|(facet, value)| add(facet, value));
        add("sort", sort_name(self.sort));
        add("all", self.open.as_deref().unwrap_or_default());
        add("cursor", self.cursor.as_deref().unwrap_or_default());
        add("from", &if self.from > 0 { self.from.to_string() } else { String::new() });
        href
    }
}

/// The sorts that are offered, with what they are called.
pub const SORTS: [(Sort, &str); 4] =
    [(Sort::Relevance, "Best match"), (Sort::Updated, "Updated"), (Sort::Newest, "Newest"), (Sort::Name, "Name")];

fn sort_named(name: &str) -> Sort {
    match name {
        "updated" => Sort::Updated,
        "newest" => Sort::Newest,
        "name" => Sort::Name,
        _ => Sort::Relevance,
    }
}

fn sort_name(sort: Sort) -> &'static str {
    match sort {
        Sort::Relevance => "",
        Sort::Updated => "updated",
        Sort::Newest => "newest",
        Sort::Name => "name",
    }
}

/// Everything but what a query may hold as it is: a short address is a readable one.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':').remove(b',');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Question {
        Question::read(query).0
    }

    #[test]
    fn a_question_survives_its_address() {
        for query in [
            "q=refund%20a%20card&kind=mcp&kind=rest&owner=team-a&tag=a%26b&sort=updated",
            "q=%22exact%20words%22%20kind:mcp&all=tag&cursor=WzFd&from=10",
            "",
        ] {
            let question = read(query);
            let href = question.href();
            assert_eq!(read(href.split_once('?').map_or("", |(_, query)| query)), question, "{query}");
        }
    }

    #[test]
    fn a_filter_goes_on_and_off_and_leads_to_the_first_page() {
        let question = read("q=x&kind=mcp&cursor=abc&from=20");

        assert_eq!(question.toggled("kind", "rest").href(), "/browse?q=x&kind=mcp&kind=rest");
        assert_eq!(question.toggled("kind", "mcp").href(), "/browse?q=x");
        assert_eq!(question.without_filters().href(), "/browse?q=x");
    }

    #[test]
    fn a_filter_in_the_text_is_taken_back_in_the_text() {
        assert_eq!(read("q=weather+kind:mcp").toggled("kind", "mcp").href(), "/browse?q=weather");
    }

    #[test]
    fn what_is_odd_in_an_address_does_no_harm() {
        let (question, unknown) =
            Question::read("q=%00a%0ab&from=-1&sort=sideways&kind=&kind=mcp&kind=mcp&utm_source=x&from=7");

        assert_eq!(question.text, "ab");
        assert_eq!((question.from, question.sort), (0, Sort::Relevance));
        assert_eq!(question.filters["kind"], ["mcp"]);
        assert_eq!(unknown, [("utm_source".to_owned(), "x".to_owned())]);
    }
}
