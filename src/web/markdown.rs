//! Markdown that strangers wrote, as HTML that can do no harm.

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

/// Renders `text`: HTML in it is shown as text, links lead to http, https and mailto only, images become links.
///
/// Headings begin at `<h3>` and leave no level out, so that they fit below a page's own.
#[must_use]
pub fn render(text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let mut tame = Tame::default();
    let events = parser.filter_map(|event| tame.event(event));
    let mut page = String::with_capacity(text.len() * 5 / 4);
    html::push_html(&mut page, events);
    page
}

/// Renders `text` on one line, cut after `most` characters: emphasis, code and links stay, paragraphs run together.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let text = super::asset::cut(text, most);
    let mut tame = Tame::default();
    let events = Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH).filter_map(|event| tame.event(event));
    let events = events.filter_map(|event| match event {
        Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough)
        | Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) => Some(event),
        Event::Start(_) => None,
        Event::End(_) | Event::SoftBreak | Event::HardBreak | Event::Rule => Some(Event::Text(" ".into())),
        other => Some(other),
    });
    let mut html = String::with_capacity(text.len());
    html::push_html(&mut html, events);
    html.trim().to_owned()
}

/// The beginning of `text` up to a paragraph's end, at most `most` bytes; the rest is to be found elsewhere.
///
/// The second value says whether something was left out.
#[must_use]
pub fn beginning(text: &str, most: usize) -> (&str, bool) {
    if text.len() <= most {
        return (text, false);
    }
    let head = &text[..text.floor_char_boundary(most)];
    let end = head.rfind("\n\n").or_else(|| head.rfind('\n')).or_else(|| head.rfind(' ')).filter(|end| *end > most / 3);
    (&head[..end.unwrap_or(head.len())], true)
}

/// Whether a link may be followed from a page: only these schemes can do nothing to the page it stands on.
#[must_use]
pub fn is_safe_link(url: &str) -> bool {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
}

#[derive(Default)]
struct Tame {
    /// Levels of the headings around the current one, as written.
    levels: Vec<HeadingLevel>,
    /// For each open link or image, whether a link was written.
    links: Vec<bool>,
}

impl Tame {
    fn event<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
            Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
            Event::Start(Tag::Heading { level, .. }) => Some(Event::Start(Tag::Heading {
                level: self.fitting(level),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            })),
            Event::End(TagEnd::Heading(_)) => Some(Event::End(TagEnd::Heading(self.current()))),
            Event::Start(Tag::Link { link_type: LinkType::Email, dest_url, .. }) => {
                self.open(&format!("mailto:{dest_url}"))
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => self.open(&dest_url),
            Event::End(TagEnd::Link | TagEnd::Image) => {
                self.links.pop().unwrap_or_default().then(|| Event::InlineHtml(CowStr::Borrowed("</a>")))
            }
            other => Some(other),
        }
    }

    fn open<'a>(&mut self, url: &str) -> Option<Event<'a>> {
        // An image inside a link (a badge) is the text of that link: links do not nest.
        let written = is_safe_link(url) && !self.links.contains(&true);
        self.links.push(written);
        written.then(|| {
            let url = askama::filters::escape(url, askama::filters::Html).map(|safe| safe.to_string());
            let url = url.unwrap_or_default();
            Event::InlineHtml(format!(r#"<a href="{url}" rel="nofollow noopener">"#).into())
        })
    }

    fn fitting(&mut self, level: HeadingLevel) -> HeadingLevel {
        while self.levels.last().is_some_and(|above| *above >= level) {
            self.levels.pop();
        }
        self.levels.push(level);
        self.current()
    }

    fn current(&self) -> HeadingLevel {
        match self.levels.len() {
            0 | 1 => HeadingLevel::H3,
            2 => HeadingLevel::H4,
            3 => HeadingLevel::H5,
            _ => HeadingLevel::H6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_shown_and_not_obeyed() {
        for (text, page) in [
            ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
            ("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>\n"),
            ("[x](javascript:alert(1))", "<p>x</p>\n"),
            ("[x](JaVaScRiPt:alert(1))", "<p>x</p>\n"),
            ("[x](data:text/html,y)", "<p>x</p>\n"),
            ("[x](/relative)", "<p>x</p>\n"),
            ("<javascript:alert(1)>", "<p>javascript:alert(1)</p>\n"),
            (
                "[x](https://a.example/?\"><script>)",
                "<p><a href=\"https://a.example/?&#34;&#62;&#60;script&#62;\" rel=\"nofollow noopener\">x</a></p>\n",
            ),
        ] {
            assert_eq!(render(text), page, "{text}");
        }
    }

    #[test]
    fn links_and_images_lead_away_without_a_trace() {
        assert_eq!(
            render("[a](https://a.example/?x=1&y=\"2\")"),
            "<p><a href=\"https://a.example/?x=1&#38;y=&#34;2&#34;\" rel=\"nofollow noopener\">a</a></p>\n"
        );
        assert_eq!(
            render("![logo](https://a.example/l.svg)"),
            "<p><a href=\"https://a.example/l.svg\" rel=\"nofollow noopener\">logo</a></p>\n"
        );
        assert_eq!(
            render("[![build](https://a.example/b.svg)](https://a.example/ci)"),
            "<p><a href=\"https://a.example/ci\" rel=\"nofollow noopener\">build</a></p>\n"
        );
        assert_eq!(
            render("<me@a.example>"),
            "<p><a href=\"mailto:me@a.example\" rel=\"nofollow noopener\">me@a.example</a></p>\n"
        );
    }

    #[test]
    fn headings_fit_below_the_page_and_leave_no_level_out() {
        let page = render("# a\n### b\n##### c\n## d\n# e");

        let levels: Vec<_> = page.match_indices("<h").map(|(at, _)| &page[at + 2..at + 3]).collect();
        assert_eq!(levels, ["3", "4", "5", "4", "3"]);
        assert_eq!(page.matches("</h").count(), 5);
    }

    #[test]
    fn a_line_keeps_words_code_and_links() {
        assert_eq!(
            line("# One of\n\n* `a`\n* **b** <i>\n\n> [c](https://c.example)", 200),
            "One of <code>a</code> <strong>b</strong> &lt;i&gt;  <a href=\"https://c.example\" rel=\"nofollow noopener\">c</a>"
        );
        assert_eq!(line("[x](javascript:alert(1)) abcdef", 5), "[x](…");
    }

    #[test]
    fn a_long_text_ends_with_a_paragraph() {
        let text = format!("{}\n\n{}", "a".repeat(60), "ä".repeat(60));

        assert_eq!(beginning(&text, 100), (&text[..60], true));
        assert_eq!(beginning("short", 100), ("short", false));
        assert_eq!(beginning(&"ä".repeat(60), 99).0.len(), 98);
    }
}
