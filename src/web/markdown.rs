//! Markdown that strangers wrote, as HTML that can do no harm.

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

/// Renders `text`: HTML in it is shown as text, links lead to http, https and mailto only, images become links.
///
/// Headings begin at `<h3>` and leave no level out, so that they fit below a page's own. Of HTML, the marks of plain
/// prose (`<p>`, `<b>`, `<br>`, `<a href>`) are read instead of shown, since descriptions of APIs are full of them.
#[must_use]
pub fn render(text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let mut tame = Tame::default();
    let events = parser.flat_map(|event| tame.events(event));
    let mut page = String::with_capacity(text.len() * 5 / 4);
    html::push_html(&mut page, events);
    page
}

/// Renders `text` on one line, cut after `most` characters: emphasis, code and links stay, paragraphs run together.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    // What is looked through is bounded, too; marks and addresses take their share of it.
    let text = super::asset::cut(text, (4 * most).max(400));
    let mut tame = Tame::default();
    let mut cutter = Cutter { left: most, dropped: 0, is_over: false };
    let events = Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH)
        .filter_map(|event| cutter.event(event))
        .flat_map(|event| tame.events(event))
        .filter_map(|event| match event {
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

/// The words of `text` on one line, without marks, cut after `most` characters: text, not HTML.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
    let text = super::asset::cut(text, (4 * most).max(400));
    let mut words = String::new();
    let mut tame = Tame::default();
    for event in Parser::new(&text).flat_map(|event| tame.events(event)) {
        match event {
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item) => {
                words.push(' ');
            }
            _ => {}
        }
    }
    super::asset::cut(&words.split_whitespace().collect::<Vec<_>>().join(" "), most)
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

/// Lets so many characters of text through, then only the ends of what it let begin.
struct Cutter {
    left: usize,
    /// Beginnings that were not let through and whose ends are still to come.
    dropped: usize,
    is_over: bool,
}

impl Cutter {
    fn event<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(_) if self.is_over => {
                self.dropped += 1;
                None
            }
            Event::End(_) if self.dropped > 0 => {
                self.dropped -= 1;
                None
            }
            Event::Start(_) | Event::End(_) => Some(event),
            _ if self.is_over => None,
            Event::Text(text) => Some(Event::Text(self.cut(text))),
            Event::Code(text) => Some(Event::Code(self.cut(text))),
            other => Some(other),
        }
    }

    fn cut<'a>(&mut self, text: CowStr<'a>) -> CowStr<'a> {
        let length = text.chars().count();
        if length <= self.left {
            self.left -= length;
            return text;
        }
        self.is_over = true;
        text.chars().take(self.left).chain(['…']).collect::<String>().into()
    }
}

#[derive(Default)]
struct Tame {
    /// Levels of the headings around the current one, as written.
    levels: Vec<HeadingLevel>,
    /// For each open link or image, whether a link was written.
    links: Vec<bool>,
    /// How many of them are links of HTML, which nobody promises to close.
    html_links: usize,
}

