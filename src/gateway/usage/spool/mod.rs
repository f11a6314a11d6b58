//! The spool: usage records as lines of files below the data directory, from the end of a request until Postgres has them.
//! The last of them are also at hand in memory, gathered in bunches: while the database keeps up, hardly a line is read back.
//!
//! A line is handed to the operating system before the request is over, so that a killed process loses nothing; the
//! files are forced to the disk every second or so, which is what a power cut may cost. A file is removed when all
//! its lines are in the database, which keeps the marks of how far it is read.

mod marks;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use marks::{Marks, Step};

use crate::base::lane;
use marks::Mark;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use uuid::Uuid;
use writer::{Files, Room, Writer};

/// Bytes that are read at once; no line is as long, whatever its caller's headers hold.
const READ: u64 = 512 << 10;
/// What is kept in memory when the disk takes nothing.
const KEPT: usize = 16 << 20;
/// Records at hand, of half a kilobyte or so.
const AT_HAND: usize = 10_000;
/// Records of a bunch.
const BUNCH: usize = 250;

/// What records are gathered in while they are at hand.
pub(super) trait Bunch: Default {
    type Record;

    fn add(&mut self, record: &Self::Record);

    /// How many were added.
    fn len(&self) -> usize;
}

/// Where records wait; many who append, one who reads.
pub(super) struct Spool<B> {
    files: Files,
    /// By lane; the first is for threads that are none.
    writers: Box<[Mutex<Writer<B>>]>,
    /// Something was written since the last forcing to disk.
    unsynced: AtomicBool,
}

/// What the reader found.
#[derive(Debug, PartialEq)]
pub(super) struct Reading {
    /// None when all is read.
    pub(super) portion: Option<Portion>,
    /// Files that were removed, since all of them is read and nobody writes them.
    pub(super) removed: Vec<Uuid>,
}

/// A part of the spool.
#[derive(Debug, PartialEq)]
pub(super) struct Portion {
    /// Whole lines.
    bytes: Vec<u8>,
    /// How far the spool is read with it.
    pub(super) marks: Marks,
}

impl Portion {
    /// The lines, without their line breaks.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1])
    }
}

impl<B: Bunch> Spool<B> {
    /// Opens the spool of this folder; what an earlier process left is read first. Where the folder cannot be made, what
    /// is appended waits in memory until it can.
    pub(super) fn open(folder: &Path) -> Self {
        Self::with_writers(folder, 1 + thread::available_parallelism().map_or(1, usize::from), AT_HAND)
    }

    fn with_writers(folder: &Path, count: usize, at_hand: usize) -> Self {
        let files = Files::of(folder);
        let room = Room { bunches: at_hand / BUNCH / count, bunch: BUNCH, bytes: KEPT / count };
        let writers = (0..count).map(|_| Mutex::new(Writer::new(room))).collect();
        Self { files, writers, unsynced: AtomicBool::new(false) }
    }

    /// Adds a record, whose line ends in a line break; gives the number it has among those of its lane. Gives none when the
    /// disk does not take it: it is then kept in memory and written with the next one, or dropped when too many are kept.
    pub(super) fn append(&self, line: &[u8], record: &B::Record) -> Option<u64> {
        let writer = &self.writers[lane::here() % self.writers.len()];
        let number = locked(writer).append(&self.files, line, record);
        // Written only when it changes: lanes on other processors read it each time.
        if !self.unsynced.load(Ordering::Relaxed) {
            self.unsynced.store(true, Ordering::Relaxed);
        }
        number
    }

    /// Takes bunches after `marks` that are at hand, until they have so many records, and gives the marks after them; none
    /// when what comes next has to be read.
    pub(super) fn take_at_hand(&self, marks: &Marks, enough: usize) -> Option<(Vec<B>, Marks)> {
        let (mut bunches, mut marks, mut records) = (Vec::<B>::new(), marks.clone(), 0);
        // One of each lane in turn, so that none is left behind.
        while records < enough {
            let before = records;
            for bunch in self.writers().filter_map(|mut writer| writer.give(&mut marks)) {
                records += bunch.len();
                bunches.push(bunch);
            }
            if records == before {
                break;
            }
        }
        (!bunches.is_empty()).then_some((bunches, marks))
    }

    /// Records at hand.
    pub(super) fn at_hand(&self) -> usize {
        self.writers().map(|writer| writer.at_hand()).sum()
    }

