//! Who serves models, and how each wants to be asked: one file a provider, one line in [`of`].

mod anthropic;
mod azure_openai;
mod openai;
mod rest;

use super::Secret;
use super::settings::{self, BackendSettings};
use super::stored_response::StoredResponse;
use crate::base::Clock;
use crate::wire::call::Dialect;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::time::Duration;

/// Speaks one vendor's dialect of a backend.
pub trait Provider: Send + Sync {
    /// The dialect in which a request of this one goes out; none when the vendor serves nothing of the kind.
    fn dialect(&self, asked: Dialect) -> Option<Dialect>;

    /// Where a request goes, after the path of the backend's URL; with its query.
    fn path(&self, settings: &BackendSettings, dialect: Dialect, model: &str) -> String;

    /// Where a response is that it stores, after the path of the backend's URL; none when it stores none.
    fn response_path(&self, _settings: &BackendSettings, _stored: &StoredResponse) -> Option<String> {
        None
    }

    /// What a chat calls the most tokens of its reply.
    fn max_tokens_name(&self, _settings: &BackendSettings, _model: &str) -> &'static str {
        "max_tokens"
    }

    /// The header that carries an API key when the credential names none.
    fn key_header(&self) -> HeaderName {
        header::AUTHORIZATION
    }

    /// Headers the vendor wants with every request; what the client sent of them is there already.
    fn complete(&self, _headers: &mut HeaderMap) {}

    /// How an answer with this head counts.
    fn outcome(&self, status: StatusCode, headers: &HeaderMap, clock: &Clock) -> Outcome {
        outcome(status, headers, clock)
    }
}

/// How an answer counts, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes to the client.
    Served,
    /// The backend has no room; another may.
    Busy(Option<Duration>),
    /// The backend, or our credential there, is at fault; another may do better.
    Failed(Option<Duration>),
    /// The request is at fault; no other would do better.
    Refused,
}

/// The provider that a backend names.
#[must_use]
pub fn of(named: settings::Provider) -> &'static dyn Provider {
    match named {
        settings::Provider::Openai | settings::Provider::Compatible => &openai::OpenAi,
        settings::Provider::AzureOpenai => &azure_openai::AzureOpenAi,
        settings::Provider::Anthropic => &anthropic::Anthropic,
        settings::Provider::Rest => &rest::Rest,
    }
}

/// The usual reading of statuses (RFC 9110, 15); 529 is Anthropic's for "overloaded".
fn outcome(status: StatusCode, headers: &HeaderMap, clock: &Clock) -> Outcome {
    let wait = || crate::wire::retry_after::wait(headers, clock.now());
    match status.as_u16() {
        429 | 503 | 529 => Outcome::Busy(wait()),
        401 | 403 | 408 | 500.. => Outcome::Failed(wait()),
        400..=499 => Outcome::Refused,
        _ => Outcome::Served,
    }
}

