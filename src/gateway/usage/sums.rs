//! `Sums`: what a batch of records adds to the tables of sums. Pure.

use super::latency::bucket;
use super::{CacheUse, Outcome, UsageRecord};
use serde::Serialize;
use std::collections::BTreeMap;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// What some records add, each table's rows in the order of their keys: replicas that write at once may wait for each other,
/// and never in a circle.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sums<'a> {
    pub rollups: Vec<Rollup<'a>>,
    pub latencies: Vec<Latency<'a>>,
    pub counters: Vec<Counter<'a>>,
}

/// A row of `usage_rollup`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Rollup<'a> {
    #[serde(flatten)]
    key: RollupKey<'a>,
    #[serde(flatten)]
    added: Added,
}

/// What records have in common that one row sums up. What a record does not have is the nil id or the empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct RollupKey<'a> {
    period: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    start_at: OffsetDateTime,
    workspace_id: Uuid,
    key_id: Uuid,
    key_name: &'a str,
    user_name: &'a str,
    route: &'a str,
    asset: &'a str,
    model: &'a str,
    backend: &'a str,
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

impl<'a> Sums<'a> {
    pub(super) fn of(records: impl IntoIterator<Item = &'a UsageRecord>) -> Self {
        let mut minutes = BTreeMap::<RollupKey<'a>, Added>::new();
        let mut latencies = BTreeMap::<_, u64>::new();
        let mut counters = BTreeMap::<_, u64>::new();
        for record in records {
            let added = minutes.entry(RollupKey::of(record)).or_default();
            added.record(record);
            if record.outcome == Outcome::Served {
                let key = (
                    utc(record.at).truncate_to_hour(),
                    workspace(record),
                    record.model.as_str(),
                    bucket(record.latency_ms),
                );
                *latencies.entry(key).or_default() += 1;
            }
            for quota in &record.quotas {
                let used = counters.entry((quota.key.as_str(), quota.start)).or_default();
                *used = used.saturating_add(quota.amount);
            }
        }
        Self {
            rollups: rollups(minutes),
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
            counters: counters
                .into_iter()
                .map(|((counter_key, period_start), used)| Counter { counter_key, period_start, used })
                .collect(),
        }
    }
}

/// The minutes, and the hours and days they are parts of.
fn rollups(minutes: BTreeMap<RollupKey<'_>, Added>) -> Vec<Rollup<'_>> {
    let mut all = minutes.clone();
    for (minute, added) in minutes {
        for (period, start_at) in
            [("hour", minute.start_at.truncate_to_hour()), ("day", minute.start_at.truncate_to_day())]
        {
            all.entry(RollupKey { period, start_at, ..minute }).or_default().add(&added);
        }
    }
    all.into_iter().map(|(key, added)| Rollup { key, added }).collect()
}

impl<'a> RollupKey<'a> {
    fn of(record: &'a UsageRecord) -> Self {
        Self {
            period: "minute",
            start_at: utc(record.at).truncate_to_minute(),
            workspace_id: workspace(record),
            key_id: record.key_id.map_or(Uuid::nil(), |id| id.0),
            key_name: &record.key_name,
            user_name: &record.user_name,
            route: &record.route,
            asset: &record.asset,
            model: &record.model,
            backend: &record.backend,
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

fn workspace(record: &UsageRecord) -> Uuid {
    record.workspace_id.map_or(Uuid::nil(), |id| id.0)
}

fn utc(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(UtcOffset::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::usage::{QuotaLine, Tokens};
    use time::macros::datetime;

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
        let sums = Sums::of(&records);

        let told: Vec<_> = sums
            .rollups
            .iter()
            .map(|row| {
                (row.key.period, row.key.start_at.unix_timestamp() % 86_400 / 60, row.key.key_name, row.added.input)
            })
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
        assert_eq!(sums.latencies.iter().map(|row| (row.bucket, row.requests)).collect::<Vec<_>>(), [(24, 2), (24, 1)]);
    }

    #[test]
    fn what_became_of_a_request_is_counted() {
        let at = datetime!(2026-03-01 12:00 UTC);
        let outcomes = [Outcome::Served, Outcome::Refused, Outcome::Cancelled, Outcome::Failed, Outcome::Failed];
        let mut records: Vec<_> =
            outcomes.into_iter().map(|outcome| UsageRecord { outcome, ..record(at, "a", u64::MAX) }).collect();
        records[0].cache = CacheUse::Exact;
        records[0].first_token_ms = Some(40);

        let sums = Sums::of(&records);

        let added = sums.rollups[0].added;
        assert_eq!((added.requests, added.refused, added.cancelled, added.failed, added.cached), (5, 1, 1, 2, 1));
        assert_eq!((added.first_token_ms, added.first_tokens, added.input), (40, 1, u64::MAX));
        assert_eq!(sums.latencies.len(), 1, "of those that were served");
    }

    #[test]
    fn quotas_are_summed_by_counter_and_period() {
        let at = datetime!(2026-03-01 12:00 UTC);
        let line = |key: &str, amount| QuotaLine { key: key.to_owned(), start: at, amount };
        let mut records = [record(at, "a", 1), record(at, "b", 1)];
        records[0].quotas = vec![line("y", 1), line("x", 2)];
        records[1].quotas = vec![line("x", 3)];

        let told: Vec<_> = Sums::of(&records).counters.into_iter().map(|row| (row.counter_key, row.used)).collect();
        assert_eq!(told, [("x", 5), ("y", 1)]);
    }
}
