//! Anthropic.

use super::Provider;
use crate::gateway::settings::BackendSettings;
use crate::wire::call::Dialect;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) struct Anthropic;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

impl Provider for Anthropic {
    fn dialect(&self, asked: Dialect) -> Option<Dialect> {
        match asked {
            Dialect::Chat | Dialect::Messages => Some(Dialect::Messages),
            Dialect::CountTokens => Some(Dialect::CountTokens),
            Dialect::Responses | Dialect::Embeddings => None,
        }
    }

    fn path(&self, _settings: &BackendSettings, dialect: Dialect, _model: &str) -> String {
        match dialect {
            Dialect::CountTokens => "/messages/count_tokens",
            _ => "/messages",
        }
        .to_owned()
    }

    fn key_header(&self) -> HeaderName {
        HeaderName::from_static("x-api-key")
    }

    fn complete(&self, headers: &mut HeaderMap) {
        headers.entry(VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
    }
}
