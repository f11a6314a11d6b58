//! The words of the OpenTelemetry GenAI conventions for what a record says in ours; the same in all metrics and spans.

use super::UsageRecord;
use crate::gateway::settings::Provider;
use crate::wire::call::Dialect;

/// What is done with a response that was given before.
pub const STORED_RESPONSE: &str = "stored_response";

/// What is done: three dialects are ways to chat.
#[must_use]
pub const fn operation_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat | Dialect::Responses | Dialect::Messages => "chat",
        Dialect::Embeddings => "embeddings",
        Dialect::CountTokens => "count_tokens",
    }
}

/// Whose answer it is.
#[must_use]
pub const fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::AzureOpenai => "azure.ai.openai",
        other => other.as_str(),
    }
}

impl UsageRecord {
    pub(super) fn operation_name(&self) -> &str {
        let dialects = [Dialect::Responses, Dialect::Messages];
        match dialects.into_iter().find(|dialect| dialect.as_str() == self.operation) {
            Some(dialect) => operation_name(dialect),
            None => &self.operation,
        }
    }

    pub(super) fn provider_name(&self) -> &str {
        let azure = Provider::AzureOpenai;
        if self.provider == azure.as_str() { provider_name(azure) } else { &self.provider }
    }

    /// Whether a model was asked, of which alone the conventions speak.
    pub(super) fn is_of_model(&self) -> bool {
        !matches!(&*self.operation, "rest" | STORED_RESPONSE)
    }
}
