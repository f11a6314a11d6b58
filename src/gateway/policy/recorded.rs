//! The usage record of an exchange, and what is learned from it.

use super::facts::CallFacts;
use super::limited::charged;
use super::{Held, Services};
use crate::gateway::exchange::{Asked, Ending, Exchange, Settlement, UsageSource};
use crate::gateway::limit::Facts;
use crate::gateway::usage::{CacheUse, Outcome, STORED_RESPONSE, Source, UsageRecord};

/// Writes the record of an exchange that is settled, tells it to who asked for it, and learns how long prompts and replies
/// are.
pub(super) fn record(exchange: &mut Exchange, settlement: &Settlement, services: &Services) {
    let witness = exchange.witness.take();
    let exchange = &*exchange;
    let facts = CallFacts::of(exchange);
    let is_known = matches!(settlement.source, UsageSource::Reported | UsageSource::Counted);
    if let Some(call) = exchange.call().filter(|_| settlement.ending == Ending::Served && is_known) {
        let each = settlement.usage.output / u64::from(call.choices.max(1));
        services.allowances.learn(facts.caller_id(), &call.model, each);
    }
    if settlement.source == UsageSource::Reported
        && let (Some(call), Some(counted), Some(backend)) =
            (exchange.call(), exchange.prompt_tokens, &exchange.reply.backend)
    {
        services.corrections.learn(backend.id, &call.model, counted, settlement.usage.input);
    }
    if services.ledger.is_none() && services.telemetry.is_none() && witness.is_none() {
        return;
    }

    let hit = exchange.held.iter().find_map(|held| match held {
        Held::Hit(found) => Some(found),
        _ => None,
    });
    let mut record = UsageRecord {
        request_id: exchange.id.to_string(),
        workspace_id: facts.workspace_id(),
        key_id: facts.key_id(),
        key_name: facts.key().unwrap_or_default().to_owned(),
        user_name: facts.person().unwrap_or_default().to_owned(),
        route: exchange.route.name.clone(),
        asset: facts.asset().unwrap_or_default().to_owned(),
        operation: match &exchange.asked {
            Asked::Model(call) => call.dialect.as_str(),
            Asked::Rest { .. } => "rest",
            Asked::Stored(_) => STORED_RESPONSE,
        }
        .into(),
        model: exchange.model().to_owned(),
        vendor_model: exchange.reply.vendor_model.clone(),
        tokens: settlement.usage.into(),
        cost: charged(exchange, settlement),
        latency_ms: millis(settlement.took),
        first_token_ms: exchange.is_stream().then_some(exchange.reply.first_byte).flatten().map(millis),
        attempts: u32::try_from(exchange.attempts.len()).unwrap_or(u32::MAX),
        status: exchange.reply.status.map_or(0, |status| status.as_u16()),
        stream: exchange.is_stream(),
        outcome: match settlement.ending {
            Ending::Served | Ending::Answered => Outcome::Served,
            Ending::Refused => Outcome::Refused,
            Ending::ClientLeft => Outcome::Cancelled,
            Ending::Failed | Ending::Stopped => Outcome::Failed,
        },
        refused_by: exchange.refused_by.as_deref().unwrap_or_default().to_owned(),
        source: match settlement.source {
            UsageSource::Reported => Source::Reported,
            UsageSource::Counted => Source::Counted,
            UsageSource::Estimated => Source::Estimated,
            UsageSource::Nothing => Source::None,
        },
        ..UsageRecord::new(services.clock.now())
    };
    if let Some(backend) = exchange.backend() {
        record.backend = backend.name.clone();
        record.provider = backend.settings.provider.as_str().into();
    }
    if let Some(found) = hit {
        record.cache = if found.is_exact { CacheUse::Exact } else { CacheUse::Semantic };
        record.saved = found.stored.input.saturating_add(found.stored.output);
        record.saved_cost = found.stored.cost;
        record.vendor_model = found.stored.vendor_model.clone();
        record.backend = found.stored.backend.clone();
    }
    for held in &exchange.held {
        match held {
            Held::Quotas(quotas) => record.add_quotas(quotas.clone()),
            Held::Dimensions(dimensions) => record.dimensions.extend(dimensions.clone()),
            _ => {}
        }
    }
    if let Some(telemetry) = &services.telemetry {
        telemetry.ended(exchange, settlement, &record);
    }
    if let Some(witness) = witness {
        witness.tell(exchange, record.clone(), &services.limits);
    }
    if let Some(ledger) = &services.ledger {
        ledger.record(record);
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
