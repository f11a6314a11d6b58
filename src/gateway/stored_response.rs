//! `StoredResponse`: a response that its vendor keeps, and what is asked of it later: to see it, to cancel it, to remove it.

use crate::base::BackendId;
use http::Method;
use url::form_urlencoded;

/// What is asked of a response that was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Where it is.
    pub backend: BackendId,
    /// The alias it was asked for by.
    pub model: String,
    pub method: Method,
    /// Its id and what follows it: `resp_1`, `resp_1/cancel`, `resp_1/input_items`.
    pub path: String,
    pub query: StoredQuery,
}

impl StoredResponse {
    /// Whether it is what was asked that is asked for, and not what was answered.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.path.ends_with("/input_items")
    }
}

/// The parameters that a client sends, as they go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredQuery {
    /// Written anew; empty where there is none.
    pub text: String,
    /// Whether the response is to be told as a stream of events.
    pub stream: bool,
}

impl StoredQuery {
    /// Reads what a client sends. Which version of its interface we speak is between us and the vendor.
    #[must_use]
    pub fn of(query: Option<&str>) -> Self {
        let mut out = form_urlencoded::Serializer::new(String::new());
        let mut stream = false;
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "api-version" => {}
                // Vendors read more words for yes than one, and what they understand must be what we expect.
                "stream" => stream = ["true", "1", "yes", "on", "t", "y"].contains(&value.to_lowercase().as_str()),
                _ => drop(out.append_pair(&name, &value)),
            }
        }
        if stream {
            out.append_pair("stream", "true");
        }
        Self { text: out.finish(), stream }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_written_anew_and_the_version_is_ours_to_say() {
        for (sent, text, stream) in [
            (None, "", false),
            (Some("limit=2&order=asc&include[]=usage"), "limit=2&order=asc&include%5B%5D=usage", false),
            (Some("stream=True&starting_after=4"), "starting_after=4&stream=true", true),
            (Some("stream=false"), "", false),
            (Some("api-version=2025-03-01&api%2Dversion=1&after=a%26stream%3D1"), "after=a%26stream%3D1", false),
        ] {
            assert_eq!(StoredQuery::of(sent), StoredQuery { text: text.to_owned(), stream }, "{sent:?}");
        }
    }
}
