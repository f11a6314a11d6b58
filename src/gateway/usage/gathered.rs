//! `Gathered`: records on their way to the database, in the form in which it takes them.

use super::UsageRecord;
use super::copy::put_row;
use super::spool::Bunch;
use super::sums::Sums;

/// Some records as rows, and what they add to the sums. Both are made in the path of requests, where a record was just
/// written: later, and on another processor, it would have to be fetched again, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) records: usize,
    /// For `COPY`.
    pub(super) rows: Vec<u8>,
    pub(super) sums: Sums,
}

impl Bunch for Gathered {
    type Record = UsageRecord;

    fn add(&mut self, record: &UsageRecord) {
        self.records += 1;
        put_row(record, &mut self.rows);
        self.sums.add(record);
    }

    fn len(&self) -> usize {
        self.records
    }
}

impl Gathered {
    /// These records.
    pub(super) fn of(records: &[UsageRecord]) -> Self {
        let mut gathered = Self::default();
        records.iter().for_each(|record| gathered.add(record));
        gathered
    }
}
