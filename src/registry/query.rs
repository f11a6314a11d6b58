//! The query of a list: its parameters, and the cursor that carries them on to the next page.

use crate::{
    base::{Cursor, FieldError, Problem},
    catalog::RegistryPlace,
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(super) const DEFAULT_LIMIT: i64 = 30;
pub(super) const MAX_LIMIT: i64 = 100;

/// Which servers a list shows, and from where on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ListQuery {
    pub limit: i64,
    pub filter: Filter,
    /// The last entry of the page before.
    pub after: Option<RegistryPlace>,
}

/// The filters of a list; all of them must hold.
///
/// They travel in the cursor, because clients send a cursor alone and would otherwise leave the filter at page two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Filter {
    #[serde(rename = "s", skip_serializing_if = "Option::is_none", default)]
    pub search: Option<String>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    #[serde(rename = "u", with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none", default)]
    pub updated_since: Option<OffsetDateTime>,
    /// With `updated_since`, the time up to which the first page could see everything: later changes belong to the
    /// next sync, or a change behind the cursor would be overtaken by a later one before it.
    #[serde(rename = "b", with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none", default)]
    pub updated_until: Option<OffsetDateTime>,
    #[serde(rename = "d", skip_serializing_if = "std::ops::Not::not", default)]
    pub include_deleted: bool,
}

#[derive(Serialize, Deserialize)]
struct Onward {
    #[serde(flatten)]
    filter: Filter,
    #[serde(rename = "p")]
    place: RegistryPlace,
}

impl ListQuery {
    /// Reads a query string; parameters that are unknown here are passed over.
    ///
    /// # Errors
    /// 422 for a `limit` or `include_deleted` that is none; 400 for a time that is none, or for `updated_since` with
    /// `include_deleted=false`.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = Parameters::parse(query)?;
        let limit = parameters.limit()?;
        let include_deleted = parameters.flag("include_deleted")?;
        let updated_since = parameters.get("updated_since").map(read_time).transpose()?;
        if updated_since.is_some() && include_deleted == Some(false) {
            return Err(Problem::bad_request(
                "Cannot set include_deleted=false when using updated_since (incremental sync requires deleted servers)",
            ));
        }

        let (carried, after) = match parameters.get("cursor") {
            Some(cursor) => onward(cursor),
            None => (Filter::default(), None),
        };
        // The bound belongs to the `updated_since` it came with.
        let updated_until =
            carried.updated_until.filter(|_| updated_since.is_none_or(|at| Some(at) == carried.updated_since));
        let filter = Filter {
            search: parameters.get("search").map(str::to_owned).or(carried.search),
            version: parameters.get("version").map(str::to_owned).or(carried.version),
            updated_since: updated_since.or(carried.updated_since),
            updated_until,
            include_deleted: include_deleted.unwrap_or(carried.include_deleted) || updated_since.is_some(),
        };
        Ok(Self { limit, filter, after })
    }

    /// The cursor behind the entry at `place`.
    pub fn cursor(filter: &Filter, place: RegistryPlace) -> Cursor {
        Cursor::of(&Onward { filter: filter.clone(), place })
    }
}

/// What a cursor carries. One that is not ours is read as the official registry's, `name:version`: a cursor is never
/// refused, since a client could do nothing about it.
fn onward(cursor: &str) -> (Filter, Option<RegistryPlace>) {
    if let Ok(Onward { filter, place }) = Cursor::from_text(cursor).place() {
        return (filter, Some(place));
    }
    let (name, version) = cursor.split_once(':').map_or((cursor, None), |(name, version)| (name, Some(version)));
    (Filter::default(), Some(behind(name, version)))
}

fn behind(name: &str, version: Option<&str>) -> RegistryPlace {
    RegistryPlace::Named { name: name.to_owned(), version: version.map(str::to_owned) }
}

fn read_time(text: &str) -> Result<OffsetDateTime, Problem> {
    // A `+` in an unescaped offset arrives as a space.
    OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).map_err(|_| {
        Problem::bad_request(
            "Invalid updated_since format: expected RFC3339 timestamp (e.g., 2025-08-07T13:15:04.280Z)",
        )
    })
}

