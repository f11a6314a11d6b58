//! What an upstream answers: a page of a registry's list, or a file of entries. Pure.

use crate::base::Problem;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

/// Entries a page of a registry has at most; the official registry allows no more.
const LIMIT: &str = "100";

/// Entries as they came, and where the list goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub entries: Vec<String>,
    pub next: Option<String>,
}

/// Which part of a registry's list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All that is there.
    Everything,
    /// That, and what was deleted.
    EverythingWithDeleted,
    /// What changed after this time; what was deleted is in it.
    Since(OffsetDateTime),
}

/// The address of a page.
pub(super) fn address(base: &str, part: Part, cursor: Option<&str>) -> Result<Url, Problem> {
    let mut url = list(base)?;
    let mut query = url.query_pairs_mut();
    query.append_pair("limit", LIMIT);
    match part {
        Part::Everything => {}
        Part::EverythingWithDeleted => drop(query.append_pair("include_deleted", "true")),
        Part::Since(since) => {
            let since = since.format(&Rfc3339).expect("times of ours lie in years that RFC 3339 can write");
            query.append_pair("updated_since", &since);
        }
    }
    if let Some(cursor) = cursor {
        query.append_pair("cursor", cursor);
    }
    drop(query);
    Ok(url)
}

/// The address of a version; nothing is there once it is deleted.
pub(super) fn of_version(base: &str, name: &str, version: &str) -> Result<Url, Problem> {
    let mut url = list(base)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend([name, "versions", version]);
    }
    Ok(url)
}

fn list(base: &str) -> Result<Url, Problem> {
    let mut url = Url::parse(base).map_err(|error| Problem::invalid_field("body.url", error.to_string()))?;
    // People give the address of the registry, of its API, or of the list.
    let mut path = url.path().trim_end_matches('/');
    for end in ["/servers", "/v0.1", "/v0"] {
        path = path.strip_suffix(end).unwrap_or(path);
    }
    let path = format!("{path}/v0.1/servers");
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

/// Reads a page of a registry's list.
///
/// # Errors
/// 502 for what is no whole list: nothing of it is taken.
pub(super) fn of_registry(bytes: &[u8]) -> Result<Page, Problem> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        servers: Vec<&'a RawValue>,
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        next_cursor: Option<String>,
    }
    let list: List<'_> = serde_json::from_slice(bytes)
        .map_err(|error| unreadable(format!("The upstream answered no whole list of servers ({error}).")))?;
    Ok(Page {
        entries: list.servers.into_iter().map(|entry| entry.get().to_owned()).collect(),
        next: list.metadata.next_cursor.filter(|cursor| !cursor.is_empty()),
    })
}

/// Reads a file: a list as a registry gives it, an array, or one entry a line.
///
/// # Errors
/// 502 for a file that is none of these, or breaks off in a line.
pub(super) fn of_file(bytes: &[u8]) -> Result<Vec<String>, Problem> {
    if let Ok(page) = of_registry(bytes) {
        return Ok(page.entries);
    }
    if let Ok(array) = serde_json::from_slice::<Vec<&RawValue>>(bytes) {
        return Ok(array.into_iter().map(|entry| entry.get().to_owned()).collect());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable("The file is no UTF-8.".to_owned()))?;
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let entry: &RawValue = serde_json::from_str(line)
            .map_err(|error| unreadable(format!("Line {number} of the file is no whole JSON ({error}).")))?;
        entries.push(entry.get().to_owned());
    }
    Ok(entries)
}

fn unreadable(detail: String) -> Problem {
    Problem::new(http::StatusCode::BAD_GATEWAY, "fetch-failed", "Fetch failed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn every_form_of_the_address_leads_to_the_list() {
        for base in [
            "https://r.example.com",
            "https://r.example.com/",
            "https://r.example.com/v0.1/servers",
            "https://r.example.com/v0",
        ] {
            let url = address(base, Part::Everything, None);
            assert_eq!(url.unwrap().as_str(), "https://r.example.com/v0.1/servers?limit=100");
        }
        let url = address("https://r.example.com", Part::EverythingWithDeleted, None);
        assert_eq!(url.unwrap().as_str(), "https://r.example.com/v0.1/servers?limit=100&include_deleted=true");
        let since = Part::Since(datetime!(2026-01-02 03:04 UTC));
        let url = address("https://r.example.com/registries/a", since, Some("a/b:1+2"));
        assert_eq!(
            url.unwrap().as_str(),
            "https://r.example.com/registries/a/v0.1/servers?limit=100&updated_since=2026-01-02T03%3A04%3A00Z&cursor=a%2Fb%3A1%2B2"
        );
    }

    #[test]
    fn a_version_has_an_address_whatever_its_name() {
        let url = of_version("https://r.example.com/v0", "com.acme/files", "1.0.0+a/b").unwrap();

        assert_eq!(url.as_str(), "https://r.example.com/v0.1/servers/com.acme%2Ffiles/versions/1.0.0+a%2Fb");
    }

    #[test]
    fn half_a_page_is_none() {
        let whole = br#"{"servers":[{"server":{"name":"a.b/c"}}],"metadata":{"count":1,"nextCursor":"x"}}"#;

        let page = of_registry(whole).unwrap();
        assert_eq!((page.entries.len(), page.next.as_deref()), (1, Some("x")));
        for cut in 0..whole.len() {
            assert!(of_registry(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(of_registry(br#"{"metadata":{}}"#).is_err());
    }

    #[test]
    fn a_file_is_a_list_an_array_or_lines() {
        for text in [r#"{"servers":[{"a":1},{"b":2}]}"#, r#"[{"a":1},{"b":2}]"#, "{\"a\":1}\n\n{\"b\":2}\n"] {
            assert_eq!(of_file(text.as_bytes()).unwrap(), [r#"{"a":1}"#, r#"{"b":2}"#], "{text}");
        }
        assert!(of_file(b"{\"a\":1}\n{\"b\":").is_err());
    }
}
