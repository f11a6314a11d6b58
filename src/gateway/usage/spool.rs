//! The spool: usage records as lines of files below the data directory, from the end of a request until Postgres has them.
//! The last of them are also at hand in memory: while the database keeps up, hardly a line is read back.
//!
//! A line is handed to the operating system before the request is over, so that a killed process loses nothing; the
//! files are forced to the disk every second or so, which is what a power cut may cost. A file is removed when all
//! its lines are in the database. What is read twice is harmless there.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

/// A file grows to this size, then the next is begun.
const FILE_SIZE: u64 = 4 << 20;
/// Bytes that are read at once; no line is as long, whatever its caller's headers hold.
const READ: u64 = 512 << 10;
/// What is kept in memory when the disk takes nothing.
const KEPT: usize = 16 << 20;
/// Records at hand, of a kilobyte or so; those beyond are read from their lines.
const AT_HAND: usize = 2_000;

/// Where records wait; one writer, many who append, one who reads.
pub(super) struct Spool<R> {
    folder: PathBuf,
    writer: Mutex<Writer<R>>,
    /// Something was written since the last forcing to disk.
    unsynced: AtomicBool,
}

struct Writer<R> {
    number: u64,
    file: Option<File>,
    size: u64,
    /// Full files that were not forced to the disk yet.
    full: Vec<File>,
    /// Lines that the disk did not take.
    kept: Vec<u8>,
    at_hand: VecDeque<AtHand<R>>,
}

/// A record, and where its line begins and ends.
struct AtHand<R> {
    begin: Mark,
    end: Mark,
    record: R,
}

/// A part of the spool.
#[derive(Debug, PartialEq)]
pub(super) struct Portion {
    /// Whole lines.
    bytes: Vec<u8>,
    /// How far it goes.
    pub(super) end: Mark,
}

impl Portion {
    /// The lines, without their line breaks.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1])
    }
}

/// How far the reader has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    number: u64,
    offset: u64,
}

impl<R> Spool<R> {
    /// Opens the spool of this folder; what an earlier process left is read first. Where the folder cannot be made, what
    /// is appended waits in memory until it can.
    pub(super) fn open(folder: &Path) -> Self {
        let last = fs::create_dir_all(folder).and_then(|()| numbers(folder)).map(|numbers| numbers.last().copied());
        let number = last.unwrap_or_else(|error| {
            tracing::error!(error = %error, "The spool of usage records {} cannot be opened", folder.display());
            None
        });
        let number = number.map_or(1, |last| last + 1);
        let writer =
            Writer { number, file: None, size: 0, full: Vec::new(), kept: Vec::new(), at_hand: VecDeque::new() };
        let writer = Mutex::new(writer);
        Self { folder: folder.to_owned(), writer, unsynced: AtomicBool::new(false) }
    }

    /// Where the first line is, or will be.
    pub(super) fn beginning(&self) -> Mark {
        let writer = self.writer();
        let first = numbers(&self.folder).unwrap_or_default().first().copied();
        Mark { number: first.unwrap_or(writer.number), offset: 0 }
    }

    /// Adds a record, whose line ends in a line break. Gives false when the disk does not take it: it is then kept in memory
    /// and written with the next one, or dropped when too many are kept.
    pub(super) fn append(&self, line: &[u8], record: R) -> bool {
        let mut writer = self.writer();
        let written = writer.write(&self.folder, line);
        if written && writer.at_hand.len() < AT_HAND {
            let end = writer.mark();
            let begin = Mark { offset: end.offset - line.len() as u64, ..end };
            writer.at_hand.push_back(AtHand { begin, end, record });
        }
        self.unsynced.store(true, Ordering::Relaxed);
        written
    }

    /// Takes the records after `mark` that are at hand, at most so many, and gives the mark after them; none when what comes
    /// next has to be read.
    pub(super) fn take_at_hand(&self, mark: Mark, most: usize) -> Option<(Vec<R>, Mark)> {
        let mut writer = self.writer();
        let read = writer.at_hand.partition_point(|next| next.begin < mark);
        writer.at_hand.drain(..read);
        let (mut records, mut end) = (Vec::new(), mark);
        while records.len() < most
            && let Some(next) = writer.at_hand.pop_front_if(|next| next.begin == end)
        {
            end = next.end;
            records.push(next.record);
        }
        (!records.is_empty()).then_some((records, end))
    }

