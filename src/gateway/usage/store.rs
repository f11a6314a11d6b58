//! The ledger's tables: records, their sums and how far the spool is read are written in one transaction, so that each
//! record counts once however often it is read.
//!
//! Records are summed by us and come by `COPY`: the database often shares its processors with us.

use super::UsageRecord;
use super::copy::{COPY, END, HEAD};
use super::gathered::Gathered;
use super::spool::{Marks, Step};
use super::sums::Sums;
use crate::base::Database;
use crate::gateway::limit::CounterKey;
use sqlx::types::Json;
use sqlx::{Acquire, PgConnection, PgPool};
use std::io;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes the records of these steps through the spool, and what they add to the sums.
///
/// # Errors
/// What Postgres says, or that the spool is read to elsewhere; nothing is written then, or all of it where the connection
/// was lost at the very end.
pub(super) async fn insert(db: &PgPool, gathered: Vec<Gathered>, steps: &[Step], pace: Pace) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    put(&mut tx, gathered, pace).await?;
    advance(&mut tx, steps).await?;
    tx.commit().await
}

/// As [`insert`], so that one record that the database will never take does not keep the others; gives such, by their
/// places, with the reasons.
///
/// # Errors
/// As [`insert`].
pub(super) async fn insert_one_by_one(
    db: &PgPool,
    records: &[UsageRecord],
    steps: &[Step],
) -> sqlx::Result<Vec<(usize, String)>> {
    let mut refused = Vec::new();
    let mut tx = db.begin().await?;
    for (place, record) in records.iter().enumerate() {
        let mut one = tx.begin().await?;
        match put(&mut one, vec![Gathered::of(std::slice::from_ref(record))], Pace::Swift).await {
            Err(error) if is_refusal(&error) => {
                one.rollback().await?;
                refused.push((place, error.to_string()));
            }
            done => {
                done?;
                one.commit().await?;
            }
        }
    }
    advance(&mut tx, steps).await?;
    tx.commit().await?;
    Ok(refused)
}

/// SQLSTATE classes 22 and 23: the data is at fault, and trying again helps nothing.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// How rows are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// With a rest after each piece. At a whole batch the database works for milliseconds without a rest, and where it shares
    /// our processors, requests wait for as long.
    Even,
    /// All at once.
    Swift,
}

/// Bytes of rows between two rests: some twenty rows.
const PIECE: usize = 8 << 10;
const REST: Duration = Duration::from_millis(1);

async fn put(db: &mut PgConnection, gathered: Vec<Gathered>, pace: Pace) -> sqlx::Result<()> {
    if gathered.is_empty() {
        return Ok(());
    }
    let mut copy = db.copy_in_raw(&COPY).await?;
    copy.send(HEAD).await?;
    let mut sums = Sums::default();
    for bunch in gathered {
        for piece in bunch.rows.chunks(PIECE) {
            copy.send(piece).await?;
            if pace == Pace::Even {
                tokio::time::sleep(REST).await;
            }
        }
        sums.join(bunch.sums);
    }
    copy.send(END).await?;
    copy.finish().await?;
    let rows = sums.rows();
    sqlx::query(ADD)
        .bind(Json(&rows.rollups))
        .bind(Json(&rows.latencies))
        .bind(Json(&rows.counters))
        .execute(db)
        .await?;
    Ok(())
}

/// The rows of the three tables of sums.
const ADD: &str = "
with rolled_up as (
    insert into usage_rollup (
        period, start_at, workspace_id, key_id, key_name, user_name, route, asset, model, backend,
        requests, refused, cancelled, failed, cached, attempts, input, cached_input, output, reasoning, saved, cost,
        saved_cost, latency_ms, first_token_ms, first_tokens)
    select *
    from jsonb_to_recordset($1) as r(
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
    from jsonb_to_recordset($2) as r(
        start_at timestamptz, workspace_id uuid, model text, bucket integer, requests bigint)
    on conflict on constraint usage_latency_pkey do update set requests = usage_latency.requests + excluded.requests
)
insert into usage_counter (counter_key, period_start, used)
select *
from jsonb_to_recordset($3) as r(counter_key text, period_start timestamptz, used bigint)
on conflict on constraint usage_counter_pkey do update set used = usage_counter.used + excluded.used";

/// Writes down that the spool is read so far, where each step begins where the one before it ended.
async fn advance(db: &mut PgConnection, steps: &[Step]) -> sqlx::Result<()> {
    let bytes = |of: fn(&Step) -> u64| steps.iter().map(|step| of(step).cast_signed()).collect::<Vec<i64>>();
    let advanced = "
        insert into usage_spool (spool_file, read_from, read_to)
        select * from unnest($1::uuid[], $2::bigint[], $3::bigint[])
        on conflict on constraint usage_spool_pkey do update
            set read_from = excluded.read_from, read_to = excluded.read_to, read_at = now()
            where usage_spool.read_to = excluded.read_from";
    let done = sqlx::query(advanced)
        .bind(steps.iter().map(|step| step.file).collect::<Vec<Uuid>>())
        .bind(bytes(|step| step.from))
        .bind(bytes(|step| step.to))
        .execute(db)
        .await?;
    if done.rows_affected() != steps.len() as u64 {
        return Err(io::Error::other("the database knows the spool to be read to elsewhere").into());
    }
    Ok(())
}

/// How far these files of a spool are read.
///
/// # Errors
/// What Postgres says.
pub(super) async fn marks(db: &PgPool, files: &[Uuid]) -> sqlx::Result<Marks> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("select spool_file, read_to from usage_spool where spool_file = any($1)")
            .bind(files)
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().map(|(file, read_to)| (file, read_to.cast_unsigned())).collect())
}

/// Forgets how far these files were read: they are gone.
///
/// # Errors
/// What Postgres says.
pub(super) async fn forget(db: &PgPool, files: &[Uuid]) -> sqlx::Result<()> {
    if !files.is_empty() {
        sqlx::query("delete from usage_spool where spool_file = any($1)").bind(files).execute(db).await?;
    }
    Ok(())
}

/// What counts in periods that may still be running, and in those before, of which a debt may be left; by counter, the
/// earliest period first.
///
/// # Errors
/// What Postgres says.
pub(super) async fn counters(db: &PgPool, now: OffsetDateTime) -> sqlx::Result<Vec<(CounterKey, OffsetDateTime, u64)>> {
    let counters = "
        select counter_key, period_start, used
        from (
            select *, row_number() over (partition by counter_key order by period_start desc) as place
            from usage_counter
            where period_start > $1
        ) counter
        where place <= $2
        order by counter_key, period_start";
    let rows: Vec<(String, OffsetDateTime, i64)> =
        sqlx::query_as(counters).bind(now - LONGEST_PERIOD).bind(PERIODS_OF_DEBT).fetch_all(db).await?;
    let read = |(key, start, used): (String, OffsetDateTime, i64)| {
        Some((CounterKey::from_hex(&key)?, start, used.unsigned_abs()))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// A month, and some more for a debt.
const LONGEST_PERIOD: Duration = Duration::from_secs(62 * 86_400);

/// Periods of a counter that are remembered over a restart. A debt is left by the one before, hardly ever by several; all
/// hours of two months would be 1,500 of each counter.
const PERIODS_OF_DEBT: i64 = 8;

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
            "delete from usage_record where ctid in (select ctid from usage_record where at < $1 limit 5000)",
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
        // Of files that went with their folder.
        (
            "delete from usage_spool where ctid in (select ctid from usage_spool where read_at < $1 limit 5000)",
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
