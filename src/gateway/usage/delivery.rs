//! `Delivery`: brings the records of the spool into the database, in batches, each once.

use super::spool::{Marks, Reading, Spool};
use super::store;
use super::{Inner, UsageRecord};
use std::io;
use std::sync::Arc;

/// Records that are written in one transaction. A larger one costs less in all, and holds a processor for longer: where the
/// database shares it, requests wait for so long.
pub(super) const BATCH: usize = 500;

/// The one reader of a spool.
pub(super) struct Delivery {
    ledger: Arc<Inner>,
    /// How far the spool is read, as the database knows it; none where that is to be asked.
    marks: Option<Marks>,
}

impl Delivery {
    pub(super) const fn of(ledger: Arc<Inner>) -> Self {
        Self { ledger, marks: None }
    }

    /// Some records from the spool into the database, at most [`BATCH`]; gives how many lines that were.
    ///
    /// # Errors
    /// When the database does not answer or a file cannot be read; the records stay in the spool.
    pub(super) async fn move_on(&mut self) -> sqlx::Result<usize> {
        // Where the connection is lost at the very end, only the database knows whether a batch was written.
        let marks = match self.marks.take() {
            Some(marks) => marks,
            None => store::marks(self.database(), &self.spool().files()?).await?,
        };
        let (lines, marks) = match self.spool().take_at_hand(&marks, BATCH) {
            Some((records, after)) => {
                let lines = records.len();
                self.write(records, &marks, &after).await?;
                (lines, after)
            }
            None => self.move_read(marks).await?,
        };
        self.marks = Some(marks);
        Ok(lines)
    }

    /// Removes the files when all of them is read, and forgets them.
    ///
    /// # Errors
    /// As [`Delivery::move_on`].
    pub(super) async fn finish(mut self) -> sqlx::Result<()> {
        self.spool().begin_anew();
        self.move_on().await.map(drop)
    }

    /// The next records that are not at hand, from their lines.
    async fn move_read(&self, mut marks: Marks) -> sqlx::Result<(usize, Marks)> {
        let Reading { portion, removed } = self.read(marks.clone()).await?;
        marks.forget(&removed);
        store::forget(self.database(), &removed).await?;
        let Some(portion) = portion else { return Ok((0, marks)) };
        let (mut records, mut torn) = (Vec::new(), Vec::new());
        for line in portion.lines() {
            match serde_json::from_slice(line) {
                Ok(record) => records.push(record),
                Err(_) => torn.push(line),
            }
        }
        let lines = records.len() + torn.len();
        self.write(records, &marks, &portion.marks).await?;
        torn.into_iter().for_each(|line| self.set_aside(line, "it is no record"));
        Ok((lines, portion.marks))
    }

    async fn read(&self, marks: Marks) -> io::Result<Reading> {
        let ledger = self.ledger.clone();
        let read = tokio::task::spawn_blocking(move || {
            let reading = ledger.spool.read(&marks, BATCH)?;
            if reading.portion.is_none() {
                ledger.spool.retry();
            }
            Ok(reading)
        });
        read.await.map_err(io::Error::other)?
    }

    /// Writes the records between these marks.
    async fn write(&self, mut records: Vec<UsageRecord>, before: &Marks, after: &Marks) -> sqlx::Result<()> {
        let too_large: Vec<_> = records.extract_if(.., |record| !record.is_storable()).collect();
        let refused = store::insert(self.database(), &records, &after.steps_since(before)).await?;
        too_large.iter().for_each(|record| self.set_aside(&record.line(), "a number is too large"));
        refused.iter().for_each(|(place, reason)| self.set_aside(&records[*place].line(), reason));
        Ok(())
    }

    /// Lays a line aside that the database will never take.
    fn set_aside(&self, line: &[u8], reason: &str) {
        tracing::error!(reason, "A usage record was laid aside");
        metrics::counter!("wharfinger_usage_records_set_aside_total").increment(1);
        self.spool().set_aside(line);
    }

    /// Bytes that wait in the spool.
    pub(super) fn waiting(&self) -> u64 {
        self.marks.as_ref().map_or_else(|| self.spool().waiting(&Marks::default()), |marks| self.spool().waiting(marks))
    }

    fn spool(&self) -> &Spool<UsageRecord> {
        &self.ledger.spool
    }

    fn database(&self) -> &sqlx::PgPool {
        &self.ledger.db.steady
    }
}
