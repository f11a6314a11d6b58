//! How long a vendor asks us to wait: `Retry-After` in both forms, `retry-after-ms`, and the `x-ratelimit-*` headers.

use http::{HeaderMap, HeaderName};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// No wait is believed that is longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait an answer asks for, at most [`LONGEST`]; none when it asks for none that can be read.
///
/// `retry-after-ms` is the most exact and goes first, then `Retry-After` (RFC 9110, 10.2.3: seconds or a date; fractions
/// of a second are met in practice), then the latest reset of a limit that is used up.
#[must_use]
pub fn wait(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text("retry-after-ms")
        .and_then(|text| seconds(text).map(|number| number / 1000.0).and_then(duration))
        .or_else(|| text("retry-after").and_then(|text| after(text, now)))
        .or_else(|| resets(headers, now));
    wait.map(|wait| wait.min(LONGEST))
}

fn after(text: &str, now: OffsetDateTime) -> Option<Duration> {
    match seconds(text) {
        Some(number) => duration(number),
        None => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(until(OffsetDateTime::from(date), now))
        }
    }
}

/// The latest reset among the limits of which nothing remains; where no header tells what remains, the latest of all.
fn resets(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    const PAIRS: &[(&str, &str)] = &[
        ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
        ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
        ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
        ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
        ("anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"),
        ("anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"),
        ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ];
    let text = |name: &str| headers.get(HeaderName::from_bytes(name.as_bytes()).ok()?)?.to_str().ok().map(str::trim);
    PAIRS
        .iter()
        .filter(|(_, remaining)| text(remaining).is_none_or(|left| left.parse::<f64>().is_ok_and(|left| left <= 0.0)))
        .filter_map(|(reset, _)| reset_in(text(reset)?, now))
        .max()
}

/// A reset as vendors write it: `1.5`, `6m0s`, `120ms`, a time, or seconds since 1970.
fn reset_in(text: &str, now: OffsetDateTime) -> Option<Duration> {
    /// Larger numbers are moments, not spans.
    const MOMENT: f64 = 1_000_000_000.0;
    if let Some(number) = seconds(text) {
        return if number < MOMENT {
            duration(number)
        } else {
            OffsetDateTime::from_unix_timestamp(number as i64).ok().map(|moment| until(moment, now))
        };
    }
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(until(moment, now));
    }
    spelled(text)
}

/// `1h2m3.5s`, `120ms`: numbers with units, each at least once.
fn spelled(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        total += number
            * match &rest[digits..unit_end] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    if text.is_empty() { None } else { duration(total) }
}

fn seconds(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| text.parse().ok())?
}

fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok()
}

/// Nothing for a moment that has passed.
fn until(moment: OffsetDateTime, now: OffsetDateTime) -> Duration {
    Duration::try_from(moment - now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn asked(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        wait(&headers, datetime!(2026-03-01 12:00:00 UTC))
    }

    #[test]
    fn every_form_that_vendors_send_is_read() {
        let ms = |number| Some(Duration::from_millis(number));
        for (pairs, expected) in [
            (vec![("retry-after", "7")], ms(7_000)),
            (vec![("retry-after", " 0.25 ")], ms(250)),
            (vec![("retry-after", "Sun, 01 Mar 2026 12:00:30 GMT")], ms(30_000)),
            (vec![("retry-after", "Sun, 01 Mar 2026 11:00:00 GMT")], ms(0)),
            (vec![("retry-after-ms", "1500"), ("retry-after", "2")], ms(1_500)),
            (vec![("retry-after-ms", "soon"), ("retry-after", "2")], ms(2_000)),
            (vec![("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-remaining-tokens", "0")], ms(360_000)),
            (vec![("x-ratelimit-reset-requests", "120ms")], ms(120)),
            (
                vec![
                    ("x-ratelimit-reset-requests", "1h"),
                    ("x-ratelimit-remaining-requests", "5"),
                    ("x-ratelimit-reset-tokens", "1.5"),
                ],
                ms(1_500),
            ),
            (vec![("anthropic-ratelimit-tokens-reset", "2026-03-01T12:01:00Z")], ms(60_000)),
            (vec![("x-ratelimit-reset", "1772366460")], ms(60_000)),
            (vec![("retry-after", "99999999999999999999")], Some(LONGEST)),
            (vec![("retry-after", "-1")], None),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "1e9")], None),
            (vec![("x-ratelimit-reset-tokens", "5 bananas")], None),
            (vec![], None),
        ] {
            assert_eq!(asked(&pairs), expected, "{pairs:?}");
        }
    }
}
