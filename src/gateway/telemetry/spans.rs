//! The spans of an exchange: its own, and one for each backend that was asked.

use super::operation;
use super::trace::Trace;
use crate::gateway::exchange::{Attempt, AttemptResult, Ending, Exchange, Settlement, UsageSource};
use crate::gateway::usage::{UsageRecord, provider_name};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::time::{Instant, SystemTime};

/// The spans of an exchange that ends `now`.
pub(super) fn of(
    trace: &Trace,
    exchange: &Exchange,
    settlement: &Settlement,
    record: &UsageRecord,
    scope: &InstrumentationScope,
    now: SystemTime,
) -> Vec<SpanData> {
    let instant = Instant::now();
    let at = |moment: Instant| now - instant.saturating_duration_since(moment);
    let span = |(span_context, parent_span_id): (SpanContext, SpanId), of_us: bool| SpanData {
        span_context,
        parent_span_id,
        parent_span_is_remote: of_us && parent_span_id != SpanId::INVALID,
        span_kind: if of_us { SpanKind::Server } else { SpanKind::Client },
        name: operation(&exchange.asked).into(),
        start_time: now,
        end_time: now,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    };

    let mut spans = Vec::with_capacity(exchange.attempts.len() + 1);
    let own = SpanData { start_time: at(exchange.begun), ..span(trace.own(), true) };
    spans.push(named(of_request(own, exchange, settlement, record), exchange.model()));
    for (place, attempt) in exchange.attempts.iter().enumerate() {
        let serves = place + 1 == exchange.attempts.len() && exchange.reply.backend.is_some();
        let start_time = at(attempt.begun);
        // One that was given up is over when all is.
        let is_open = serves || attempt.result == AttemptResult::GivenUp;
        let end_time = if is_open { now } else { start_time + attempt.took };
        let one = SpanData { start_time, end_time, ..span(trace.attempt(attempt.backend.id), false) };
        let asked = vendor_model(exchange, attempt);
        spans.push(named(of_attempt(one, exchange, attempt, settlement, serves, &asked), &asked));
    }
    spans
}

/// `chat gpt-4o`, as the conventions name spans.
fn named(mut span: SpanData, model: &str) -> SpanData {
    if !model.is_empty() {
        span.name = format!("{} {model}", span.name).into();
    }
    span
}

fn vendor_model(exchange: &Exchange, attempt: &Attempt) -> String {
    let settings = &attempt.backend.settings;
    settings.vendor_model(exchange.model()).unwrap_or(exchange.model()).to_owned()
}

fn of_request(mut span: SpanData, exchange: &Exchange, settlement: &Settlement, record: &UsageRecord) -> SpanData {
    let attributes = &mut span.attributes;
    attributes.push(KeyValue::new("gen_ai.operation.name", operation(&exchange.asked)));
    for (name, value) in [
        ("gen_ai.provider.name", super::provider(exchange)),
        ("gen_ai.request.model", record.model.as_str()),
        ("gen_ai.response.model", record.vendor_model.as_str()),
        ("wharfinger.request.id", record.request_id.as_str()),
        ("wharfinger.route", record.route.as_str()),
        ("wharfinger.asset", record.asset.as_str()),
        ("wharfinger.key", record.key_name.as_str()),
        ("wharfinger.backend", record.backend.as_str()),
        ("wharfinger.cache", record.cache.as_str()),
        ("wharfinger.refused_by", record.refused_by.as_str()),
        ("wharfinger.usage.source", record.source.as_str()),
        ("wharfinger.outcome", record.outcome.as_str()),
    ] {
        if !value.is_empty() {
            attributes.push(KeyValue::new(name, value.to_owned()));
        }
    }
    attributes.push(KeyValue::new("http.response.status_code", i64::from(record.status)));
    attributes.push(KeyValue::new("wharfinger.attempts", i64::from(record.attempts)));
    attributes.extend(usage(settlement));
    attributes.extend(finish_reasons(exchange));
    for (name, value) in &record.dimensions {
        attributes.push(KeyValue::new(name.clone(), value.clone()));
    }
    if let Some(error) = error_type(settlement.ending, record.status) {
        attributes.push(KeyValue::new("error.type", error));
        // A refusal is the caller's error and not the server's.
        if record.status >= 500 || settlement.ending == Ending::Failed {
            span.status = Status::error("");
        }
    }
    span
}

