//! Azure OpenAI: the deployment in the path and a version in the query, or the newer surface without either.

use super::{Provider, openai, segment};
use crate::gateway::settings::BackendSettings;
use crate::gateway::stored_response::StoredResponse;
use crate::wire::call::Dialect;
use http::HeaderName;

pub(super) struct AzureOpenAi;

impl Provider for AzureOpenAi {
    fn dialect(&self, asked: Dialect) -> Option<Dialect> {
        openai::OpenAi.dialect(asked)
    }

    fn path(&self, settings: &BackendSettings, dialect: Dialect, model: &str) -> String {
        let tail = openai::tail(dialect);
        match &settings.api_version {
            None => format!("/openai/v1{tail}"),
            // Responses name their deployment in the body.
            Some(version) if dialect == Dialect::Responses => format!("/openai{tail}?api-version={version}"),
            Some(version) => format!("/openai/deployments/{}{tail}?api-version={version}", segment(model)),
        }
    }

    fn response_path(&self, settings: &BackendSettings, stored: &StoredResponse) -> Option<String> {
        let Some(version) = &settings.api_version else {
            return Some(format!("/openai/v1{}", openai::OpenAi.response_path(settings, stored)?));
        };
        let StoredResponse { path, query, .. } = stored;
        let and = if query.text.is_empty() { "" } else { "&" };
        Some(format!("/openai/responses/{path}?api-version={version}{and}{}", query.text))
    }

    /// A deployment's name tells nothing of its model, so the version decides: the newer name, the only one that models which
    /// reason know, came with 2024-09-01-preview, and what came before refuses it.
    fn max_tokens_name(&self, settings: &BackendSettings, _model: &str) -> &'static str {
        match &settings.api_version {
            Some(version) if version.as_str() < "2024-09-01" => "max_tokens",
            _ => "max_completion_tokens",
        }
    }

    fn key_header(&self) -> HeaderName {
        HeaderName::from_static("api-key")
    }
}
