//! Answers that are given again, by the semantic cache.

use super::facts::CallFacts;
use super::limited::charged;
use super::{Admission, Answer, Held, Later, Policy, Services};
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::cache::{Found, Question, Stored};
use crate::gateway::exchange::{Ending, Exchange, HeaderChange, Settlement};
use crate::gateway::limit::{Facts, Whose, rendered};
use crate::gateway::settings::{SemanticCache, Share};
use crate::wire::call::Dialect;
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

/// Longest answer that is kept.
const LONGEST: usize = 1 << 20;
const HIT: HeaderName = HeaderName::from_static("x-wharfinger-cache");
const SIMILARITY: HeaderName = HeaderName::from_static("x-wharfinger-cache-similarity");

pub struct Cached {
    pub(super) policy: Arc<Settings>,
    pub(super) settings: SemanticCache,
    pub(super) services: Services,
}

impl Cached {
    /// All that answers must not be shared across, beside what the request itself says.
    fn question(&self, exchange: &Exchange) -> Option<Question> {
        let call = exchange.call().filter(|call| call.dialect != Dialect::CountTokens && !call.background)?;
        let facts = CallFacts::of(exchange);
        let sharers = match self.settings.share {
            // Names may be given twice; an identity is its own.
            Share::Key => exchange.caller.stable_id(),
            Share::Workspace => match facts.workspace_id() {
                Some(id) => id.to_string(),
                None => exchange.caller.stable_id(),
            },
            Share::Route => String::new(),
        };
        let (policy, route) = (self.policy.id.to_string(), exchange.route.id.to_string());
        let varied = self.settings.vary_by.iter().map(|template| {
            let Whose { key, user } = facts.whose(template);
            format!("{} {key:x} {user:x}", rendered(template, &facts))
        });
        let varied: Vec<String> = varied.collect();
        let mut whose = vec![&*policy, &*route, call.dialect.as_str(), &*call.model, &*sharers];
        whose.extend(varied.iter().map(String::as_str));
        // What others looked at was not looked at for this caller.
        let screened_by = exchange.screened_by();
        whose.extend(screened_by.iter().map(String::as_str));
        let question = Question::of(&whose, &exchange.body, self.settings.max_messages).ok()?;
        // The vector of another text is another vector, however near their meanings are.
        Some(if call.dialect == Dialect::Embeddings { question.only_exact() } else { question })
    }
}

impl Policy for Cached {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        // What a policy hid from the backend is put back into the answer, which is then one about this caller's data.
        if !exchange.filters.is_empty() {
            return Ok(Admission::Continue);
        }
        let (reads, keeps) = wishes(&exchange.headers);
        let Some(question) = self.question(exchange) else { return Ok(Admission::Continue) };
        let now = self.services.clock.monotonic();
        let found = match reads && !self.policy.settings.shadow {
            true => self.services.cache.find(&question, self.settings.threshold, now).await,
            false => None,
        };
        if let Some(found) = found {
            let answer = again(&found);
            exchange.held.push(Held::Hit(found));
            return Ok(Admission::Answer(answer));
        }
        exchange.answer_headers.push(HeaderChange::Set(HIT, HeaderValue::from_static("miss")));
        if keeps {
            exchange.keep_reply = exchange.keep_reply.max(LONGEST);
            exchange.held.push(Held::Asked { policy: self.policy.id, question: Box::new(question) });
        }
        Ok(Admission::Continue)
    }

    fn settle(&self, exchange: &mut Exchange, settlement: &Settlement) -> Option<Later> {
        let mine = |held: &Held| matches!(held, Held::Asked { policy, .. } if *policy == self.policy.id);
        let at = exchange.held.iter().position(mine)?;
        let Held::Asked { question, .. } = exchange.held.swap_remove(at) else { return None };
        let is_whole = settlement.ending == Ending::Served
            && exchange.reply.is_complete
            && exchange.reply.status == Some(StatusCode::OK)
            && !exchange.reply.kept.is_empty();
        if !is_whole {
            return None;
        }
        let facts = CallFacts::of(exchange);
        let stored = Stored {
            content_type: exchange.reply.content_type.clone(),
            pieces: exchange.reply.kept.clone(),
            is_stream: exchange.is_stream(),
            vendor_model: exchange.reply.vendor_model.clone(),
            backend: exchange.reply.backend.as_ref().map(|backend| backend.name.clone()).unwrap_or_default(),
            input: settlement.usage.input,
            output: settlement.usage.output,
            cost: charged(exchange, settlement),
            route: exchange.route.name.clone(),
            asset: facts.asset().unwrap_or_default().to_owned(),
            key: facts.key().unwrap_or_default().to_owned(),
        };
        let (ttl, now) = (Duration::from(self.settings.ttl), self.services.clock.monotonic());
        let cache = self.services.cache.clone();
        Some(async move { cache.keep(*question, stored, ttl, now).await }.boxed())
    }
}

/// Whether the client lets the cache answer, and keep (RFC 9111, 5.2.1: `no-cache`, `no-store`).
fn wishes(headers: &HeaderMap) -> (bool, bool) {
    let has = |directive: &str| {
        let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(directive))
    };
    let stores = !has("no-store");
    (stores && !has("no-cache"), stores)
}

fn again(found: &Found) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = &found.stored.content_type {
        headers.insert(header::CONTENT_TYPE, content_type.clone());
    }
    headers.insert(HIT, HeaderValue::from_static(if found.is_exact { "exact" } else { "semantic" }));
    let similarity = format!("{:.3}", found.similarity);
    headers.insert(SIMILARITY, HeaderValue::try_from(similarity).expect("digits are a header's value"));
    headers.insert(header::AGE, found.age.as_secs().into());
    Answer { status: StatusCode::OK, headers, pieces: found.stored.pieces.clone() }
}