    /// The next lines after `mark`, at most so many; none when all are read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn read(&self, mark: Mark, most: usize) -> io::Result<Option<Portion>> {
        // Asked first: what is not written any more now has all its lines.
        let written = self.writer().number;
        for number in numbers(&self.folder)? {
            let from = if number == mark.number { mark.offset } else { 0 };
            if number >= mark.number
                && let Some(portion) = self.read_file(number, from, most)?
            {
                return Ok(Some(portion));
            }
            // Read to its end, or empty.
            if number < written {
                fs::remove_file(self.path(number))?;
            }
        }
        Ok(None)
    }

    fn read_file(&self, number: u64, from: u64, most: usize) -> io::Result<Option<Portion>> {
        let mut file = File::open(self.path(number))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(READ).read_to_end(&mut bytes)?;
        // A torn line ends a file whose writer was killed, or is being written; it is never longer than a portion.
        let end = memchr::memchr_iter(b'\n', &bytes).take(most).last().map_or(0, |at| at + 1);
        bytes.truncate(end);
        let mark = Mark { number, offset: from + end as u64 };
        Ok((end > 0).then_some(Portion { bytes, end: mark }))
    }

    /// Begins a new file where all of this one is read, which is removed; gives where lines go on.
    ///
    /// # Errors
    /// When the file cannot be removed; nothing is done then.
    pub(super) fn rotate(&self, mark: Mark) -> io::Result<Mark> {
        let mut writer = self.writer();
        if writer.mark() == mark && writer.size > 0 {
            fs::remove_file(self.path(mark.number))?;
            writer.file = None;
            writer.next();
            return Ok(writer.mark());
        }
        Ok(mark)
    }

    /// Tries the lines that the disk did not take once more; gives how many bytes it still does not take.
    pub(super) fn retry(&self) -> usize {
        let mut writer = self.writer();
        writer.retry(&self.folder);
        writer.kept.len()
    }

    /// Forces what was written to the disk. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn sync(&self) -> io::Result<()> {
        if !self.unsynced.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let files = {
            let mut writer = self.writer();
            let file = writer.file.as_ref().map(File::try_clone).transpose()?;
            std::mem::take(&mut writer.full).into_iter().chain(file)
        };
        files.into_iter().try_for_each(|file| file.sync_data())
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self, mark: Mark) -> u64 {
        let sizes = numbers(&self.folder).unwrap_or_default().into_iter().map(|number| {
            let size = fs::metadata(self.path(number)).map_or(0, |file| file.len());
            if number == mark.number { size.saturating_sub(mark.offset) } else { size }
        });
        sizes.sum()
    }

    /// Lays a line aside that the database will never take.
    pub(super) fn set_aside(&self, line: &[u8]) {
        let path = self.folder.join("rejected.txt");
        let file = OpenOptions::new().create(true).append(true).open(path);
        let line = [line.trim_ascii_end(), b"\n"].concat();
        let written = file.and_then(|mut file| file.write_all(&line));
        if let Err(error) = written {
            tracing::error!(error = %error, "A usage record that cannot be stored was lost");
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer<R>> {
        self.writer.lock().expect("no holder of this lock can panic")
    }

    fn path(&self, number: u64) -> PathBuf {
        path(&self.folder, number)
    }
}

impl<R> Writer<R> {
    /// How far was written.
    fn mark(&self) -> Mark {
        Mark { number: self.number, offset: self.size }
    }

    fn write(&mut self, folder: &Path, line: &[u8]) -> bool {
        if self.size >= FILE_SIZE {
            self.next();
        }
        if !self.retry(folder) {
            return self.keep(line);
        }
        match self.put(folder, line) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = %error, "A usage record waits in memory: the spool cannot be written");
                self.keep(line)
            }
        }
    }

    /// Writes what was kept; false where the disk still does not take it.
    fn retry(&mut self, folder: &Path) -> bool {
        let kept = std::mem::take(&mut self.kept);
        let is_written = kept.is_empty() || self.put(folder, &kept).is_ok();
        if !is_written {
            self.kept = kept;
        }
        is_written
    }

    fn put(&mut self, folder: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().create(true).append(true).open(path(folder, self.number))?;
                self.file.insert(file)
            }
        };
        match file.write_all(bytes) {
            Ok(()) => {
                self.size += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a line may be there: what follows begins in a new file, and the half is passed over.
                self.next();
                Err(error)
            }
        }
    }

    fn keep(&mut self, line: &[u8]) -> bool {
        if self.kept.len() + line.len() <= KEPT {
            self.kept.extend_from_slice(line);
        } else {
            metrics::counter!("wharfinger_usage_records_lost_total").increment(1);
        }
        false
    }

    fn next(&mut self) {
        self.number += 1;
        self.full.extend(self.file.take());
        self.size = 0;
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.jsonl"))
}

