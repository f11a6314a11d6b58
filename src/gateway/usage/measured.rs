//! What the ledger sees as metrics, under the names of the OpenTelemetry GenAI conventions.
//!
//! A label takes a bounded number of values: a caller who invents models or keys would otherwise fill the memory of
//! whoever collects. Further values are counted together, as `other`.

use super::{CacheUse, Outcome, UsageRecord};
use foldhash::quality::RandomState;
use metrics::{Counter, Histogram, Label, counter, histogram};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

pub(super) struct Measured {
    seen: Mutex<HashMap<String, HashSet<String>>>,
    most: usize,
    /// By a hash of what tells them apart: to find a metric by its labels costs more than to count.
    series: RwLock<HashMap<u64, Arc<Series>, RandomState>>,
    hashes: RandomState,
}

/// Combinations of labels whose metrics are kept at hand; others are looked up each time.
const AT_HAND: usize = 10_000;

/// The metrics of requests that are alike: each is registered when there is something to count.
struct Series {
    of: UsageRecord,
    labels: Vec<Label>,
    tokens: [OnceLock<Counter>; KINDS.len()],
    requests: [OnceLock<Counter>; OUTCOMES.len()],
    duration: OnceLock<Histogram>,
    first_token: OnceLock<Histogram>,
    each_token: OnceLock<Histogram>,
    cost: Money,
    saved: [Money; CACHES.len()],
}

/// A counter of millionths, to which thousand-millionths are added: many requests cost less than one millionth.
#[derive(Default)]
struct Money {
    counter: OnceLock<Counter>,
    nanos: AtomicU64,
}

/// The values of `gen_ai_token_type`.
const KINDS: [&str; 5] = ["input", "output", "input_cached", "output_reasoning", "saved"];
const CACHES: [CacheUse; 2] = [CacheUse::Exact, CacheUse::Semantic];
const OUTCOMES: [Outcome; 4] = [Outcome::Served, Outcome::Refused, Outcome::Cancelled, Outcome::Failed];

impl Measured {
    pub(super) fn new(most: usize) -> Self {
        Self { seen: Mutex::default(), most, series: RwLock::default(), hashes: RandomState::default() }
    }

    pub(super) fn measure(&self, record: &UsageRecord) {
        let series = self.series(record);
        let tokens = &record.tokens;
        let amounts = [tokens.input, tokens.output, tokens.cached_input, tokens.reasoning, record.saved];
        for ((kind, amount), counter) in KINDS.into_iter().zip(amounts).zip(&series.tokens) {
            if amount > 0 {
                let made = || {
                    let labels = series.labels_and(Label::from_static_parts("gen_ai_token_type", kind));
                    counter!("gen_ai_client_token_usage_total", labels)
                };
                counter.get_or_init(made).increment(amount);
            }
        }
        if let Some(place) = OUTCOMES.iter().position(|outcome| *outcome == record.outcome) {
            let made = || {
                let labels = series.labels_and(Label::from_static_parts("outcome", record.outcome.as_str()));
                counter!("wharfinger_gateway_requests_total", labels)
            };
            series.requests[place].get_or_init(made).increment(1);
        }
        let labels = &series.labels;
        if record.outcome != Outcome::Refused && record.is_of_model() {
            let made = || histogram!("gen_ai_server_request_duration_seconds", labels.clone());
            series.duration.get_or_init(made).record(record.latency_ms as f64 / 1e3);
        }
        if let Some(first) = record.first_token_ms {
            let made = || histogram!("gen_ai_server_time_to_first_token_seconds", labels.clone());
            series.first_token.get_or_init(made).record(first as f64 / 1e3);
            let rest = record.latency_ms.saturating_sub(first);
            if tokens.output > 1 {
                let each = rest as f64 / 1e3 / (tokens.output - 1) as f64;
                let made = || histogram!("gen_ai_server_time_per_output_token_seconds", labels.clone());
                series.each_token.get_or_init(made).record(each);
            }
        }
        if record.cost > 0 {
            series.cost.add(record.cost, || counter!("wharfinger_gateway_cost_micros_total", labels.clone()));
        }
        if let Some(place) = CACHES.iter().position(|cache| *cache == record.cache) {
            let of_cache = || series.labels_and(Label::from_static_parts("cache", record.cache.as_str()));
            counter!("wharfinger_gateway_cache_hits_total", of_cache()).increment(1);
            let made = || counter!("wharfinger_gateway_cache_saved_cost_micros_total", of_cache());
            series.saved[place].add(record.saved_cost, made);
        }
        if !record.refused_by.is_empty() {
            let policy = self.bounded("policy", &record.refused_by);
            let outcome = if record.outcome == Outcome::Refused { "refused" } else { "shadow" };
            counter!("wharfinger_gateway_policy_refusals_total", "policy" => policy, "outcome" => outcome).increment(1);
        }
    }

