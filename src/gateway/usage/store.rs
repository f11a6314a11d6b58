//! The ledger's tables: records and their sums are written in one statement, once for each record however often it comes.

use crate::base::Database;
use crate::gateway::limit::CounterKey;
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;

/// Writes these lines of JSON; records that are there already change nothing. Gives how many were new.
///
/// # Errors
/// What Postgres says; nothing is written then.
pub(super) async fn insert(db: &PgPool, lines: &[&[u8]]) -> sqlx::Result<u64> {
    let mut batch = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum::<usize>() + 2);
    batch.push(b'[');
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            batch.push(b',');
        }
        batch.extend_from_slice(line);
    }
    batch.push(b']');
    let batch = String::from_utf8(batch).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let new: i64 = sqlx::query_scalar(INSERT).bind(batch).fetch_one(db).await?;
    Ok(new.unsigned_abs())
}

/// Rows are inserted in the order of their keys, so that two replicas never wait for each other's.
const INSERT: &str = "
with incoming as (
    select distinct on (id) *
    from json_to_recordset($1::json) as r(
        id uuid, at timestamptz, request_id text, workspace_id uuid, key_id uuid, key_name text, user_name text,
        route text, asset text, operation text, model text, backend text, vendor_model text,
        input bigint, cached_input bigint, cache_write bigint, input_audio bigint, output bigint, reasoning bigint,
        output_audio bigint, saved bigint, cost bigint, saved_cost bigint, latency_ms bigint, first_token_ms bigint,
        attempts integer, status integer, stream boolean, outcome text, refused_by text, cache text, source text,
        dimensions jsonb, quotas jsonb)
    order by id
), fresh as (
    insert into usage_record (
        usage_record_id, at, request_id, workspace_id, key_id, key_name, user_name, route, asset, operation, model,
        backend, vendor_model, input, cached_input, cache_write, input_audio, output, reasoning, output_audio, saved,
        cost, saved_cost, latency_ms, first_token_ms, attempts, status, stream, outcome, refused_by, cache, source,
        dimensions)
    select
        id, at, request_id, workspace_id, key_id, key_name, user_name, route, asset, operation, model,
        backend, vendor_model, input, cached_input, cache_write, input_audio, output, reasoning, output_audio, saved,
        cost, saved_cost, latency_ms, first_token_ms, attempts, status, stream, outcome, refused_by, cache, source,
        dimensions
    from incoming
    on conflict (usage_record_id) do nothing
    returning *
), summed as (
    insert into usage_rollup (
        period, start_at, workspace_id, key_id, key_name, user_name, route, asset, model, backend,
        requests, refused, cancelled, failed, cached, attempts, input, cached_input, output, reasoning, saved, cost,
        saved_cost, latency_ms, first_token_ms, first_tokens)
    select
        p.period, date_trunc(p.period, at at time zone 'UTC') at time zone 'UTC',
        coalesce(workspace_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(key_id, '00000000-0000-0000-0000-000000000000'),
        key_name, user_name, route, asset, model, backend,
        count(*), count(*) filter (where outcome = 'refused'), count(*) filter (where outcome = 'cancelled'),
        count(*) filter (where outcome = 'failed'), count(*) filter (where cache <> ''), sum(attempts),
        sum(input), sum(cached_input), sum(output), sum(reasoning), sum(saved), sum(cost), sum(saved_cost),
        sum(latency_ms), coalesce(sum(first_token_ms), 0), count(first_token_ms)
    from fresh cross join (values ('minute'), ('hour'), ('day')) as p(period)
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
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
    select
        date_trunc('hour', at at time zone 'UTC') at time zone 'UTC',
        coalesce(workspace_id, '00000000-0000-0000-0000-000000000000'), model,
        floor(8 * ln(latency_ms + 1) / ln(2))::integer, count(*)
    from fresh
    where outcome = 'served'
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    on conflict on constraint usage_latency_pkey do update set requests = usage_latency.requests + excluded.requests
), counted as (
    insert into usage_counter (counter_key, period_start, used)
    select q.key, q.start, sum(q.amount)
    from fresh
        join incoming on incoming.id = fresh.usage_record_id
        cross join jsonb_to_recordset(incoming.quotas) as q(key text, start timestamptz, amount bigint)
    group by 1, 2
    order by 1, 2
    on conflict on constraint usage_counter_pkey do update set used = usage_counter.used + excluded.used
)
select count(*) from fresh";

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
            "delete from usage_record where usage_record_id in (select usage_record_id from usage_record where at < $1 limit 5000)",
            keep.records,
        ),
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
