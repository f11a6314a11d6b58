//! How facts are put into words on pages: transports, times, numbers. Templates hand over references, so most take both.

use serde_json::Value;
use std::borrow::Borrow;
use std::fmt::Display;
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// `Streamable HTTP` for `streamable-http`; a word we do not know stands as it is.
#[must_use]
pub fn transport(name: &str) -> &str {
    match name {
        "streamable-http" => "Streamable HTTP",
        "sse" => "SSE",
        other => other,
    }
}

/// RFC 3339, for programs.
#[must_use]
pub fn exact(at: impl Borrow<OffsetDateTime>) -> String {
    let at = at.borrow().replace_nanosecond(0).unwrap_or(*at.borrow());
    at.format(&Rfc3339).expect("a stored time is within RFC 3339's years")
}

/// `20 Nov 2026`, in UTC.
#[must_use]
pub fn day(at: impl Borrow<OffsetDateTime>) -> String {
    at.borrow()
        .format(format_description!("[day padding:none] [month repr:short] [year]"))
        .expect("the parts of this format are those of every time")
}

/// `26 Nov 2026, 00:58 UTC`.
#[must_use]
pub fn moment(at: impl Borrow<OffsetDateTime>) -> String {
    at.borrow()
        .format(format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute] UTC"))
        .expect("the parts of this format are those of every time")
}

/// `02:54:07`, in UTC.
#[must_use]
pub fn clock_time(at: impl Borrow<OffsetDateTime>) -> String {
    at.borrow()
        .format(format_description!("[hour]:[minute]:[second]"))
        .expect("the parts of this format are those of every time")
}

/// How long ago, in one unit: `5 min ago`, `yesterday`, `3 days ago`; the day itself after a month.
#[must_use]
pub fn ago(at: impl Borrow<OffsetDateTime>, now: impl Borrow<OffsetDateTime>) -> String {
    let past = *now.borrow() - *at.borrow();
    match (past.whole_minutes(), past.whole_hours(), past.whole_days()) {
        (..1, ..) => "just now".to_owned(),
        (minutes @ 1..60, ..) => format!("{minutes} min ago"),
        (_, hours @ 1..24, _) => format!("{hours} h ago"),
        (_, _, 1) => "yesterday".to_owned(),
        (_, _, days @ 2..30) => format!("{days} days ago"),
        _ => day(at),
    }
}

/// `12,345` or `1,000.5`: a decimal number with its thousands apart.
#[must_use]
pub fn number(number: impl Display) -> String {
    let number = number.to_string();
    let (whole, part) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.split_at(whole.find(|c: char| c.is_ascii_digit()).unwrap_or(0));
    let mut text = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + part
}

/// `Tools` for `tools`.
#[must_use]
pub fn capital(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(head) = word.get_mut(..1) {
        head.make_ascii_uppercase();
    }
    word
}

/// `12,345 tools`, `1 tool`.
#[must_use]
pub fn count(how_many: impl Display, one: &str, more: &str) -> String {
    let number = number(how_many);
    let word = if number == "1" { one } else { more };
    format!("{number} {word}")
}

/// `31 to 60 of 128`, `1 of 1`, `None`; `from` counts from 0.
#[must_use]
pub fn span(from: impl Borrow<usize>, shown: impl Borrow<usize>, total: impl Borrow<Option<u64>>) -> String {
    let (from, shown) = (*from.borrow(), *shown.borrow());
    let of = total.borrow().map(|total| format!(" of {}", number(total))).unwrap_or_default();
    match shown {
        0 => "None".to_owned(),
        1 => format!("{}{of}", number(from + 1)),
        _ => format!("{} to {}{of}", number(from + 1), number(from + shown)),
    }
}

/// The text without the characters that XML 1.0 cannot hold even escaped (its section 2.2).
#[must_use]
pub fn xml(text: &str) -> String {
    let fits =
        |c: &char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.chars().filter(fits).collect()
}

/// The beginning of a text, at most `most` characters, cut between words.
#[must_use]
pub fn short(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let head = &text[..end];
    let head = head.rfind(' ').filter(|space| *space > end / 2).map_or(head, |space| &head[..space]);
    format!("{} …", head.trim_end())
}

/// A JSON Schema in a few words: `one of a, b`, `text`, `a list`.
#[must_use]
pub fn schema(schema: &Value) -> String {
    if let Some(Value::Array(values)) = schema.get("enum") {
        let shown = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        return short(&format!("one of {}", shown.collect::<Vec<_>>().join(", ")), 120);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => schema.get("format").and_then(Value::as_str).unwrap_or("text").to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => "a list".to_owned(),
        Some(other) => other.to_owned(),
        None => "anything its schema allows".to_owned(),
    }
}

/// `734 bytes`, `12 KB`, `3.4 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} KB", bytes.div_ceil(1_000)),
        #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// The day of a time that may be missing, else this word.
#[must_use]
pub fn day_or(at: impl Borrow<Option<OffsetDateTime>>, otherwise: &str) -> String {
    at.borrow().map_or_else(|| otherwise.to_owned(), day)
}