    /// The metrics of requests like this one.
    fn series(&self, record: &UsageRecord) -> Arc<Series> {
        let mut hash = self.hashes.build_hasher();
        telling(record).for_each(|text| {
            hash.write(text.as_bytes());
            hash.write_u8(0xff);
        });
        let hash = hash.finish();
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(series) = known.filter(|series| telling(&series.of).eq(telling(record))) {
            return series;
        }
        let series = Arc::new(Series::of(record, self.labels(record)));
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() < AT_HAND {
            all.insert(hash, series.clone());
        }
        series
    }

    fn labels(&self, record: &UsageRecord) -> Vec<Label> {
        let mut labels = vec![
            Label::new("gen_ai_operation_name", self.bounded("gen_ai_operation_name", record.operation_name())),
            Label::new("gen_ai_provider_name", self.bounded("gen_ai_provider_name", record.provider_name())),
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

impl Series {
    fn of(record: &UsageRecord, labels: Vec<Label>) -> Self {
        let of = UsageRecord {
            operation: record.operation.clone(),
            provider: record.provider.clone(),
            model: record.model.clone(),
            vendor_model: record.vendor_model.clone(),
            dimensions: record.dimensions.clone(),
            ..UsageRecord::new(record.at)
        };
        let (tokens, requests) = <(_, _)>::default();
        let (duration, first_token, each_token) = <(_, _, _)>::default();
        let (cost, saved) = <(_, _)>::default();
        Self { of, labels, tokens, requests, duration, first_token, each_token, cost, saved }
    }

    fn labels_and(&self, last: Label) -> Vec<Label> {
        self.labels.iter().cloned().chain([last]).collect()
    }
}

impl Money {
    fn add(&self, nanos: u64, made: impl FnOnce() -> Counter) {
        let before = self.nanos.fetch_add(nanos, Ordering::Relaxed);
        let micros = before.wrapping_add(nanos) / 1_000 - before / 1_000;
        self.counter.get_or_init(made).increment(micros);
    }
}

/// What tells the metrics of one request from those of another.
fn telling(record: &UsageRecord) -> impl Iterator<Item = &str> {
    let named = [&*record.operation, &*record.provider, &record.model, &record.vendor_model];
    named.into_iter().chain(record.dimensions.iter().flat_map(|(name, value)| [&**name, value]))
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

    /// What Prometheus is told of these records.
    fn told(records: &[UsageRecord]) -> String {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let measured = Measured::new(10);
        metrics::with_local_recorder(&recorder, || records.iter().for_each(|record| measured.measure(record)));
        recorder.handle().render()
    }

    fn record(operation: &str) -> UsageRecord {
        let at = time::macros::datetime!(2026-03-01 12:00 UTC);
        UsageRecord { operation: operation.to_owned().into(), latency_ms: 7, ..UsageRecord::new(at) }
    }

    fn value(told: &str, metric: &str) -> Option<u64> {
        let line = told.lines().find(|line| line.starts_with(metric))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    #[test]
    fn small_costs_add_up() {
        let small = UsageRecord { cost: 400, cache: CacheUse::Exact, saved_cost: 1_500, ..record("embeddings") };

        let told = told(&vec![small; 100]);

        assert_eq!(value(&told, "wharfinger_gateway_cost_micros_total{"), Some(40), "{told}");
        assert_eq!(value(&told, "wharfinger_gateway_cache_saved_cost_micros_total{"), Some(150), "{told}");
    }

    #[test]
    fn labels_are_the_conventions_words_and_durations_those_of_models() {
        let azure = UsageRecord { provider: "azure-openai".into(), ..record("responses") };
        let rest = UsageRecord { provider: "rest".into(), ..record("rest") };

        let told = told(&[azure, rest]);

        assert!(told.contains(r#"gen_ai_operation_name="chat",gen_ai_provider_name="azure.ai.openai""#), "{told}");
        assert_eq!(told.lines().filter(|line| line.starts_with("wharfinger_gateway_requests_total{")).count(), 2);
        let durations: Vec<_> = told.lines().filter(|line| line.contains("request_duration_seconds_count{")).collect();
        assert!(matches!(durations[..], [one] if one.contains("\"chat\"")), "{durations:?}");
    }

    #[test]
    fn label_names_are_legal() {
        assert_eq!([label_name("cost-center"), label_name("1st"), label_name("a b")], ["cost_center", "_1st", "a_b"]);
    }
}
