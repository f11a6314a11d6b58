//! Numbers as people write them: thousands may be apart, as the pages themselves show them. Pure.

/// What may stand between thousands: a comma, a space of any width, a line, an apostrophe.
const BETWEEN_THOUSANDS: &[char] = &[',', ' ', '\u{a0}', '\u{202f}', '_', '\''];

const WHOLE: &str = "write a whole number without a fraction, like 20000 or 20,000";
const DECIMAL: &str = "write a number like 1000.50 or 1,000.50: a point before the fraction, a comma between thousands";

/// A whole number.
///
/// # Errors
/// How to write one.
pub(super) fn whole(text: &str) -> Result<u64, &'static str> {
    together(text).and_then(|digits| digits.parse().ok()).ok_or(WHOLE)
}

/// A number that may have a fraction, after a point, or after a comma that can part no thousands: `0,5`.
///
/// # Errors
/// How to write one; also for `0,125`, which may be meant either way.
pub(super) fn decimal(text: &str) -> Result<f64, &'static str> {
    let (digits, fraction) = text.split_once('.').map_or((text, None), |(digits, rest)| (digits, Some(rest)));
    let plain = match (together(digits), fraction) {
        (Some(digits), Some(fraction)) => format!("{digits}.{fraction}"),
        (Some(digits), None) => digits,
        (None, None) => after_a_comma(text).unwrap_or_else(|| text.to_owned()),
        (None, Some(_)) => text.to_owned(),
    };
    plain.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(DECIMAL)
}

/// Digits without what stands between their thousands; none where that does not stand before each three.
fn together(text: &str) -> Option<String> {
    let Some(between) = text.chars().find(|one| !one.is_ascii_digit()) else { return Some(text.to_owned()) };
    let mut groups = text.split(between);
    let first = groups.next().filter(|first| matches!(first.len(), 1..=3) && !first.starts_with('0'))?;
    let is_parted = BETWEEN_THOUSANDS.contains(&between)
        && is_digits(first)
        && groups.all(|group| group.len() == 3 && is_digits(group));
    is_parted.then(|| text.replace(between, ""))
}

fn after_a_comma(text: &str) -> Option<String> {
    let (digits, fraction) = text.split_once(',')?;
    let digits = together(digits)?;
    (is_digits(fraction) && fraction.len() != 3).then(|| format!("{digits}.{fraction}"))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_may_be_apart() {
        for (text, number) in [
            ("0", 0),
            ("20000", 20_000),
            ("20,000", 20_000),
            ("1,234,567", 1_234_567),
            ("20 000", 20_000),
            ("20\u{202f}000", 20_000),
            ("20_000", 20_000),
            ("20'000", 20_000),
        ] {
            assert_eq!(whole(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused_and_not_taken_for_another() {
        for text in
            ["1.5", "1.500", "1,5", "1,50", "20,00", "1,000,00", "1,000 000", "0,000", "-1", "1e3", "many", ",000"]
        {
            assert_eq!(whole(text), Err(WHOLE), "{text}");
        }
    }

    #[test]
    fn a_comma_before_three_digits_parts_thousands_and_another_the_fraction() {
        for (text, number) in [
            ("1,000", 1_000.0),
            ("1,000.00", 1_000.0),
            ("1,234,567.5", 1_234_567.5),
            ("1 000,50", 1_000.5),
            ("0.125", 0.125),
            ("1.000", 1.0),
            ("0,5", 0.5),
            ("12,50", 12.5),
            (".5", 0.5),
            ("1e-7", 1e-7),
            ("-2.5", -2.5),
        ] {
            assert_eq!(decimal(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_may_be_meant_either_way_is_refused() {
        for text in ["0,125", "1.000,00", "1,000,5", "1,23,4", "1,0000.5", "-1,000", "inf", "NaN", "much"] {
            assert_eq!(decimal(text), Err(DECIMAL), "{text}");
        }
    }
}
