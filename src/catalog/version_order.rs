//! Which version is later: bytes that sort as the versions do, so that Postgres can order and pick the latest.
//!
//! Semantic versions go by SemVer 2.0.0, section 11, with any number of digits and build metadata left out; every other
//! version stands below all of them, by the time it was published.

use time::OffsetDateTime;

const BY_TIME: u8 = 0;
const BY_NUMBER: u8 = 1;
const PRE_RELEASE_ENDS: u8 = 0;
const NUMERIC: u8 = 1;
const ALPHANUMERIC: u8 = 2;
const RELEASE: u8 = 0xff;

/// The key of the version named `name`, published at `published_at`. Equal keys: neither is later.
#[must_use]
pub fn order_key(name: &str, published_at: OffsetDateTime) -> Vec<u8> {
    semantic(name).unwrap_or_else(|| {
        let micros = published_at.unix_timestamp_nanos().div_euclid(1_000);
        let shifted = u64::try_from(micros.saturating_add(1 << 62)).unwrap_or(0);
        [&[BY_TIME], shifted.to_be_bytes().as_slice()].concat()
    })
}

/// Whether `name` is a semantic version: an optional `v`, three numbers without leading zeros, then what SemVer allows.
#[must_use]
pub fn is_semantic(name: &str) -> bool {
    semantic(name).is_some()
}

fn semantic(name: &str) -> Option<Vec<u8>> {
    let name = name.strip_prefix('v').unwrap_or(name);
    let (name, build) = name.split_once('+').map_or((name, None), |(name, build)| (name, Some(build)));
    let (numbers, pre_release) = name.split_once('-').map_or((name, None), |(numbers, rest)| (numbers, Some(rest)));
    if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
        return None;
    }

    let mut key = vec![BY_NUMBER];
    let numbers: Vec<_> = numbers.split('.').collect();
    if numbers.len() != 3 {
        return None;
    }
    for number in numbers {
        push_number(&mut key, number)?;
    }
    let Some(pre_release) = pre_release else {
        key.push(RELEASE);
        return Some(key);
    };
    for identifier in pre_release.split('.') {
        if !is_identifier(identifier) {
            return None;
        }
        if identifier.bytes().all(|b| b.is_ascii_digit()) {
            key.push(NUMERIC);
            push_number(&mut key, identifier)?;
        } else {
            key.push(ALPHANUMERIC);
            key.extend_from_slice(identifier.as_bytes());
            key.push(0);
        }
    }
    key.push(PRE_RELEASE_ENDS);
    Some(key)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Its length, then its digits: more digits, larger number.
fn push_number(key: &mut Vec<u8>, digits: &str) -> Option<()> {
    let legal = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    if !legal {
        return None;
    }
    key.push(u8::try_from(digits.len()).ok()?);
    key.extend_from_slice(digits.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn key(name: &str) -> Vec<u8> {
        order_key(name, datetime!(2026-01-01 00:00 UTC))
    }

    #[test]
    fn semantic_versions_sort_by_precedence() {
        let ascending = [
            "0.0.9",
            "0.0.10",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-1a",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.1.2",
            "1.0.0-alpha.1.beta",
            "1.0.0-alpha.2",
            "1.0.0-alpha.10",
            "1.0.0-alpha.beta",
            "1.0.0-alpha-1",
            "1.0.0-beta",
            "1.0.0-rc.1",
            "1.0.0",
            "1.2.0",
            "1.10.0",
            "2.0.0",
            "99999999999999999999.0.0",
        ];
        for pair in ascending.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn build_metadata_and_the_letter_v_do_not_count() {
        assert_eq!(key("1.0.0+b1"), key("1.0.0+b2"));
        assert_eq!(key("v1.0.0"), key("1.0.0"));
    }

    #[test]
    fn what_is_not_semantic_goes_by_time_and_stands_below() {
        let (early, late) = (datetime!(2026-01-01 00:00 UTC), datetime!(2026-01-02 00:00 UTC));

        for name in ["snapshot", "2021.03.05", "1.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "latest", ""] {
            assert!(!is_semantic(name), "{name}");
            assert!(order_key(name, early) < order_key(name, late));
            assert!(order_key(name, late) < order_key("0.0.0-0", early), "{name}");
        }
        assert!(order_key("x", datetime!(1900-01-01 00:00 UTC)) < order_key("x", early));
    }
}
