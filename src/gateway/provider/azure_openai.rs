//! Azure OpenAI: the deployment in the path and a version in the query, or the newer surface without either.

use super::{Provider, openai, segment};
use crate::gateway::settings::BackendSettings;
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

    fn key_header(&self) -> HeaderName {
        HeaderName::from_static("api-key")
    }
}
