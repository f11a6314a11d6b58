//! `Sums`: what records add to the tables of sums. Pure.

mod key;

use super::latency::bucket;
use super::{CacheUse, Outcome, STORED_RESPONSE, UsageRecord};
use hashbrown::HashMap;
use key::{Key, KeyOf};
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// What some records add; records are added in the path of requests, so that those that are alike cost no memory.
#[derive(Debug, Default)]
pub(super) struct Sums {
    minutes: HashMap<Key, Minute>,
    /// By counter and the start of its period.
    counters: HashMap<String, Vec<(OffsetDateTime, u64)>>,
}

#[derive(Debug, Default)]
struct Minute {
    added: Added,
    /// How many served requests fell into which bucket.
    latencies: Vec<(i32, u64)>,
}

/// The rows of the tables, each table's in the order of its keys: replicas that write at once may wait for each other, and
/// never in a circle.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows<'a> {
    pub rollups: Vec<Rollup<'a>>,
    pub latencies: Vec<Latency<'a>>,
    pub counters: Vec<Counter<'a>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Added {
    requests: u64,
    refused: u64,
    cancelled: u64,
    failed: u64,
    cached: u64,
    attempts: u64,
    input: u64,
    cached_input: u64,
    output: u64,
    reasoning: u64,
    saved: u64,
    cost: u64,
    saved_cost: u64,
    latency_ms: u64,
    first_token_ms: u64,
    first_tokens: u64,
}

/// A row of `usage_rollup`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Rollup<'a> {
    period: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    start_at: OffsetDateTime,
    #[serde(flatten)]
    key: KeyOf<'a>,
    #[serde(flatten)]
    added: Added,
}

/// A row of `usage_latency`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Latency<'a> {
    #[serde(with = "time::serde::rfc3339")]
    start_at: OffsetDateTime,
    workspace_id: Uuid,
    model: &'a str,
    bucket: i32,
    requests: u64,
}

/// A row of `usage_counter`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Counter<'a> {
    counter_key: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    period_start: OffsetDateTime,
    used: u64,
}

impl Sums {
    pub(super) fn add(&mut self, record: &UsageRecord) {
        let key = KeyOf::of(record);
        let minute = match self.minutes.get_mut(&key) {
            Some(minute) => minute,
            None => self.minutes.entry(Key::from(key)).or_default(),
        };
        minute.added.record(record);
        // How fast a model is, what it answered before does not tell.
        if record.outcome == Outcome::Served && record.operation != STORED_RESPONSE {
            minute.count(bucket(record.latency_ms), 1);
        }
        for quota in &record.quotas {
            self.count(&quota.key, quota.start, quota.amount);
        }
    }

    /// Adds what other records add.
    pub(super) fn join(&mut self, other: Self) {
        for (key, more) in other.minutes {
            let minute = self.minutes.entry(key).or_default();
            minute.added.add(&more.added);
            more.latencies.into_iter().for_each(|(bucket, requests)| minute.count(bucket, requests));
        }
        for (key, periods) in other.counters {
            periods.into_iter().for_each(|(start, used)| self.count(&key, start, used));
        }
    }

    fn count(&mut self, key: &str, start: OffsetDateTime, amount: u64) {
        let periods = self.counters.entry_ref(key).or_default();
        match periods.iter_mut().find(|(known, _)| *known == start) {
            Some((_, used)) => *used = used.saturating_add(amount),
            None => periods.push((start, amount)),
        }
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        let mut rollups = BTreeMap::<(&str, KeyOf<'_>), Added>::new();
        let mut latencies = BTreeMap::<_, u64>::new();
        for (key, minute) in &self.minutes {
            let key = key.as_of();
            for (period, minutes) in PERIODS {
                rollups.entry((period, key.at_start_of(minutes))).or_default().add(&minute.added);
            }
            let hour = key.at_start_of(HOUR).start_at();
            for (bucket, requests) in &minute.latencies {
                *latencies.entry((hour, key.workspace_id, key.model, *bucket)).or_default() += requests;
            }
        }
        let counters = self.counters.iter();
        let counters = counters.flat_map(|(key, periods)| {
            periods.iter().map(|&(period_start, used)| Counter { counter_key: key, period_start, used })
        });
        let mut counters: Vec<_> = counters.collect();
        counters.sort_unstable_by_key(|row| (row.counter_key, row.period_start));
        Rows {
            rollups: rollups
                .into_iter()
                .map(|((period, key), added)| Rollup { period, start_at: key.start_at(), key, added })
                .collect(),
            latencies: latencies
                .into_iter()
                .map(|((start_at, workspace_id, model, bucket), requests)| Latency {
                    start_at,
                    workspace_id,
                    model,
                    bucket,
                    requests,
                })
                .collect(),
            counters,
        }
    }
}

/// What is summed up together, and its minutes.
const PERIODS: [(&str, i64); 3] = [("minute", 1), ("hour", HOUR), ("day", 24 * HOUR)];
const HOUR: i64 = 60;

impl Minute {
    fn count(&mut self, bucket: i32, requests: u64) {
        match self.latencies.iter_mut().find(|(known, _)| *known == bucket) {
            Some((_, all)) => *all += requests,
            None => self.latencies.push((bucket, requests)),
        }
    }
}

impl Added {
    fn record(&mut self, record: &UsageRecord) {
        self.add(&Self {
            requests: 1,
            refused: u64::from(record.outcome == Outcome::Refused),
            cancelled: u64::from(record.outcome == Outcome::Cancelled),
            failed: u64::from(record.outcome == Outcome::Failed),
            cached: u64::from(record.cache != CacheUse::None),
            attempts: record.attempts.into(),
            input: record.tokens.input,
            cached_input: record.tokens.cached_input,
            output: record.tokens.output,
            reasoning: record.tokens.reasoning,
            saved: record.saved,
            cost: record.cost,
            saved_cost: record.saved_cost,
            latency_ms: record.latency_ms,
            first_token_ms: record.first_token_ms.unwrap_or(0),
            first_tokens: u64::from(record.first_token_ms.is_some()),
        });
    }

