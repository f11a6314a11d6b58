//! OpenAI, and all who speak its dialect: Ollama, vLLM and many others.

use super::Provider;
use crate::gateway::settings::BackendSettings;
use crate::wire::call::Dialect;

pub(super) struct OpenAi;

impl Provider for OpenAi {
    fn dialect(&self, asked: Dialect) -> Option<Dialect> {
        match asked {
            Dialect::Chat | Dialect::Messages => Some(Dialect::Chat),
            Dialect::Responses | Dialect::Embeddings => Some(asked),
            Dialect::CountTokens => None,
        }
    }

    fn path(&self, _settings: &BackendSettings, dialect: Dialect, _model: &str) -> String {
        tail(dialect).to_owned()
    }
}

/// What follows `/v1`.
pub(super) fn tail(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Responses => "/responses",
        Dialect::Embeddings => "/embeddings",
        _ => "/chat/completions",
    }
}
