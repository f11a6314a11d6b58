//! Usage records in the binary form of Postgres' `COPY` (its documentation, "COPY", "Binary Format"): of all forms the one
//! that costs the database least.

use super::UsageRecord;
use std::sync::LazyLock;
use time::OffsetDateTime;
use time::macros::datetime;

/// The statement that takes rows between [`HEAD`] and [`END`].
pub(super) static COPY: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    format!("copy usage_record ({}) from stdin (format binary)", names.join(", "))
});

/// What comes before the rows: that there are no flags, and that there is no more before the rows.
pub(super) const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What comes after them.
pub(super) const END: &[u8] = &(-1_i16).to_be_bytes();

/// Adds the row of a record, each number of which the database has room for ([`UsageRecord::is_storable`]).
pub(super) fn put_row(record: &UsageRecord, rows: &mut Vec<u8>) {
    rows.extend_from_slice(&(COLUMNS.len() as i16).to_be_bytes());
    for (_, put) in COLUMNS {
        put(record, rows);
    }
}

/// Writes the value of a column with its length.
type Put = fn(&UsageRecord, &mut Vec<u8>);

const COLUMNS: &[(&str, Put)] = &[
    ("at", |record, row| put(row, &microseconds(record.at).to_be_bytes())),
    ("request_id", |record, row| put(row, record.request_id.as_bytes())),
    ("workspace_id", |record, row| put_some(row, record.workspace_id.map(|id| *id.0.as_bytes()))),
    ("key_id", |record, row| put_some(row, record.key_id.map(|id| *id.0.as_bytes()))),
    ("key_name", |record, row| put(row, record.key_name.as_bytes())),
    ("user_name", |record, row| put(row, record.user_name.as_bytes())),
    ("route", |record, row| put(row, record.route.as_bytes())),
    ("asset", |record, row| put(row, record.asset.as_bytes())),
    ("operation", |record, row| put(row, record.operation.as_bytes())),
    ("model", |record, row| put(row, record.model.as_bytes())),
    ("backend", |record, row| put(row, record.backend.as_bytes())),
    ("vendor_model", |record, row| put(row, record.vendor_model.as_bytes())),
    ("input", |record, row| put(row, &record.tokens.input.to_be_bytes())),
    ("cached_input", |record, row| put(row, &record.tokens.cached_input.to_be_bytes())),
    ("cache_write", |record, row| put(row, &record.tokens.cache_write.to_be_bytes())),
    ("input_audio", |record, row| put(row, &record.tokens.input_audio.to_be_bytes())),
    ("output", |record, row| put(row, &record.tokens.output.to_be_bytes())),
    ("reasoning", |record, row| put(row, &record.tokens.reasoning.to_be_bytes())),
    ("output_audio", |record, row| put(row, &record.tokens.output_audio.to_be_bytes())),
    ("saved", |record, row| put(row, &record.saved.to_be_bytes())),
    ("cost", |record, row| put(row, &record.cost.to_be_bytes())),
    ("saved_cost", |record, row| put(row, &record.saved_cost.to_be_bytes())),
    ("latency_ms", |record, row| put(row, &record.latency_ms.to_be_bytes())),
    ("first_token_ms", |record, row| put_some(row, record.first_token_ms.map(u64::to_be_bytes))),
    ("attempts", |record, row| put(row, &record.attempts.to_be_bytes())),
    ("status", |record, row| put(row, &i32::from(record.status).to_be_bytes())),
    ("stream", |record, row| put(row, &[record.stream.into()])),
    ("outcome", |record, row| put(row, record.outcome.as_str().as_bytes())),
    ("refused_by", |record, row| put(row, record.refused_by.as_bytes())),
    ("cache", |record, row| put(row, record.cache.as_str().as_bytes())),
    ("source", |record, row| put(row, record.source.as_str().as_bytes())),
    ("dimensions", put_dimensions),
];

fn put(row: &mut Vec<u8>, value: &[u8]) {
    row.extend_from_slice(&(value.len() as i32).to_be_bytes());
    row.extend_from_slice(value);
}

fn put_some<const LENGTH: usize>(row: &mut Vec<u8>, value: Option<[u8; LENGTH]>) {
    match value {
        Some(value) => put(row, &value),
        None => row.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

/// `jsonb` is its version, which is 1, and the text.
fn put_dimensions(record: &UsageRecord, row: &mut Vec<u8>) {
    let mut value = vec![1];
    serde_json::to_writer(&mut value, &record.dimensions).expect("texts serialise");
    put(row, &value);
}

/// Since the year 2000, as `timestamptz` counts.
fn microseconds(at: OffsetDateTime) -> i64 {
    // Three hundred thousand years fit; the years of this type are at most 9999.
    (at - datetime!(2000-01-01 0:00 UTC)).whole_microseconds() as i64
}