/// The decoded pairs of a query string; of a repeated parameter the first counts, an empty one is absent.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// # Errors
    /// 400 for a NUL.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        if pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Problem::bad_request("The query has the character U+0000."));
        }
        Ok(Self(pairs))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// How many entries are asked for, `1..=100`.
    ///
    /// # Errors
    /// 422 for anything else.
    pub fn limit(&self) -> Result<i64, Problem> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        let Ok(limit) = text.parse::<i64>() else {
            return Err(failed(FieldError::new("query.limit", "invalid integer").with_value(text)));
        };
        if limit < 1 {
            return Err(failed(FieldError::new("query.limit", "expected number >= 1").with_value(limit)));
        }
        if limit > MAX_LIMIT {
            let message = format!("expected number <= {MAX_LIMIT}");
            return Err(failed(FieldError::new("query.limit", message).with_value(limit)));
        }
        Ok(limit)
    }

    /// # Errors
    /// 422 for a value that is neither true nor false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(Some(true)),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(Some(false)),
            Some(other) => Err(failed(FieldError::new(format!("query.{name}"), "invalid boolean").with_value(other))),
        }
    }
}

/// 422 in the official registry's words.
pub(super) fn failed(error: FieldError) -> Problem {
    Problem::invalid("validation failed").with_errors(vec![error])
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn parse(query: &str) -> ListQuery {
        ListQuery::parse(Some(query)).unwrap()
    }

    #[test]
    fn without_parameters_the_first_thirty_are_meant() {
        assert_eq!(parse(""), ListQuery { limit: 30, ..ListQuery::default() });
        assert_eq!(ListQuery::parse(None).unwrap(), parse("limit=&search=&cursor=&foreign=x"));
    }

    #[test]
    fn a_limit_outside_its_bounds_fails_validation() {
        for (query, message) in [
            ("limit=0", "expected number >= 1"),
            ("limit=-1", "expected number >= 1"),
            ("limit=101", "expected number <= 100"),
            ("limit=1000", "expected number <= 100"),
            ("limit=abc", "invalid integer"),
            ("limit=1.5", "invalid integer"),
            ("limit=99999999999999999999", "invalid integer"),
        ] {
            let problem = ListQuery::parse(Some(query)).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.detail.as_str()), (422, "validation failed"), "{query}");
            assert_eq!(problem.errors[0].message, message);
            assert_eq!(problem.errors[0].location, "query.limit");
        }
        assert_eq!(ListQuery::parse(Some("include_deleted=maybe")).unwrap_err().status, 422);
    }

    #[test]
    fn updated_since_is_a_time_and_brings_the_deleted_ones() {
        let query = parse("updated_since=2026-01-02T03:04:05.678901Z");
        assert_eq!(query.filter.updated_since, Some(datetime!(2026-01-02 03:04:05.678901 UTC)));
        assert!(query.filter.include_deleted);
        assert_eq!(
            parse("updated_since=2026-01-02T03:04:05+02:00").filter.updated_since,
            Some(datetime!(2026-01-02 01:04:05 UTC))
        );

        for wrong in ["updated_since=invalid", "updated_since=2026-01-02", "updated_since=1767323045"] {
            let problem = ListQuery::parse(Some(wrong)).unwrap_err();
            assert_eq!(problem.status, 400);
            assert!(problem.detail.starts_with("Invalid updated_since format"));
        }
        let problem = ListQuery::parse(Some("updated_since=2026-01-02T03:04:05Z&include_deleted=false")).unwrap_err();
        assert!(problem.detail.starts_with("Cannot set include_deleted=false"));
    }

    #[test]
    fn a_cursor_alone_keeps_the_filters() {
        let first = parse("search=files&version=latest&updated_since=2026-01-02T03:04:05Z&limit=5");
        let filter = Filter { updated_until: Some(datetime!(2026-02-01 00:00 UTC)), ..first.filter };
        let place = behind("a.b/c", None);

        let cursor = ListQuery::cursor(&filter, place.clone());
        let next = parse(&format!("limit=5&cursor={}", cursor.as_str()));

        assert_eq!(next, ListQuery { limit: 5, filter, after: Some(place) });
    }

    #[test]
    fn a_foreign_cursor_is_a_name_and_perhaps_a_version() {
        assert_eq!(parse("cursor=a.b%2Fc%3A1.0.0%3Ax").after, Some(behind("a.b/c", Some("1.0.0:x"))));
        assert_eq!(parse("cursor=a.b/c").after, Some(behind("a.b/c", None)));
    }
}
