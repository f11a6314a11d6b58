//! The metrics of the conventions, as OTLP has them; Prometheus' are in [`crate::gateway::usage`].

use super::spans::error_type;
use crate::gateway::exchange::{Settlement, UsageSource};
use crate::gateway::usage::{Outcome, UsageRecord};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

/// The bounds that the conventions advise.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TO_FIRST: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const EACH: [f64; 12] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0];

pub(super) struct Instruments {
    tokens: Histogram<u64>,
    duration: Histogram<f64>,
    first_token: Histogram<f64>,
    each_token: Histogram<f64>,
    cost: Counter<f64>,
    saved: Counter<u64>,
}

impl Instruments {
    pub(super) fn of(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str, bounds: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_description(what).with_boundaries(bounds.to_vec()).build()
        };
        Self {
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of a request")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            duration: seconds("gen_ai.server.request.duration", "From a request to the end of its answer", &SECONDS),
            first_token: seconds("gen_ai.server.time_to_first_token", "From a request to its first token", &TO_FIRST),
            each_token: seconds("gen_ai.server.time_per_output_token", "From one token to the next", &EACH),
            cost: meter
                .f64_counter("wharfinger.gateway.cost")
                .with_description("What requests cost, in the unit of the prices")
                .build(),
            saved: meter
                .u64_counter("wharfinger.gateway.cache.saved")
                .with_unit("{token}")
                .with_description("Tokens that answers of the cache did not use")
                .build(),
        }
    }

    /// Counts a request that is settled.
    pub(super) fn count(
        &self,
        (operation, of_model): (&'static str, bool),
        provider: &'static str,
        record: &UsageRecord,
        settlement: &Settlement,
    ) {
        let mut labels = Vec::with_capacity(6 + record.dimensions.len());
        labels.push(KeyValue::new("gen_ai.operation.name", operation));
        for (name, value) in [("gen_ai.request.model", &record.model), ("gen_ai.response.model", &record.vendor_model)]
        {
            if !value.is_empty() {
                labels.push(KeyValue::new(name, value.clone()));
            }
        }
        if !provider.is_empty() {
            labels.push(KeyValue::new("gen_ai.provider.name", provider));
        }
        for (name, value) in &record.dimensions {
            labels.push(KeyValue::new(name.clone(), value.clone()));
        }

        if settlement.source != UsageSource::Nothing {
            for (kind, tokens) in [("input", record.tokens.input), ("output", record.tokens.output)] {
                labels.push(KeyValue::new("gen_ai.token.type", kind));
                self.tokens.record(tokens, &labels);
                labels.pop();
            }
        }
        if let Some(first) = record.first_token_ms {
            self.first_token.record(first as f64 / 1e3, &labels);
            if record.tokens.output > 1 {
                let rest = settlement.took.as_secs_f64() - first as f64 / 1e3;
                self.each_token.record(rest.max(0.0) / (record.tokens.output - 1) as f64, &labels);
            }
        }
        if record.cost > 0 {
            self.cost.add(record.cost as f64 / 1e9, &labels);
        }
        if record.saved > 0 {
            self.saved.add(record.saved, &labels);
        }
        if let Some(error) = error_type(settlement.ending, record.status) {
            labels.push(KeyValue::new("error.type", error));
        }
        // What is refused at the door, or is no model's, took no time that would say anything of a model.
        if record.outcome != Outcome::Refused && of_model {
            self.duration.record(settlement.took.as_secs_f64(), &labels);
        }
    }
}