    fn add(&mut self, other: &Self) {
        let Self {
            requests,
            refused,
            cancelled,
            failed,
            cached,
            attempts,
            input,
            cached_input,
            output,
            reasoning,
            saved,
            cost,
            saved_cost,
            latency_ms,
            first_token_ms,
            first_tokens,
        } = self;
        for (sum, more) in [
            (requests, other.requests),
            (refused, other.refused),
            (cancelled, other.cancelled),
            (failed, other.failed),
            (cached, other.cached),
            (attempts, other.attempts),
            (input, other.input),
            (cached_input, other.cached_input),
            (output, other.output),
            (reasoning, other.reasoning),
            (saved, other.saved),
            (cost, other.cost),
            (saved_cost, other.saved_cost),
            (latency_ms, other.latency_ms),
            (first_token_ms, other.first_token_ms),
            (first_tokens, other.first_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::usage::{QuotaLine, Tokens};
    use time::macros::datetime;

    /// Added one by one, and in two parts that are joined.
    fn of(records: &[UsageRecord]) -> Sums {
        let added = |records: &[UsageRecord]| {
            let mut sums = Sums::default();
            records.iter().for_each(|record| sums.add(record));
            sums
        };
        let (first, second) = records.split_at(records.len() / 2);
        let mut joined = added(first);
        joined.join(added(second));
        assert_eq!(joined.rows(), added(records).rows());
        joined
    }

    fn record(at: OffsetDateTime, key: &str, input: u64) -> UsageRecord {
        UsageRecord {
            key_name: key.to_owned(),
            tokens: Tokens { input, ..Tokens::default() },
            latency_ms: 7,
            ..UsageRecord::new(at)
        }
    }

    #[test]
    fn records_are_summed_by_minute_hour_and_day_of_utc() {
        let (first, second) = (datetime!(2026-03-01 23:59:59.9 UTC), datetime!(2026-03-02 01:00:01 +1));
        let records = [record(first, "a", 3), record(second, "a", 4), record(first, "b", 5)];
        let sums = of(&records);

        let told: Vec<_> = sums
            .rows()
            .rollups
            .iter()
            .map(|row| (row.period, row.start_at.unix_timestamp() % 86_400 / 60, row.key.key_name, row.added.input))
            .collect();
        let last = 23 * 60 + 59;
        assert_eq!(
            told,
            [
                ("day", 0, "a", 3),
                ("day", 0, "b", 5),
                ("day", 0, "a", 4),
                ("hour", 23 * 60, "a", 3),
                ("hour", 23 * 60, "b", 5),
                ("hour", 0, "a", 4),
                ("minute", last, "a", 3),
                ("minute", last, "b", 5),
                ("minute", 0, "a", 4),
            ]
        );
        assert_eq!(
            sums.rows().latencies.iter().map(|row| (row.bucket, row.requests)).collect::<Vec<_>>(),
            [(24, 2), (24, 1)]
        );
    }

    #[test]
    fn what_became_of_a_request_is_counted() {
        let at = datetime!(2026-03-01 12:00 UTC);
        let outcomes = [Outcome::Served, Outcome::Refused, Outcome::Cancelled, Outcome::Failed, Outcome::Failed];
        let mut records: Vec<_> =
            outcomes.into_iter().map(|outcome| UsageRecord { outcome, ..record(at, "a", u64::MAX) }).collect();
        records[0].cache = CacheUse::Exact;
        records[0].first_token_ms = Some(40);

        let sums = of(&records);

        let added = sums.rows().rollups[0].added;
        assert_eq!((added.requests, added.refused, added.cancelled, added.failed, added.cached), (5, 1, 1, 2, 1));
        assert_eq!((added.first_token_ms, added.first_tokens, added.input), (40, 1, u64::MAX));
        assert_eq!(sums.rows().latencies.len(), 1, "of those that were served");
    }

    #[test]
    fn quotas_are_summed_by_counter_and_period() {
        let at = datetime!(2026-03-01 12:00 UTC);
        let line = |key: &str, amount| QuotaLine { key: key.to_owned(), start: at, amount };
        let mut records = [record(at, "a", 1), record(at, "b", 1)];
        records[0].quotas = vec![line("y", 1), line("x", 2)];
        records[1].quotas = vec![line("x", 3)];

        let sums = of(&records);
        let told: Vec<_> = sums.rows().counters.into_iter().map(|row| (row.counter_key, row.used)).collect();
        assert_eq!(told, [("x", 5), ("y", 1)]);
    }
}
