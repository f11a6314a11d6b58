//! What a plain scalar means: YAML 1.2's core schema, with time stamps and `yes`/`no` left as the text they are.

use serde_json::{Number, Value};

/// The value of a plain (unquoted) scalar.
///
/// Numbers that JSON cannot hold (`.inf`, `.nan`, `1e999`) stay text.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

/// The value of a plain scalar that states a version: `1.10` is not `1.1`, so a number that would lose its spelling
/// stays text.
pub(super) fn version(text: &str) -> Value {
    match plain(text) {
        Value::Number(number) if number.to_string() != text => Value::String(text.to_owned()),
        value => value,
    }
}

fn number(text: &str) -> Option<Number> {
    // Most scalars are words; this line spares them the rest.
    if !matches!(text.as_bytes()[0], b'0'..=b'9' | b'-' | b'+' | b'.') {
        return None;
    }
    let radix = |digits: &str, radix: u32| {
        let first_is_digit = digits.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        u64::from_str_radix(digits, radix).ok().filter(|_| first_is_digit).map(Number::from)
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) && !unsigned.is_empty() {
        let text = text.strip_prefix('+').unwrap_or(text);
        let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        return whole.ok().or_else(|| text.parse().ok().and_then(Number::from_f64));
    }
    is_float(unsigned).then(|| text.parse().ok().and_then(Number::from_f64)).flatten()
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("off", json!("off")),
            ("0", json!(0)),
            ("-17", json!(-17)),
            ("+3", json!(3)),
            ("007", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0x", json!("0x")),
            ("0x+1", json!("0x+1")),
            ("3.0", json!(3.0)),
            ("-.5", json!(-0.5)),
            ("1.", json!(1.0)),
            ("6e-3", json!(0.006)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            (".inf", json!(".inf")),
            ("-.inf", json!("-.inf")),
            (".nan", json!(".nan")),
            ("1e999", json!("1e999")),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("-", json!("-")),
            ("+", json!("+")),
            ("3.0.1", json!("3.0.1")),
            ("1_000", json!("1_000")),
            ("2026-11-23", json!("2026-11-23")),
            ("2026-11-23T10:00:00Z", json!("2026-11-23T10:00:00Z")),
            ("12:30:45", json!("12:30:45")),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn a_version_keeps_its_spelling() {
        for (text, value) in
            [("1.10", json!("1.10")), ("3.0", json!(3.0)), ("2", json!(2)), ("01", json!("01")), ("v1", json!("v1"))]
        {
            assert_eq!(version(text), value, "{text}");
        }
    }
}