/// The last day of something that ends then, where it may have no end, else this word: what ends at midnight ends with the
/// day before.
#[must_use]
pub fn last_day_or(ends_at: impl Borrow<Option<OffsetDateTime>>, otherwise: &str) -> String {
    ends_at.borrow().map_or_else(|| otherwise.to_owned(), |at| day(at - time::Duration::SECOND))
}

/// `12 ms`, `4.2 s`, `17 s`, `3 min`, `5 h`, `12 days`; minutes and what is longer are rounded up.
#[must_use]
pub fn duration(time: impl Borrow<std::time::Duration>) -> String {
    let time = time.borrow();
    match time.as_secs() {
        0..10 => seconds(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        seconds @ 10..100 => format!("{seconds} s"),
        seconds @ 100..5_400 => format!("{} min", seconds.div_ceil(60)),
        seconds @ 5_400..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

/// A browser by its `User-Agent`: `Firefox on Linux`; what is unknown stands as it came, cut short.
#[must_use]
pub fn browser(user_agent: &str) -> String {
    // The order counts: each calls itself by the names of those before it.
    let named = |pairs: &[(&str, &'static str)]| {
        pairs.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    let program = named(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = named(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        _ if user_agent.is_empty() => "Unknown".to_owned(),
        _ => short(user_agent, 40),
    }
}

/// Tokens in few digits: `812`, `14.3 k`, `569.1 M`.
#[must_use]
pub fn tokens(count: impl Borrow<i64>) -> String {
    let count = *count.borrow();
    let part = |unit: f64, name: &str| format!("{:.1} {name}", count as f64 / unit);
    match count.abs() {
        0..10_000 => number(count),
        10_000..1_000_000 => part(1e3, "k"),
        1_000_000..1_000_000_000 => part(1e6, "M"),
        _ => part(1e9, "G"),
    }
}

/// Money, given in thousand-millionths of its unit: `1,912.40`; four decimals where it is less than one.
#[must_use]
pub fn money(nanos: impl Borrow<i64>) -> String {
    let nanos = *nanos.borrow();
    if nanos != 0 && nanos.abs() < 1_000_000_000 {
        return format!("{:.4}", nanos as f64 / 1e9);
    }
    let cents = (nanos + 5_000_000) / 10_000_000;
    format!("{}.{:02}", number(cents / 100), (cents % 100).abs())
}

/// A time in milliseconds as people say it: `85 ms`, `0.9 s`.
#[must_use]
pub fn seconds(ms: impl Borrow<i64>) -> String {
    match *ms.borrow() {
        ms @ ..100 => format!("{ms} ms"),
        ms => format!("{:.1} s", ms as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-12_345_678, "-12,345,678")] {
            assert_eq!(number(value), text);
        }
        assert_eq!(number("1000.125"), "1,000.125");
        assert_eq!(count(1, "tool", "tools"), "1 tool");
        assert_eq!(count(1_200, "tool", "tools"), "1,200 tools");
    }

    #[test]
    fn times_are_told_in_the_unit_people_would_use() {
        let now = datetime!(2026-11-23 12:00 UTC);

        for (at, text) in [
            (now, "just now"),
            (datetime!(2026-11-23 12:01 UTC), "just now"),
            (datetime!(2026-11-23 11:55 UTC), "5 min ago"),
            (datetime!(2026-11-23 02:00 UTC), "10 h ago"),
            (datetime!(2026-11-22 11:00 UTC), "yesterday"),
            (datetime!(2026-11-20 11:00 UTC), "3 days ago"),
            (datetime!(2026-01-02 11:00 UTC), "2 Jan 2026"),
        ] {
            assert_eq!(ago(at, now), text);
        }
        assert_eq!(exact(datetime!(2026-01-02 11:00:01.5 UTC)), "2026-01-02T11:00:01Z");
        assert_eq!(moment(datetime!(2026-01-02 11:00:01.5 UTC)), "2 Jan 2026, 11:00 UTC");
    }

    #[test]
    fn a_page_of_a_list_says_where_it_stands() {
        assert_eq!(span(30, 30, Some(1_280)), "31 to 60 of 1,280");
        assert_eq!(span(0, 1, Some(1)), "1 of 1");
        assert_eq!(span(0, 0, Some(0)), "None");
        assert_eq!(span(0, 30, None), "1 to 30");
        assert_eq!((size(734), size(12_001), size(3_400_000)), ("734 bytes".into(), "13 KB".into(), "3.4 MB".into()));
    }

    #[test]
    fn figures_are_short() {
        for (count, text) in [(0, "0"), (9_999, "9,999"), (14_310, "14.3 k"), (569_100_000, "569.1 M")] {
            assert_eq!(tokens(count), text);
        }
        for (nanos, text) in [(0, "0.00"), (2_500, "0.0000"), (12_345_678, "0.0123"), (1_912_400_000_000, "1,912.40")] {
            assert_eq!(money(nanos), text);
        }
        assert_eq!([seconds(85), seconds(930)], ["85 ms", "0.9 s"]);
    }
}
