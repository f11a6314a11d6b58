//! Parameters and properties as a table: one row each, those nested within folded below it.

use crate::web::markdown;
use crate::wire::schema_view::SchemaRow;
use std::fmt::Write;

/// Characters of a description in a table.
const SAYS: usize = 500;
/// Values of an `enum` that are listed.
const VALUES: usize = 24;

/// Bytes that an element costs at least: a page holds few elements, not only few bytes.
const ELEMENT: usize = 44;

/// HTML that must not grow without end: what does not fit is counted instead.
pub struct Room(usize);

impl Room {
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Whether so much is left; it is taken then.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.0;
        if fits {
            self.0 -= bytes;
        }
        fits
    }

    /// The same for HTML, whose elements are counted, too.
    #[must_use]
    pub fn take_html(&mut self, html: &str) -> bool {
        let elements = html.matches('<').count() - html.matches("</").count();
        self.take(html.len().max(elements * ELEMENT))
    }
}

/// The rows as an HTML table, as many as there is room for; empty for no rows.
#[must_use]
pub fn table(caption: &str, rows: &[SchemaRow], room: &mut Room) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let has_defaults = rows.iter().any(|row| row.depth == 0 && row.default.is_some());
    let mut body = String::new();
    let mut left_out = 0;
    for group in rows.chunk_by(|_, next| next.depth > 0) {
        let (row, below) = group.split_first().expect("a chunk is never empty");
        let html = top_row(row, below, Below::Listed, has_defaults);
        if left_out == 0 && room.take_html(&html) {
            body.push_str(&html);
            continue;
        }
        // A row may fit without what is nested within it.
        let html = top_row(row, below, Below::Counted, has_defaults);
        if left_out == 0 && room.take_html(&html) {
            body.push_str(&html);
        } else {
            left_out += 1;
        }
    }
    let mut html = format!(
        "<div class=\"tablebox\"><table class=\"params cards\"><caption class=\"hide\">{}</caption><thead><tr><th scope=\"col\">Name</th>\
         <th scope=\"col\">Type</th><th scope=\"col\">Required</th><th scope=\"col\">Description</th>{}</tr></thead>\
         <tbody>{body}</tbody></table></div>",
        escaped(caption),
        if has_defaults { "<th scope=\"col\">Default</th>" } else { "" },
    );
    if left_out > 0 {
        let _ = write!(html, "<p class=\"small soft\">{left_out} more are in the definition as JSON.</p>");
    }
    html
}

/// What a row shows of the fields within it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Listed,
    Counted,
}

fn top_row(row: &SchemaRow, below: &[SchemaRow], shows: Below, has_defaults: bool) -> String {
    let mut html = format!("<tr><th scope=\"row\">{}</th><td>{}</td>", name(row), escaped(&row.type_text));
    html.push_str(if row.required { "<td>required</td>" } else { "<td class=\"opt-word\">optional</td>" });
    let _ = write!(html, "<td class=\"full\">{}", says(row));
    if !below.is_empty() {
        let count = below.iter().filter(|row| row.depth == below[0].depth).count();
        let word = if count == 1 { "field" } else { "fields" };
        if shows == Below::Listed {
            let _ = write!(html, "<details class=\"more\"><summary>{count} {word} of {}</summary>", name(row));
            nested(&mut html, below);
            html.push_str("</details>");
        } else {
            let _ = write!(html, " <span class=\"dim\">{count} {word} within, in the definition as JSON.</span>");
        }
    }
    html.push_str("</td>");
    match &row.default {
        Some(default) => {
            let _ = write!(html, "<td data-l=\"Default\"><code>{}</code></td></tr>", escaped(default));
        }
        None if has_defaults => html.push_str("<td class=\"void\"></td></tr>"),
        None => html.push_str("</tr>"),
    }
    html
}

