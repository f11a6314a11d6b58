//! Prompts and answers that are kept for a while, redacted, where a route's policy says so.

use super::facts::CallFacts;
use super::{Admission, Policy, Services};
use crate::base::Problem;
use crate::gateway::exchange::{Exchange, Settlement};
use crate::gateway::limit::Facts;
use crate::gateway::masking::Masker;
use crate::gateway::settings::PromptLog;
use crate::gateway::usage::PromptRecord;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Longest answer that is looked at; what is kept of it is less.
const LONGEST: usize = 1 << 20;

pub struct Logged {
    pub(super) settings: PromptLog,
    pub(super) services: Services,
    pub(super) masker: Masker,
}

impl Logged {
    /// Of a hundred requests, so many: by their id, so that it is the same at both ends of a request.
    fn chooses(&self, id: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish() % 100 < u64::from(self.settings.percentage)
    }

    fn redacted(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let text = self.masker.session().hide(&text).unwrap_or_else(|| text.into_owned());
        let most = usize::try_from(self.settings.max_bytes).unwrap_or(usize::MAX).min(text.len());
        text[..text.floor_char_boundary(most)].replace('\0', "")
    }
}

impl Policy for Logged {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        if self.settings.responses && self.chooses(&exchange.id) {
            exchange.keep_reply = exchange.keep_reply.max(LONGEST);
        }
        Ok(Admission::Continue)
    }

    async fn settle(&self, exchange: &mut Exchange, settlement: &Settlement) {
        let Some(ledger) = self.services.ledger.as_ref().filter(|_| self.chooses(&exchange.id)) else { return };
        let at = exchange.at + settlement.took;
        let prompt = self.settings.requests.then(|| self.redacted(&exchange.body));
        let answer = self.settings.responses.then(|| self.redacted(&exchange.reply.kept.concat()));
        let facts = CallFacts::of(exchange);
        ledger.keep_prompt(PromptRecord {
            at,
            request_id: exchange.id.to_string(),
            workspace_id: facts.workspace_id(),
            key_name: facts.key().unwrap_or_default().to_owned(),
            route: exchange.route.name.clone(),
            model: exchange.model().to_owned(),
            prompt,
            answer,
            expires_at: at + Duration::from(self.settings.retention),
        });
    }
}