    /// The next lines after `marks` that are not at hand, at most so many.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub(super) fn read(&self, marks: &Marks, most: usize) -> io::Result<Reading> {
        let names = self.files.names()?;
        // Asked after the names: which of those is not written by now has all its lines.
        let written: Vec<Uuid> = self.writers().map(|writer| writer.file()).collect();
        let mut removed = Vec::new();
        for name in names {
            let until = self.writers().find_map(|writer| writer.at_hand_from(name)).unwrap_or(u64::MAX);
            if let Some(portion) = self.read_file(name, marks, until, most)? {
                return Ok(Reading { portion: Some(portion), removed });
            }
            if until == u64::MAX && !written.contains(&name) {
                fs::remove_file(self.files.path(name))?;
                removed.push(name);
            }
        }
        Ok(Reading { portion: None, removed })
    }

    fn read_file(&self, name: Uuid, marks: &Marks, until: u64, most: usize) -> io::Result<Option<Portion>> {
        let (from, mut bytes) = (marks.offset(name), Vec::new());
        let mut file = File::open(self.files.path(name))?;
        file.seek(SeekFrom::Start(from))?;
        file.take(READ.min(until.saturating_sub(from))).read_to_end(&mut bytes)?;
        // A torn line ends a file whose writer was killed, or is being written; it is never longer than a portion.
        let end = memchr::memchr_iter(b'\n', &bytes).take(most).last().map_or(0, |at| at + 1);
        bytes.truncate(end);
        let mut marks = marks.clone();
        marks.advance(Mark { file: name, offset: from + end as u64 });
        Ok((end > 0).then_some(Portion { bytes, marks }))
    }

    /// Removes files of which nothing is left to read or to write, and gives their names.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be removed.
    pub(super) fn remove_read(&self, marks: &Marks) -> io::Result<Vec<Uuid>> {
        let mut names = self.files.names()?;
        // Asked after the names, as above.
        let written: Vec<Uuid> = self.writers().map(|writer| writer.file()).collect();
        names.retain(|name| !written.contains(name) && self.left(*name, marks) == 0);
        names.iter().try_for_each(|name| fs::remove_file(self.files.path(*name)))?;
        Ok(names)
    }

    /// The files that are there; marks of others are of no use.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn files(&self) -> io::Result<Vec<Uuid>> {
        self.files.names()
    }

    /// Lines go on in new files, so that those that are there can be removed when they are read.
    pub(super) fn begin_anew(&self) {
        self.writers().for_each(|mut writer| writer.begin_next());
    }

    /// Tries the lines that the disk did not take once more; gives how many bytes it still does not take.
    pub(super) fn retry(&self) -> usize {
        let left = |mut writer: MutexGuard<'_, Writer<B>>| {
            writer.retry(&self.files);
            writer.kept()
        };
        self.writers().map(left).sum()
    }

    /// Forces what was written to the disk. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn sync(&self) -> io::Result<()> {
        if !self.unsynced.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        // Each is tried, whatever another says.
        let force = |files: Vec<File>| files.iter().map(File::sync_data).fold(Ok(()), io::Result::and);
        let mut forced = Ok(());
        for writer in &self.writers {
            let unforced = locked(writer).unforced();
            forced = forced.and(unforced.and_then(force));
        }
        if forced.is_err() {
            self.unsynced.store(true, Ordering::Relaxed);
        }
        forced
    }

    /// Bytes that wait, for a gauge: what cannot be looked at, or was removed meanwhile, counts for none.
    pub(super) fn waiting(&self, marks: &Marks) -> u64 {
        self.files.names().unwrap_or_default().into_iter().map(|name| self.left(name, marks)).sum()
    }

    /// Bytes of a file that are not read.
    fn left(&self, name: Uuid, marks: &Marks) -> u64 {
        let size = fs::metadata(self.files.path(name)).map_or(0, |file| file.len());
        size.saturating_sub(marks.offset(name))
    }

    /// Lays a line aside that the database will never take.
    pub(super) fn set_aside(&self, line: &[u8]) {
        let file = OpenOptions::new().create(true).append(true).open(self.files.rejected());
        let line = [line.trim_ascii_end(), b"\n"].concat();
        let written = file.and_then(|mut file| file.write_all(&line));
        if let Err(error) = written {
            tracing::error!(error = %error, "A usage record that cannot be stored was lost");
        }
    }

    fn writers(&self) -> impl Iterator<Item = MutexGuard<'_, Writer<B>>> {
        self.writers.iter().map(locked)
    }
}

fn locked<B>(writer: &Mutex<Writer<B>>) -> MutexGuard<'_, Writer<B>> {
    writer.lock().expect("no holder of this lock can panic")
}
