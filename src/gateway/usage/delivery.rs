//! `Delivery`: brings the records of the spool into the database, in batches, each once.

use super::gathered::Gathered;
use super::spool::{Marks, Reading, Spool, Step};
use super::store::{self, Pace};
use super::{Inner, UsageRecord};
use std::io;
use std::sync::Arc;

/// Records that are worth a transaction, and that are read at once.
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

    /// Some records from the spool into the database; gives how many lines that were.
    ///
    /// # Errors
    /// When the database does not answer or a file cannot be read; the records stay in the spool.
    pub(super) async fn move_on(&mut self) -> sqlx::Result<usize> {
        // Where the connection is lost at the very end, only the database knows whether a batch was written.
        let marks = match self.marks.take() {
            Some(marks) => marks,
            None => store::marks(self.database(), &self.spool().files()?).await?,
        };
        // Who is behind takes no rests.
        let pace = if self.spool().at_hand() < 2 * BATCH { Pace::Even } else { Pace::Swift };
        let (lines, marks) = match self.spool().take_at_hand(&marks, BATCH) {
            Some((gathered, after)) => {
                let lines = gathered.iter().map(|gathered| gathered.records).sum();
                match store::insert(self.database(), gathered, &after.steps_since(&marks), pace).await {
                    Err(error) if store::is_refusal(&error) => self.move_read(marks).await?,
                    done => done.map(|()| (lines, after))?,
                }
            }
            None => self.move_read(marks).await?,
        };
        self.marks = Some(marks);
        Ok(lines)
    }

    /// Removes files that are read, and forgets them.
    ///
    /// # Errors
    /// When a file cannot be removed, or the database does not answer.
    pub(super) async fn tidy(&mut self) -> sqlx::Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        let removed = self.ledger.spool.remove_read(marks)?;
        marks.forget(&removed);
        store::forget(&self.ledger.db.steady, &removed).await
    }

    /// Removes all files when all of them is read, and forgets them.
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
        let (mut records, mut others) = (Vec::new(), Vec::new());
        for line in portion.lines() {
            match serde_json::from_slice::<UsageRecord>(line) {
                Ok(record) if record.is_storable() => records.push(record),
                Ok(_) => others.push((line, "a number is too large")),
                Err(_) => others.push((line, "it is no record")),
            }
        }
        let lines = records.len() + others.len();
        self.write(&records, &portion.marks.steps_since(&marks)).await?;
        others.into_iter().for_each(|(line, reason)| self.ledger.set_aside(line, reason));
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

    async fn write(&self, records: &[UsageRecord], steps: &[Step]) -> sqlx::Result<()> {
        match store::insert(self.database(), vec![Gathered::of(records)], steps, Pace::Swift).await {
            Err(error) if store::is_refusal(&error) => {
                let refused = store::insert_one_by_one(self.database(), records, steps).await?;
                refused.iter().for_each(|(place, reason)| self.ledger.set_aside(&records[*place].line(), reason));
                Ok(())
            }
            done => done,
        }
    }

    /// Bytes that wait in the spool.
    pub(super) fn waiting(&self) -> u64 {
        self.marks.as_ref().map_or_else(|| self.spool().waiting(&Marks::default()), |marks| self.spool().waiting(marks))
    }

    fn spool(&self) -> &Spool<Gathered> {
        &self.ledger.spool
    }

    fn database(&self) -> &sqlx::PgPool {
        &self.ledger.db.steady
    }
}
