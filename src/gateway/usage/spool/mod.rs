//! The spool: usage records as lines of files below the data directory, from the end of a request until Postgres has them.
//! The last of them are also at hand in memory, gathered in bunches: while the database keeps up, hardly a line is read back.
//!
//! A line is handed to the operating system before the request is over, so that a killed process loses nothing; the
//! files are forced to the disk every second or so, which is what a power cut may cost. A file is removed when all
//! its lines are in the database, which keeps the marks of how far it is read.

mod marks;
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

#[cfg(test)]
mod tests {
    use super::*;

    impl<T: Clone> Bunch for Vec<T> {
        type Record = T;

        fn add(&mut self, record: &T) {
            self.push(record.clone());
        }

        fn len(&self) -> usize {
            self.len()
        }
    }

    /// Nothing of it is at hand.
    fn of_lines(folder: &Path) -> Spool<Vec<()>> {
        Spool::with_writers(folder, 1, 0)
    }

    fn all(spool: &Spool<Vec<()>>, marks: &mut Marks) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(portion) = spool.read(marks, 10).unwrap().portion {
            *marks = portion.marks.clone();
            lines.extend(portion.lines().map(|line| String::from_utf8(line.to_vec()).unwrap()));
        }
        lines
    }

    #[test]
    fn what_is_written_is_read_once_and_in_order() {
        let home = tempfile::tempdir().unwrap();
        let spool = of_lines(home.path());
        (0..25).for_each(|n| assert!(spool.append(format!("{n}\n").as_bytes(), &()).is_some()));

        let mut marks = Marks::default();
        assert_eq!(all(&spool, &mut marks), (0..25).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(all(&spool, &mut marks).is_empty());
        spool.append(b"more\n", &());
        assert_eq!(all(&spool, &mut marks), ["more"]);
    }

    #[test]
    fn what_a_killed_process_left_is_read_by_the_next_without_its_torn_line() {
        let home = tempfile::tempdir().unwrap();
        {
            let spool = of_lines(home.path());
            spool.append(b"whole\n", &());
            spool.append(b"to", &());
        }

        let spool = of_lines(home.path());
        spool.append(b"new\n", &());

        let mut marks = Marks::default();
        assert_eq!(all(&spool, &mut marks), ["whole", "new"]);
        spool.begin_anew();
        let files = spool.files().unwrap();
        assert_eq!(spool.read(&marks, 10).unwrap(), Reading { portion: None, removed: files });
        assert!(spool.files().unwrap().is_empty(), "read files are removed");
    }

    #[test]
    fn an_unacknowledged_portion_comes_again() {
        let home = tempfile::tempdir().unwrap();
        let spool = of_lines(home.path());
        spool.append(b"a\n", &());

        let first = spool.read(&Marks::default(), 10).unwrap();
        assert_eq!(first, spool.read(&Marks::default(), 10).unwrap());
    }

    #[test]
    fn files_are_bounded_and_go_when_they_are_read() {
        let home = tempfile::tempdir().unwrap();
        let spool = of_lines(home.path());
        let line = vec![b'x'; 64 << 10];
        for _ in 0..100 {
            spool.append(&[&line[..], b"\n"].concat(), &());
        }
        assert!(spool.files().unwrap().len() >= 2);

        let mut marks = Marks::default();
        assert_eq!(all(&spool, &mut marks).len(), 100);
        assert_eq!(spool.files().unwrap().len(), 1);
        assert_eq!(spool.waiting(&marks), 0);
    }

    #[test]
    fn what_is_at_hand_is_given_once_in_order_and_never_across_a_gap() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<Vec<usize>>::with_writers(home.path(), 1, AT_HAND);
        let append = |n: usize| assert!(spool.append(format!("{n}\n").as_bytes(), &n).is_some());
        let at_hand = |marks: &Marks| spool.take_at_hand(marks, 1).map(|(bunches, after)| (bunches.concat(), after));
        let read = |marks: &Marks| {
            let portion = spool.read(marks, 100).unwrap().portion?;
            let lines = portion.lines().map(|line| std::str::from_utf8(line).unwrap().parse().unwrap());
            Some((lines.collect::<Vec<usize>>(), portion.marks.clone()))
        };
        (0..AT_HAND + 50).for_each(append);
        let (mut given, mut marks) = at_hand(&Marks::default()).unwrap();
        assert_eq!(given.len(), BUNCH);
        while let Some((some, after)) = at_hand(&marks) {
            given.extend(some);
            marks = after;
        }
        assert_eq!(given.len(), AT_HAND);
        // The fifty are not at hand; these are again, and are not read.
        (AT_HAND + 50..AT_HAND + 70).for_each(append);
        assert!(at_hand(&marks).is_none());
        let (some, after) = read(&marks).unwrap();
        assert_eq!(some, (AT_HAND..AT_HAND + 50).collect::<Vec<_>>());
        assert_eq!(read(&after), None);
        given.extend(some);
        let (some, after) = at_hand(&after).unwrap();
        given.extend(some);

        assert_eq!(given, (0..AT_HAND + 70).collect::<Vec<_>>());
        assert!(at_hand(&after).is_none());
        // What goes on in a new file is at hand too.
        spool.begin_anew();
        append(0);
        assert_eq!(at_hand(&after).unwrap().0, [0]);
    }

    #[test]
    fn what_was_taken_and_not_written_is_read_and_then_what_is_at_hand_after_it() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<Vec<usize>>::with_writers(home.path(), 1, AT_HAND);
        let append = |n: usize| assert!(spool.append(format!("{n}\n").as_bytes(), &n).is_some());
        (0..BUNCH + 10).for_each(append);
        let start = Marks::default();
        spool.take_at_hand(&start, 1).unwrap();

        assert!(spool.take_at_hand(&start, 1).is_none());
        let first = spool.read(&start, BUNCH - 1).unwrap().portion.unwrap();
        let last = spool.read(&first.marks, BUNCH).unwrap().portion.unwrap();
        assert_eq!((first.lines().count(), last.lines().count()), (BUNCH - 1, 1));
        assert_eq!(spool.read(&last.marks, BUNCH).unwrap().portion, None);
        let (bunches, after) = spool.take_at_hand(&last.marks, BUNCH).unwrap();

        assert_eq!(bunches.concat(), (BUNCH..BUNCH + 10).collect::<Vec<_>>());
        assert_eq!(spool.waiting(&after), 0);
    }

    #[test]
    fn what_is_read_is_removed_also_while_there_is_always_something_at_hand() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<Vec<()>>::with_writers(home.path(), 1, AT_HAND);
        let line = [vec![b'x'; 64 << 10], b"\n".to_vec()].concat();
        let mut marks = Marks::default();
        for _ in 0..200 {
            assert!(spool.append(&line, &()).is_some());
            marks = spool.take_at_hand(&marks, 1).unwrap().1;
        }
        spool.append(&line, &());
        assert!(spool.files().unwrap().len() >= 3);

        let removed = spool.remove_read(&marks).unwrap();

        assert!(removed.len() >= 2);
        assert_eq!(spool.files().unwrap().len(), 1);
        assert_eq!(spool.waiting(&marks), line.len() as u64);
    }

    #[test]
    fn lanes_write_files_of_their_own_and_all_are_read_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<Vec<usize>>::with_writers(home.path(), 3, AT_HAND);
        let append = |from: usize| {
            (from..from + 30).for_each(|n| assert!(spool.append(format!("{n}\n").as_bytes(), &n).is_some()))
        };
        thread::scope(|scope| {
            for number in 1..3 {
                scope.spawn(move || {
                    lane::enter(number);
                    append(number * 100);
                });
            }
        });
        append(0);
        assert_eq!(spool.files().unwrap().len(), 3);

        let (bunches, marks) = spool.take_at_hand(&Marks::default(), 1_000).unwrap();

        assert_eq!(bunches.concat(), (0..3).flat_map(|lane| lane * 100..lane * 100 + 30).collect::<Vec<_>>());
        assert_eq!(spool.read(&marks, 10).unwrap(), Reading { portion: None, removed: Vec::new() });
        assert_eq!(spool.waiting(&marks), 0);
        spool.begin_anew();
        assert_eq!(spool.read(&marks, 10).unwrap().removed.len(), 3);
        assert!(spool.files().unwrap().is_empty());
    }

    #[test]
    fn what_the_disk_does_not_take_waits_until_it_does() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("spool");
        let spool = of_lines(&folder);
        fs::remove_dir(&folder).unwrap();

        assert_eq!(spool.append(b"first\n", &()), None);
        assert_eq!(spool.retry(), b"first\n".len());
        fs::create_dir(&folder).unwrap();
        assert_eq!(spool.retry(), 0);

        assert_eq!(all(&spool, &mut Marks::default()), ["first"]);
    }
}
