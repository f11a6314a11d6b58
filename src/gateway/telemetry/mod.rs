//! Spans and metrics of requests, under the names of the OpenTelemetry GenAI conventions, for a collector.
//!
//! A request that is traced carries a [`Trace`] from its begin; everything that is told of it is made when it is settled,
//! from its usage record and its attempts: a span for the request, and below it one for each backend that was asked. What
//! was said, by whom in which words, and the credentials on either side are in none of them.

mod instruments;
mod spans;
mod trace;

pub(in crate::gateway) use trace::TRACEPARENT;
pub use trace::Trace;

use super::exchange::{Asked, Exchange, Settlement};
use super::usage::{STORED_RESPONSE, UsageRecord, operation_name, provider_name};
use crate::base::Otlp;
use http::HeaderMap;
use instruments::Instruments;
use std::time::SystemTime;

/// What is told of requests, and to whom.
pub struct Telemetry {
    otlp: Otlp,
    instruments: Instruments,
    /// The part of the traces that are begun here, in `0.0..=1.0`.
    sampling: f64,
}

impl Telemetry {
    #[must_use]
    pub fn new(otlp: Otlp, sampling: f64) -> Self {
        Self { instruments: Instruments::of(&otlp.meter()), otlp, sampling }
    }

    /// The trace of a request that comes with these headers; nothing when its spans are not wanted.
    #[must_use]
    pub fn begin(&self, headers: &mut HeaderMap) -> Option<Box<Trace>> {
        Trace::begin(headers, self.sampling).map(Box::new)
    }

    /// Tells of an exchange that is settled now.
    pub(super) fn ended(&self, exchange: &Exchange, settlement: &Settlement, record: &UsageRecord) {
        let of_model = exchange.call().is_some();
        self.instruments.count((operation(&exchange.asked), of_model), provider(exchange), record, settlement);
        if let Some(trace) = &exchange.trace {
            for span in spans::of(trace, exchange, settlement, record, self.otlp.scope(), SystemTime::now()) {
                self.otlp.send(span);
            }
        }
    }

    /// Sends what waits; not on a thread of the runtime.
    pub fn close(&self) {
        self.otlp.close();
    }
}

/// What is done, in the conventions' words.
fn operation(asked: &Asked) -> &'static str {
    match asked {
        Asked::Model(call) => operation_name(call.dialect),
        Asked::Rest { .. } => "rest",
        Asked::Stored(_) => STORED_RESPONSE,
    }
}

/// Whose answer it is, in the conventions' words; empty of one that no backend gave.
fn provider(exchange: &Exchange) -> &'static str {
    exchange.reply.backend.as_ref().map_or("", |backend| provider_name(backend.settings.provider))
}
