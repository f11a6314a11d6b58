//! The ledger's tables: records and their sums are written in one transaction, once for each record however often it comes.
//!
//! Records are summed here and not there: the database often shares its processors with us, and sums cost it most.

use super::UsageRecord;
use super::record::first_id;
use super::sums::Sums;
use crate::base::Database;
use crate::gateway::limit::CounterKey;
use sqlx::PgPool;
use sqlx::types::Json;
use std::collections::HashSet;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes the records and what they add to the sums, or nothing of it; records that are there already change nothing.
///
/// # Errors
/// What Postgres says; nothing is written then.
pub(super) async fn insert(db: &PgPool, records: &[UsageRecord]) -> sqlx::Result<()> {
    let mut seen = HashSet::with_capacity(records.len());
    let mut new: Vec<&UsageRecord> = records.iter().filter(|record| seen.insert(record.id)).collect();
    let mut looks = 2;
    while !new.is_empty() {
        match insert_new(db, &new).await {
            // Some were there, or another process writes them now: that is asked only when it happens.
            Err(error) if looks > 0 && says_one_is_there(&error) => {
                looks -= 1;
                let known = known(db, &new).await?;
                new.retain(|record| !known.contains(&record.id));
            }
            done => return done,
        }
    }
    Ok(())
}

/// All of it in one statement, which is one transaction and one round trip.
async fn insert_new(db: &PgPool, records: &[&UsageRecord]) -> sqlx::Result<()> {
    fn all<'a, T>(records: &[&'a UsageRecord], of: fn(&'a UsageRecord) -> T) -> Vec<T> {
        records.iter().map(|record| of(record)).collect()
    }
    /// What no `bigint` holds the caller has refused.
    fn numbers(records: &[&UsageRecord], of: fn(&UsageRecord) -> u64) -> Vec<i64> {
        records.iter().map(|record| of(record).cast_signed()).collect()
    }
    let sums = Sums::of(records.iter().copied());
    sqlx::query(INSERT)
        .bind(all(records, |record| record.id))
        .bind(all(records, |record| record.at))
        .bind(all(records, |record| record.request_id.as_str()))
        .bind(all(records, |record| record.workspace_id))
        .bind(all(records, |record| record.key_id))
        .bind(all(records, |record| record.key_name.as_str()))
        .bind(all(records, |record| record.user_name.as_str()))
        .bind(all(records, |record| record.route.as_str()))
        .bind(all(records, |record| record.asset.as_str()))
        .bind(all(records, |record| record.operation.as_str()))
        .bind(all(records, |record| record.model.as_str()))
        .bind(all(records, |record| record.backend.as_str()))
        .bind(all(records, |record| record.vendor_model.as_str()))
        .bind(numbers(records, |record| record.tokens.input))
        .bind(numbers(records, |record| record.tokens.cached_input))
        .bind(numbers(records, |record| record.tokens.cache_write))
        .bind(numbers(records, |record| record.tokens.input_audio))
        .bind(numbers(records, |record| record.tokens.output))
        .bind(numbers(records, |record| record.tokens.reasoning))
        .bind(numbers(records, |record| record.tokens.output_audio))
        .bind(numbers(records, |record| record.saved))
        .bind(numbers(records, |record| record.cost))
        .bind(numbers(records, |record| record.saved_cost))
        .bind(numbers(records, |record| record.latency_ms))
        .bind(all(records, |record| record.first_token_ms.map(u64::cast_signed)))
        .bind(all(records, |record| record.attempts.cast_signed()))
        .bind(all(records, |record| i32::from(record.status)))
        .bind(all(records, |record| record.stream))
        .bind(all(records, |record| record.outcome.as_str()))
        .bind(all(records, |record| record.refused_by.as_str()))
        .bind(all(records, |record| record.cache.as_str()))
        .bind(all(records, |record| record.source.as_str()))
        .bind(all(records, |record| Json(&record.dimensions)))
        .bind(Json(&sums.rollups))
        .bind(Json(&sums.latencies))
        .bind(Json(&sums.counters))
        .execute(db)
        .await?;
    Ok(())
}

fn says_one_is_there(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some("usage_record_pkey"))
}

async fn known(db: &PgPool, records: &[&UsageRecord]) -> sqlx::Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let known: Vec<Uuid> =
        sqlx::query_scalar("select usage_record_id from usage_record where usage_record_id = any($1)")
            .bind(ids)
            .fetch_all(db)
            .await?;
    Ok(known.into_iter().collect())
}