fn of_attempt(
    mut span: SpanData,
    exchange: &Exchange,
    attempt: &Attempt,
    settlement: &Settlement,
    serves: bool,
    asked: &str,
) -> SpanData {
    let backend = &attempt.backend;
    let attributes = &mut span.attributes;
    attributes.push(KeyValue::new("gen_ai.operation.name", operation(&exchange.asked)));
    attributes.push(KeyValue::new("gen_ai.provider.name", provider_name(backend.settings.provider)));
    if !asked.is_empty() {
        attributes.push(KeyValue::new("gen_ai.request.model", asked.to_owned()));
    }
    attributes.push(KeyValue::new("wharfinger.backend", backend.name.clone()));
    attributes.push(KeyValue::new("server.address", backend.url.host_str().unwrap_or_default().to_owned()));
    if let Some(port) = backend.url.port_or_known_default() {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    let error = match &attempt.result {
        AttemptResult::Answered(status) => {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            let is_bad = status.is_client_error() || status.is_server_error();
            is_bad.then(|| status.as_u16().to_string())
        }
        AttemptResult::TimedOut(_) => Some("timeout".to_owned()),
        AttemptResult::NotConnected(_) => Some("not_connected".to_owned()),
        AttemptResult::Untrusted(_) => Some("untrusted".to_owned()),
        AttemptResult::Broken(_) => Some("broken".to_owned()),
        AttemptResult::NoCredential(_) => Some("no_credential".to_owned()),
        AttemptResult::GivenUp => Some("cancelled".to_owned()),
    };
    let broke_later = || serves.then(|| error_type(settlement.ending, 0)).flatten();
    if let Some(error) = error.or_else(broke_later) {
        attributes.push(KeyValue::new("error.type", error));
        span.status = Status::error("");
    } else if serves {
        attributes.push(KeyValue::new("gen_ai.response.model", exchange.reply.vendor_model.clone()));
    }
    if serves {
        span.attributes.extend(usage(settlement));
        span.attributes.extend(finish_reasons(exchange));
    }
    span
}

/// Why the model stopped, where its vendor said so.
fn finish_reasons(exchange: &Exchange) -> Option<KeyValue> {
    let reasons: Vec<StringValue> = exchange.reply.finish_reasons.iter().copied().map(StringValue::from).collect();
    (!reasons.is_empty()).then(|| KeyValue::new("gen_ai.response.finish_reasons", Value::Array(reasons.into())))
}

/// Tokens, where some were used.
fn usage(settlement: &Settlement) -> Vec<KeyValue> {
    if settlement.source == UsageSource::Nothing {
        return Vec::new();
    }
    let usage = &settlement.usage;
    let number = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("gen_ai.usage.input_tokens", number(usage.input)),
        KeyValue::new("gen_ai.usage.output_tokens", number(usage.output)),
    ];
    if usage.cached_input > 0 {
        attributes.push(KeyValue::new("gen_ai.usage.cache_read.input_tokens", number(usage.cached_input)));
    }
    attributes
}

/// What went wrong; nothing when nothing did.
pub(super) fn error_type(ending: Ending, status: u16) -> Option<String> {
    match ending {
        Ending::ClientLeft => Some("cancelled".to_owned()),
        Ending::Stopped => Some("stopped".to_owned()),
        _ if status >= 400 => Some(status.to_string()),
        // It began well and broke off.
        Ending::Failed => Some("broken".to_owned()),
        Ending::Served | Ending::Answered | Ending::Refused => None,
    }
}