/// Puts a secret where it belongs. The value is marked, so that no debug print shows it.
pub fn inject(provider: &dyn Provider, secret: &Secret, headers: &mut HeaderMap) -> Result<(), String> {
    let (name, text) = match secret {
        Secret::Bearer(value) => (header::AUTHORIZATION, format!("Bearer {}", value.expose())),
        Secret::ApiKey { value, header: Some(name) } => {
            let name = name.parse().map_err(|_| "its header has no legal name".to_owned())?;
            (name, value.expose().clone())
        }
        Secret::ApiKey { value, header: None } => match provider.key_header() {
            header::AUTHORIZATION => (header::AUTHORIZATION, format!("Bearer {}", value.expose())),
            name => (name, value.expose().clone()),
        },
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| "it holds characters that no header has".to_owned())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// A model's name as a segment of a path.
fn segment(model: &str) -> impl std::fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(model, percent_encoding::NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Sealed;
    use crate::gateway::stored_response::StoredQuery;
    use settings::Provider as Named;

    #[test]
    fn each_vendor_is_asked_at_its_address() {
        let mut azure = BackendSettings::new(Named::AzureOpenai, "https://contoso.openai.azure.com");
        let newer = azure.clone();
        azure.api_version = Some("2024-10-21".into());
        let plain = |named| BackendSettings::new(named, "https://example.com");

        for (settings, dialect, path) in [
            (&plain(Named::Openai), Dialect::Chat, Some("/chat/completions")),
            (&plain(Named::Compatible), Dialect::Embeddings, Some("/embeddings")),
            (&plain(Named::Openai), Dialect::Responses, Some("/responses")),
            (&plain(Named::Openai), Dialect::Messages, Some("/chat/completions")),
            (&plain(Named::Openai), Dialect::CountTokens, None),
            (&plain(Named::Anthropic), Dialect::Chat, Some("/messages")),
            (&plain(Named::Anthropic), Dialect::CountTokens, Some("/messages/count_tokens")),
            (&plain(Named::Anthropic), Dialect::Embeddings, None),
            (&azure, Dialect::Chat, Some("/openai/deployments/my%2Dgpt/chat/completions?api-version=2024-10-21")),
            (&azure, Dialect::Responses, Some("/openai/responses?api-version=2024-10-21")),
            (&newer, Dialect::Chat, Some("/openai/v1/chat/completions")),
            (&plain(Named::Rest), Dialect::Chat, None),
        ] {
            let provider = of(settings.provider);
            let found = provider.dialect(dialect).map(|spoken| provider.path(settings, spoken, "my-gpt"));
            assert_eq!(found.as_deref(), path, "{dialect:?} at {:?}", settings.provider);
        }
    }

    #[test]
    fn a_response_is_asked_for_where_it_is_stored() {
        let mut dated = BackendSettings::new(Named::AzureOpenai, "https://contoso.openai.azure.com");
        let newer = dated.clone();
        dated.api_version = Some("2025-03-01-preview".into());
        let plain = |named| BackendSettings::new(named, "https://example.com");
        for (settings, path, query, expected) in [
            (&plain(Named::Openai), "resp_1", None, Some("/responses/resp_1")),
            (&plain(Named::Compatible), "resp_1", Some("stream=true"), Some("/responses/resp_1?stream=true")),
            (&newer, "resp_1/cancel", None, Some("/openai/v1/responses/resp_1/cancel")),
            (&dated, "resp_1", None, Some("/openai/responses/resp_1?api-version=2025-03-01-preview")),
            (
                &dated,
                "resp_1/input_items",
                Some("limit=2"),
                Some("/openai/responses/resp_1/input_items?api-version=2025-03-01-preview&limit=2"),
            ),
            (&plain(Named::Anthropic), "resp_1", None, None),
            (&plain(Named::Rest), "resp_1", None, None),
        ] {
            let stored = StoredResponse {
                backend: crate::base::BackendId::new(),
                model: "fast".to_owned(),
                method: http::Method::GET,
                path: path.to_owned(),
                query: StoredQuery::of(query),
            };
            let found = of(settings.provider).response_path(settings, &stored);
            assert_eq!(found.as_deref(), expected, "{path} at {:?}", settings.provider);
        }
    }

    #[test]
    fn the_most_tokens_of_a_reply_have_the_name_that_the_vendor_knows() {
        let at = |named, version: Option<&str>| {
            let mut settings = BackendSettings::new(named, "https://example.com");
            settings.api_version = version.map(str::to_owned);
            settings
        };
        for (settings, model, name) in [
            (at(Named::Openai, None), "gpt-4o", "max_completion_tokens"),
            (at(Named::Openai, None), "o3", "max_completion_tokens"),
            (at(Named::AzureOpenai, None), "thinker", "max_completion_tokens"),
            (at(Named::AzureOpenai, Some("2024-12-01-preview")), "thinker", "max_completion_tokens"),
            (at(Named::AzureOpenai, Some("2024-09-01-preview")), "thinker", "max_completion_tokens"),
            (at(Named::AzureOpenai, Some("2024-08-01-preview")), "thinker", "max_tokens"),
            (at(Named::Compatible, None), "qwen3", "max_tokens"),
            (at(Named::Compatible, None), "olmo", "max_tokens"),
            (at(Named::Compatible, None), "openai/o4-mini", "max_completion_tokens"),
            (at(Named::Compatible, None), "gpt-5.1", "max_completion_tokens"),
        ] {
            assert_eq!(of(settings.provider).max_tokens_name(&settings, model), name, "{model} {settings:?}");
        }
    }

    #[test]
    fn a_secret_goes_into_the_header_its_vendor_reads_and_is_never_printed() {
        let key = |header: Option<&str>| Secret::ApiKey {
            value: Sealed::new("canary".to_owned()),
            header: header.map(str::to_owned),
        };
        for (named, secret, name, value) in [
            (Named::Openai, key(None), "authorization", "Bearer canary"),
            (Named::AzureOpenai, key(None), "api-key", "canary"),
            (Named::Anthropic, key(None), "x-api-key", "canary"),
            (Named::Openai, key(Some("X-Key")), "x-key", "canary"),
            (Named::AzureOpenai, Secret::Bearer(Sealed::new("canary".into())), "authorization", "Bearer canary"),
        ] {
            let mut headers = HeaderMap::new();
            inject(of(named), &secret, &mut headers).unwrap();
            assert_eq!(headers[name], value);
            assert!(!format!("{headers:?}").contains("canary"));
        }
    }

    #[test]
    fn an_answer_counts_by_its_status() {
        let of = |status| outcome(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &Clock::system());
        for (status, expected) in [
            (200, Outcome::Served),
            (400, Outcome::Refused),
            (404, Outcome::Refused),
            (401, Outcome::Failed(None)),
            (429, Outcome::Busy(None)),
            (529, Outcome::Busy(None)),
            (500, Outcome::Failed(None)),
        ] {
            assert_eq!(of(status), expected, "{status}");
        }
    }
}