/// The numbers of the files that are there, in order.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(spool: &Spool<()>, mark: &mut Mark) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(portion) = spool.read(*mark, 10).unwrap() {
            *mark = portion.end;
            lines.extend(portion.lines().map(|line| String::from_utf8(line.to_vec()).unwrap()));
        }
        lines
    }

    #[test]
    fn what_is_written_is_read_once_and_in_order() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<()>::open(home.path());
        (0..25).for_each(|n| assert!(spool.append(format!("{n}\n").as_bytes(), ())));

        let mut mark = Mark::default();
        assert_eq!(all(&spool, &mut mark), (0..25).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(all(&spool, &mut mark).is_empty());
        spool.append(b"more\n", ());
        assert_eq!(all(&spool, &mut mark), ["more"]);
    }

    #[test]
    fn what_a_killed_process_left_is_read_by_the_next_without_its_torn_line() {
        let home = tempfile::tempdir().unwrap();
        {
            let spool = Spool::<()>::open(home.path());
            spool.append(b"whole\n", ());
            spool.append(b"to", ());
        }

        let spool = Spool::<()>::open(home.path());
        spool.append(b"new\n", ());

        let mut mark = Mark::default();
        assert_eq!(all(&spool, &mut mark), ["whole", "new"]);
        spool.rotate(mark).unwrap();
        assert!(numbers(home.path()).unwrap().is_empty(), "read files are removed");
    }

    #[test]
    fn an_unacknowledged_portion_comes_again() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<()>::open(home.path());
        spool.append(b"a\n", ());

        let first = spool.read(Mark::default(), 10).unwrap();
        assert_eq!(first, spool.read(Mark::default(), 10).unwrap());
    }

    #[test]
    fn files_are_bounded_and_go_when_they_are_read() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::<()>::open(home.path());
        let line = vec![b'x'; 64 << 10];
        for _ in 0..100 {
            spool.append(&[&line[..], b"\n"].concat(), ());
        }
        assert!(numbers(home.path()).unwrap().len() >= 2);

        let mut mark = Mark::default();
        assert_eq!(all(&spool, &mut mark).len(), 100);
        assert_eq!(numbers(home.path()).unwrap().len(), 1);
        assert_eq!(spool.waiting(mark), 0);
    }

    #[test]
    fn what_is_at_hand_is_given_once_in_order_and_never_across_a_gap() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::open(home.path());
        let append = |n: usize| assert!(spool.append(format!("{n}\n").as_bytes(), n));
        let read = |mark: Mark| {
            let portion = spool.read(mark, 100).unwrap()?;
            let lines = portion.lines().map(|line| std::str::from_utf8(line).unwrap().parse().unwrap());
            Some((lines.collect::<Vec<usize>>(), portion.end))
        };
        let next = |mark: Mark| spool.take_at_hand(mark, 100).or_else(|| read(mark));
        (0..AT_HAND + 50).for_each(append);
        let (mut given, mut mark) = spool.take_at_hand(spool.beginning(), 100).unwrap();
        while given.len() < AT_HAND {
            let (some, after) = next(mark).unwrap();
            given.extend(some);
            mark = after;
        }
        // The fifty are not at hand, these are again.
        (AT_HAND + 50..AT_HAND + 60).for_each(append);
        assert_eq!(spool.rotate(mark).unwrap(), mark, "not all of it is read");
        (AT_HAND + 60..AT_HAND + 70).for_each(append);
        while let Some((some, after)) = next(mark) {
            given.extend(some);
            mark = after;
        }

        assert_eq!(given, (0..AT_HAND + 70).collect::<Vec<_>>());
        assert!(spool.take_at_hand(mark, 100).is_none());
        // When all is read, lines go on in a file of their own, still at hand.
        mark = spool.rotate(mark).unwrap();
        append(0);
        assert_eq!(spool.take_at_hand(mark, 100).unwrap().0, [0]);
    }

    #[test]
    fn what_the_disk_does_not_take_waits_until_it_does() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("spool");
        let spool = Spool::<()>::open(&folder);
        fs::remove_dir(&folder).unwrap();

        assert!(!spool.append(b"first\n", ()));
        assert_eq!(spool.retry(), b"first\n".len());
        fs::create_dir(&folder).unwrap();
        assert_eq!(spool.retry(), 0);

        assert_eq!(all(&spool, &mut spool.beginning()), ["first"]);
    }
}
