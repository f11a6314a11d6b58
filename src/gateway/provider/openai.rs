//! OpenAI, and all who speak its dialect: Ollama, vLLM and many others.

use super::Provider;
use crate::gateway::settings::{self, BackendSettings};
use crate::gateway::stored_response::StoredResponse;
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

    fn response_path(&self, _settings: &BackendSettings, stored: &StoredResponse) -> Option<String> {
        let StoredResponse { path, query, .. } = stored;
        let mark = if query.text.is_empty() { "" } else { "?" };
        Some(["/responses/", path, mark, &query.text].concat())
    }

    /// OpenAI's models all know the newer name, and those that reason no other. Servers that speak its dialect often know
    /// only the older, unless it is one of OpenAI's that they pass on.
    fn max_tokens_name(&self, settings: &BackendSettings, model: &str) -> &'static str {
        let is_openai = settings.provider == settings::Provider::Openai;
        if is_openai || reasons(model) { "max_completion_tokens" } else { "max_tokens" }
    }
}

/// Whether this is a model of OpenAI's that reasons, by its name; a path before it is left out.
fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gpt-5")
        || name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// What follows `/v1`.
pub(super) fn tail(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Responses => "/responses",
        Dialect::Embeddings => "/embeddings",
        _ => "/chat/completions",
    }
}