/// The columns of the records, and the rows of the three tables of sums.
const INSERT: &str = "
with recorded as (
    insert into usage_record (
        usage_record_id, at, request_id, workspace_id, key_id, key_name, user_name, route, asset, operation, model,
        backend, vendor_model, input, cached_input, cache_write, input_audio, output, reasoning, output_audio, saved,
        cost, saved_cost, latency_ms, first_token_ms, attempts, status, stream, outcome, refused_by, cache, source,
        dimensions)
    select *
    from unnest(
        $1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[], $16::bigint[],
        $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
        $24::bigint[], $25::bigint[], $26::integer[], $27::integer[], $28::boolean[], $29::text[], $30::text[],
        $31::text[], $32::text[], $33::jsonb[])
), rolled_up as (
    insert into usage_rollup (
        period, start_at, workspace_id, key_id, key_name, user_name, route, asset, model, backend,
        requests, refused, cancelled, failed, cached, attempts, input, cached_input, output, reasoning, saved, cost,
        saved_cost, latency_ms, first_token_ms, first_tokens)
    select *
    from jsonb_to_recordset($34) as r(
        period text, start_at timestamptz, workspace_id uuid, key_id uuid, key_name text, user_name text, route text,
        asset text, model text, backend text,
        requests bigint, refused bigint, cancelled bigint, failed bigint, cached bigint, attempts bigint, input bigint,
        cached_input bigint, output bigint, reasoning bigint, saved bigint, cost bigint,
        saved_cost bigint, latency_ms bigint, first_token_ms bigint, first_tokens bigint)
    on conflict on constraint usage_rollup_pkey do update set
        requests = usage_rollup.requests + excluded.requests,
        refused = usage_rollup.refused + excluded.refused,
        cancelled = usage_rollup.cancelled + excluded.cancelled,
        failed = usage_rollup.failed + excluded.failed,
        cached = usage_rollup.cached + excluded.cached,
        attempts = usage_rollup.attempts + excluded.attempts,
        input = usage_rollup.input + excluded.input,
        cached_input = usage_rollup.cached_input + excluded.cached_input,
        output = usage_rollup.output + excluded.output,
        reasoning = usage_rollup.reasoning + excluded.reasoning,
        saved = usage_rollup.saved + excluded.saved,
        cost = usage_rollup.cost + excluded.cost,
        saved_cost = usage_rollup.saved_cost + excluded.saved_cost,
        latency_ms = usage_rollup.latency_ms + excluded.latency_ms,
        first_token_ms = usage_rollup.first_token_ms + excluded.first_token_ms,
        first_tokens = usage_rollup.first_tokens + excluded.first_tokens
), timed as (
    insert into usage_latency (start_at, workspace_id, model, bucket, requests)
    select *
    from jsonb_to_recordset($35) as r(
        start_at timestamptz, workspace_id uuid, model text, bucket integer, requests bigint)
    on conflict on constraint usage_latency_pkey do update set requests = usage_latency.requests + excluded.requests
)
insert into usage_counter (counter_key, period_start, used)
select *
from jsonb_to_recordset($36) as r(counter_key text, period_start timestamptz, used bigint)
on conflict on constraint usage_counter_pkey do update set used = usage_counter.used + excluded.used";

/// What counts in periods that may still be running.
///
/// # Errors
/// What Postgres says.
pub(super) async fn counters(db: &PgPool, now: OffsetDateTime) -> sqlx::Result<Vec<(CounterKey, OffsetDateTime, u64)>> {
    let rows: Vec<(String, OffsetDateTime, i64)> =
        sqlx::query_as("select counter_key, period_start, used from usage_counter where period_start > $1")
            .bind(now - LONGEST_PERIOD)
            .fetch_all(db)
            .await?;
    let read = |(key, start, used): (String, OffsetDateTime, i64)| {
        Some((CounterKey::from_hex(&key)?, start, used.unsigned_abs()))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// A month, and some more for a debt.
const LONGEST_PERIOD: Duration = Duration::from_secs(62 * 86_400);

/// How long what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub records: Duration,
    pub minutes: Duration,
    pub hours: Duration,
    pub days: Duration,
}

/// Removes what is older than it is to be kept, a portion at a time so that no statement is long.
///
/// # Errors
/// What Postgres says.
pub(super) async fn remove_old(db: &Database, now: OffsetDateTime, keep: Retention) -> sqlx::Result<u64> {
    let mut removed = 0;
    let statements = [
        (
            "delete from usage_rollup where ctid in (select ctid from usage_rollup where period = 'minute' and start_at < $1 limit 5000)",
            keep.minutes,
        ),
        (
            "delete from usage_rollup where ctid in (select ctid from usage_rollup where period = 'hour' and start_at < $1 limit 5000)",
            keep.hours,
        ),
        (
            "delete from usage_rollup where ctid in (select ctid from usage_rollup where period = 'day' and start_at < $1 limit 5000)",
            keep.days,
        ),
        (
            "delete from usage_latency where ctid in (select ctid from usage_latency where start_at < $1 limit 5000)",
            keep.hours,
        ),
        (
            "delete from usage_counter where ctid in (select ctid from usage_counter where period_start < $1 limit 5000)",
            LONGEST_PERIOD,
        ),
        (
            "delete from budget_notice where ctid in (select ctid from budget_notice where period_start < $1 limit 5000)",
            LONGEST_PERIOD,
        ),
    ];
    // Records have no index but that of their ids, which are in the order of their times.
    let oldest = first_id(now - keep.records);
    loop {
        let statement = "delete from usage_record where usage_record_id in (
            select usage_record_id from usage_record where usage_record_id < $1 order by 1 limit 5000)";
        let gone = sqlx::query(statement).bind(oldest).execute(&db.write).await?.rows_affected();
        removed += gone;
        if gone < 5_000 {
            break;
        }
    }
    for (statement, kept_for) in statements {
        loop {
            let gone = sqlx::query(statement).bind(now - kept_for).execute(&db.write).await?.rows_affected();
            removed += gone;
            if gone < 5_000 {
                break;
            }
        }
    }
    Ok(removed)
}
