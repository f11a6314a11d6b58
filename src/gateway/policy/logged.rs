//! Prompts and answers that are kept for a while, redacted, where a route's policy says so.

use super::facts::CallFacts;
use super::{Admission, Held, Later, Policy, Services};
use crate::base::{PolicyId, Problem};
use crate::gateway::exchange::{Asked, Exchange, Settlement};
use crate::gateway::limit::Facts;
use crate::gateway::masking::Masker;
use crate::gateway::settings::PromptLog;
use crate::gateway::usage::PromptRecord;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Longest answer that is looked at; what is kept of it is less.
const LONGEST: usize = 1 << 20;
/// What is looked at beyond the part that is kept: longer than what a mask hides, so that no half of it is kept.
const BEYOND: usize = 1 << 10;

pub struct Logged {
    pub(super) policy: PolicyId,
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
        redacted(&self.masker, bytes, usize::try_from(self.settings.max_bytes).unwrap_or(usize::MAX))
    }
}

/// The first `most` bytes, redacted. No more of a long text is looked at than that takes.
fn redacted(masker: &Masker, bytes: &[u8], most: usize) -> String {
    let looked_at = most.saturating_add(BEYOND).min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..looked_at]);
    let text = masker.session().hide(&text).unwrap_or_else(|| text.into_owned());
    // The cut may have left the first half of something, and what was hidden before it moved that towards the front.
    let beyond = if looked_at < bytes.len() { BEYOND } else { 0 };
    let kept = most.min(text.len().saturating_sub(beyond));
    text[..text.floor_char_boundary(kept)].replace('\0', "")
}

impl Policy for Logged {
    /// Takes the prompt now: who streams for long gives it up once the answer has begun.
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        // What is looked at again was kept when it was made.
        let is_new = !matches!(exchange.asked, Asked::Stored(_));
        if self.services.ledger.is_none() || !is_new || !self.chooses(&exchange.id) {
            return Ok(Admission::Continue);
        }
        if self.settings.responses {
            exchange.keep_reply = exchange.keep_reply.max(LONGEST);
        }
        let prompt = self.settings.requests.then(|| self.redacted(&exchange.body));
        exchange.held.push(Held::Prompt { policy: self.policy, prompt });
        Ok(Admission::Continue)
    }

    fn settle(&self, exchange: &mut Exchange, settlement: &Settlement) -> Option<Later> {
        let ledger = self.services.ledger.as_ref()?;
        let mine = |held: &Held| matches!(held, Held::Prompt { policy, .. } if *policy == self.policy);
        let at = exchange.held.iter().position(mine)?;
        let Held::Prompt { prompt, .. } = exchange.held.swap_remove(at) else { return None };
        let answer = self.settings.responses.then(|| self.redacted(&exchange.reply.kept.concat()));
        let at = exchange.at + settlement.took;
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
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_begin_and_never_half_of_what_is_hidden() {
        let masker = Masker::all();
        let text = "write to ann.b@example.org ".repeat(200);
        for most in 1..2_000 {
            let kept = redacted(&masker, text.as_bytes(), most);

            assert!(kept.len() <= most && !kept.contains("ann"), "{most}: {kept}");
        }
        assert_eq!(redacted(&masker, b"to ann.b@example.org, \0now", 100), "to [EMAIL_1], now");
        assert!(redacted(&masker, text.as_bytes(), 2_000).len() > 900);
    }
}