impl Tame {
    fn events<'a>(&mut self, event: Event<'a>) -> Vec<Event<'a>> {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => self.html(&text),
            Event::End(TagEnd::HtmlBlock) => {
                let mut events = self.close_html_links();
                events.push(Event::End(TagEnd::Paragraph));
                events
            }
            Event::End(end @ (TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell)) => {
                let mut events = self.close_html_links();
                events.push(Event::End(end));
                events
            }
            Event::End(end @ TagEnd::Heading(_)) => {
                let mut events = self.close_html_links();
                events.extend(self.event(Event::End(end)));
                events
            }
            other => self.event(other).into_iter().collect(),
        }
    }

    fn event<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
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
            Event::End(TagEnd::Link | TagEnd::Image) => self.close(),
            other => Some(other),
        }
    }

    /// The pieces of a stretch of HTML: marks of prose are read, everything else is text.
    fn html<'a>(&mut self, html: &str) -> Vec<Event<'a>> {
        let mut events = Vec::new();
        let mut rest = html;
        while let Some(start) = rest.find('<') {
            let Some(length) = rest[start..].find('>') else { break };
            let (before, tag) = (&rest[..start], &rest[start..=start + length]);
            if !before.is_empty() {
                events.push(Event::Text(before.to_owned().into()));
            }
            self.tag(tag, &mut events);
            rest = &rest[start + length + 1..];
        }
        if !rest.is_empty() {
            events.push(Event::Text(rest.to_owned().into()));
        }
        events
    }

    fn tag<'a>(&mut self, tag: &str, events: &mut Vec<Event<'a>>) {
        let inner = tag[1..tag.len() - 1].trim_end_matches('/').trim();
        let (name, attributes) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
        match (name.to_ascii_lowercase().as_str(), attributes.trim()) {
            ("br" | "p" | "div" | "ul" | "ol" | "table" | "tr", "") => events.push(Event::SoftBreak),
            ("li", "") => events.extend([Event::SoftBreak, Event::Text("• ".into())]),
            (
                "/p" | "/div" | "/ul" | "/ol" | "/li" | "/table" | "/tr" | "td" | "/td" | "th" | "/th" | "b" | "/b"
                | "i" | "/i" | "em" | "/em" | "strong" | "/strong" | "code" | "/code" | "span" | "/span" | "tbody"
                | "/tbody",
                "",
            ) => {}
            ("a", attributes) if only_href(attributes).is_some() => {
                self.html_links += 1;
                events.extend(self.open(only_href(attributes).unwrap_or_default()));
            }
            ("/a", "") if self.html_links > 0 => {
                self.html_links -= 1;
                events.extend(self.close());
            }
            _ => events.push(Event::Text(tag.to_owned().into())),
        }
    }

    fn close_html_links<'a>(&mut self) -> Vec<Event<'a>> {
        let open = std::mem::take(&mut self.html_links);
        (0..open).filter_map(|_| self.close()).collect()
    }

    fn close<'a>(&mut self) -> Option<Event<'a>> {
        self.links.pop().unwrap_or_default().then_some(Event::InlineHtml(CowStr::Borrowed("</a>")))
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

/// The address of `href="..."`, when the tag has no other attribute.
fn only_href(attributes: &str) -> Option<&str> {
    let value = attributes.strip_prefix("href=")?;
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains(quote)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_shown_and_not_obeyed() {
        for (text, page) in [
            ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
            ("a <u onclick=x>b</u>", "<p>a &lt;u onclick=x&gt;b&lt;/u&gt;</p>\n"),
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
            line("# One of\n\n* `a`\n* **b** <u>\n\n> [c](https://c.example)", 200),
            "One of <code>a</code> <strong>b</strong> &lt;u&gt;  <a href=\"https://c.example\" rel=\"nofollow noopener\">c</a>"
        );
        assert_eq!(
            line("a [long *link*](https://c.example) after", 6),
            "a <a href=\"https://c.example\" rel=\"nofollow noopener\">long…</a>"
        );
        assert_eq!(line("**abc** *def*", 3), "<strong>abc</strong>…");
    }

    #[test]
    fn marks_of_prose_are_read_and_never_left_open() {
        for (text, page) in [
            (
                "<p>With <a href=\"https://a.example/x\">this</a>,<br> go.</p>",
                "<p>\nWith <a href=\"https://a.example/x\" rel=\"nofollow noopener\">this</a>,\n go.</p>\n",
            ),
            ("<p><a href=\"/docs\">here</a> <a href='javascript:x'>there</a></p>", "<p>\nhere there</p>\n"),
            (
                "a <a href=\"https://a.example\">b",
                "<p>a <a href=\"https://a.example\" rel=\"nofollow noopener\">b</a></p>\n",
            ),
            ("a </a></b> <b onclick=\"x\">c", "<p>a &lt;/a&gt; &lt;b onclick=\"x\"&gt;c</p>\n"),
            (
                "<a href=\"https://a.example\" onclick=\"x\">b</a>",
                "<p>&lt;a href=\"https://a.example\" onclick=\"x\"&gt;b&lt;/a&gt;</p>\n",
            ),
        ] {
            assert_eq!(render(text), page, "{text}");
        }
        assert_eq!(plain("<p>Sets a `limit`.</p>\n\n# Then\n* one\n* [two](x)", 100), "Sets a `limit`. Then one two");
        assert_eq!(plain("Sets a `limit` of **2** <id>", 100), "Sets a limit of 2 <id>");
    }

    #[test]
    fn a_long_text_ends_with_a_paragraph() {
        let text = format!("{}\n\n{}", "a".repeat(60), "ä".repeat(60));

        assert_eq!(beginning(&text, 100), (&text[..60], true));
        assert_eq!(beginning("short", 100), ("short", false));
        assert_eq!(beginning(&"ä".repeat(60), 99).0.len(), 98);
    }
}