/// The rows below a row as lists within lists; `rows` begins with the shallowest.
fn nested(html: &mut String, rows: &[SchemaRow]) {
    let Some(depth) = rows.first().map(|row| row.depth) else { return };
    html.push_str("<ul class=\"fields\">");
    for group in rows.chunk_by(|_, next| next.depth > depth) {
        let (row, below) = group.split_first().expect("a chunk is never empty");
        let must = if row.required { ", required" } else { "" };
        let _ = write!(html, "<li><b>{}</b> <span class=\"dim\">{}{must}</span>", name(row), escaped(&row.type_text));
        let says = says(row);
        if !says.is_empty() {
            let _ = write!(html, " {says}");
        }
        if let Some(default) = &row.default {
            let _ = write!(html, " <span class=\"dim\">Default <code>{}</code></span>", escaped(default));
        }
        nested(html, below);
        html.push_str("</li>");
    }
    html.push_str("</ul>");
}

/// The name in code; what stands for any name, or for the whole, in words.
fn name(row: &SchemaRow) -> String {
    let mark = if row.deprecated { " <span class=\"badge warn\">deprecated</span>" } else { "" };
    match row.name.as_str() {
        "" => format!("the whole{mark}"),
        "*" => format!("any other name{mark}"),
        "one of" => format!("one of{mark}"),
        name => format!("<code>{}</code>{mark}", escaped(name)),
    }
}

/// Description, allowed values and limits.
fn says(row: &SchemaRow) -> String {
    let mut parts = Vec::new();
    if let Some(description) = row.description.as_deref().filter(|text| !text.trim().is_empty()) {
        parts.push(markdown::line(description, SAYS));
    }
    if !row.enum_values.is_empty() {
        let shown: Vec<_> =
            row.enum_values.iter().take(VALUES).map(|value| format!("<code>{}</code>", escaped(value))).collect();
        let more = row.enum_values.len().saturating_sub(VALUES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let head = if row.enum_values.len() == 1 { "Always" } else { "One of" };
        parts.push(format!("{head} {}{more}.", shown.join(", ")));
    }
    if let Some(limits) = &row.limits {
        parts.push(format!("<span class=\"dim\">{}.</span>", escaped(&crate::web::asset::lines::cut(limits, 200))));
    }
    parts.join(" ")
}

/// The text as it stands between tags; not for attributes, whose quotes it leaves alone.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema_view::rows as schema_rows;
    use serde_json::json;

    #[test]
    fn nested_fields_are_folded_below_their_row() {
        let rows = schema_rows(&json!({
            "required": ["to"],
            "properties": {
                "to": {"type": "object", "properties": {"city": {"type": "string", "default": "Bergen"}}},
                "kind": {"enum": ["a", "b"], "description": "Which `sort`"},
            },
        }));

        let html = table("Parameters of x", &rows, &mut Room::of(10_000));

        for part in [
            "<th scope=\"row\"><code>to</code></th>",
            "<td>required</td>",
            "<summary>1 field of <code>to</code></summary>",
            "<li><b><code>city</code></b> <span class=\"dim\">string</span> <span class=\"dim\">Default <code>Bergen</code></span></li>",
            "Which <code>sort</code> One of <code>a</code>, <code>b</code>.",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let properties: serde_json::Map<_, _> = (0..50).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
        let rows = schema_rows(&json!({ "properties": properties }));
        let mut room = Room::of(2_000);

        let html = table("x", &rows, &mut room);

        let shown = html.matches("scope=\"row\"").count();
        assert!((5..50).contains(&shown));
        assert!(html.contains(&format!("{} more are in the definition", 50 - shown)), "{html}");
    }

    #[test]
    fn what_is_nested_and_finds_no_room_is_counted_too() {
        let inner: serde_json::Map<_, _> = (0..50).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
        let rows = schema_rows(&json!({"properties": {"outer": {"type": "object", "properties": inner}}}));

        let html = table("x", &rows, &mut Room::of(1_000));

        assert!(html.contains("50 fields within, in the definition as JSON."), "{html}");
    }

    #[test]
    fn hostile_words_stay_words() {
        let evil = "</td><script>alert(1)</script>\"'";
        let rows = schema_rows(&json!({"properties": {evil: {
            "type": evil, "description": evil, "default": evil, "enum": [evil], "pattern": evil,
            "properties": {evil: {"description": evil}},
        }}}));

        let html = table(evil, &rows, &mut Room::of(100_000));

        assert!(!html.contains("<script") && !html.contains("alert(1)</s"), "{html}");
        assert_eq!(html.matches("</td>").count(), 4);
    }
}
