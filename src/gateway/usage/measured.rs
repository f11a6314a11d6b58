//! What the ledger sees as metrics, under the names of the OpenTelemetry GenAI conventions.
//!
//! A label takes a bounded number of values: a caller who invents models or keys would otherwise fill the memory of
//! whoever collects. Further values are counted together, as `other`.

use super::{CacheUse, Outcome, UsageRecord};
use metrics::{Label, counter, histogram};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

pub(super) struct Measured {
    seen: Mutex<HashMap<String, HashSet<String>>>,
    most: usize,
}

impl Measured {
    pub(super) fn new(most: usize) -> Self {
        Self { seen: Mutex::default(), most }
    }

    pub(super) fn measure(&self, record: &UsageRecord) {
        let labels = self.labels(record);
        let by_type = |kind: &'static str, tokens: u64| {
            if tokens > 0 {
                let mut labels = labels.clone();
                labels.push(Label::from_static_parts("gen_ai_token_type", kind));
                counter!("gen_ai_client_token_usage_total", labels).increment(tokens);
            }
        };
        let tokens = &record.tokens;
        by_type("input", tokens.input);
        by_type("output", tokens.output);
        by_type("input_cached", tokens.cached_input);
        by_type("output_reasoning", tokens.reasoning);
        by_type("saved", record.saved);

        let mut of_request = labels.clone();
        of_request.push(Label::from_static_parts("outcome", record.outcome.as_str()));
        counter!("wharfinger_gateway_requests_total", of_request).increment(1);
        if record.outcome != Outcome::Refused {
            histogram!("gen_ai_server_request_duration_seconds", labels.clone()).record(record.latency_ms as f64 / 1e3);
        }
        if let Some(first) = record.first_token_ms {
            histogram!("gen_ai_server_time_to_first_token_seconds", labels.clone()).record(first as f64 / 1e3);
            let rest = record.latency_ms.saturating_sub(first);
            if tokens.output > 1 {
                let each = rest as f64 / 1e3 / (tokens.output - 1) as f64;
                histogram!("gen_ai_server_time_per_output_token_seconds", labels.clone()).record(each);
            }
        }
        if record.cost > 0 {
            counter!("wharfinger_gateway_cost_micros_total", labels.clone()).increment(record.cost / 1_000);
        }
        if record.cache != CacheUse::None {
            let mut of_cache = labels;
            of_cache.push(Label::from_static_parts("cache", record.cache.as_str()));
            counter!("wharfinger_gateway_cache_hits_total", of_cache.clone()).increment(1);
            counter!("wharfinger_gateway_cache_saved_cost_micros_total", of_cache).increment(record.saved_cost / 1_000);
        }
        if !record.refused_by.is_empty() {
            let policy = self.bounded("policy", &record.refused_by);
            let outcome = if record.outcome == Outcome::Refused { "refused" } else { "shadow" };
            counter!("wharfinger_gateway_policy_refusals_total", "policy" => policy, "outcome" => outcome).increment(1);
        }
    }

    fn labels(&self, record: &UsageRecord) -> Vec<Label> {
        let mut labels = vec![
            Label::new("gen_ai_operation_name", self.bounded("gen_ai_operation_name", &record.operation)),
            Label::new("gen_ai_provider_name", self.bounded("gen_ai_provider_name", &record.provider)),
            Label::new("gen_ai_request_model", self.bounded("gen_ai_request_model", &record.model)),
            Label::new("gen_ai_response_model", self.bounded("gen_ai_response_model", &record.vendor_model)),
        ];
        for (name, value) in &record.dimensions {
            labels.push(Label::new(label_name(name), self.bounded(name, value)));
        }
        labels
    }

    fn bounded(&self, label: &str, value: &str) -> String {
        let mut seen = self.seen.lock().expect("no holder of this lock can panic");
        let values = match seen.get_mut(label) {
            Some(values) => values,
            None => seen.entry(label.to_owned()).or_default(),
        };
        if values.contains(value) {
            return value.to_owned();
        }
        if values.len() >= self.most {
            return "other".to_owned();
        }
        values.insert(value.to_owned());
        value.to_owned()
    }
}

/// Prometheus' rule for label names.
fn label_name(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(keep).collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_takes_only_so_many_values() {
        let measured = Measured::new(2);

        let given: Vec<String> = ["a", "b", "c", "a", "d"].map(|value| measured.bounded("model", value)).into();

        assert_eq!(given, ["a", "b", "other", "a", "other"]);
        assert_eq!(measured.bounded("key", "c"), "c");
    }

    #[test]
    fn label_names_are_legal() {
        assert_eq!([label_name("cost-center"), label_name("1st"), label_name("a b")], ["cost_center", "_1st", "a_b"]);
    }
}
