//! `Writer`: writes the lines of one lane into files of its own, so that no lane waits for another's write.

use super::Bunch;
use super::marks::{Mark, Marks};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A file grows to this size, then the next is begun.
const FILE_SIZE: u64 = 4 << 20;

/// The files of a spool. Their names are ids in the order of time, given once: what the database knows of a file it knows
/// of no other.
pub(super) struct Files {
    folder: PathBuf,
}

/// What a writer may keep in memory.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Bunches at hand; what is beyond is read from its lines.
    pub(super) bunches: usize,
    /// Records of a bunch.
    pub(super) bunch: usize,
    /// Bytes of lines that the disk does not take.
    pub(super) bytes: usize,
}

pub(super) struct Writer<B> {
    name: Uuid,
    file: Option<File>,
    size: u64,
    /// Records so far.
    appended: u64,
    /// Full files that were not forced to the disk yet.
    full: Vec<File>,
    /// Lines that the disk did not take.
    kept: Vec<u8>,
    at_hand: VecDeque<AtHand<B>>,
    room: Room,
}

/// A bunch, and where its lines begin and end.
struct AtHand<B> {
    file: Uuid,
    begin: u64,
    end: u64,
    bunch: B,
}

impl Files {
    /// The files of a folder, which is made.
    pub(super) fn of(folder: &Path) -> Self {
        if let Err(error) = fs::create_dir_all(folder) {
            tracing::error!(error = %error, "The spool of usage records {} cannot be opened", folder.display());
        }
        Self { folder: folder.to_owned() }
    }

    pub(super) fn path(&self, name: Uuid) -> PathBuf {
        self.folder.join(format!("{name}.jsonl"))
    }

    pub(super) fn rejected(&self) -> PathBuf {
        self.folder.join("rejected.txt")
    }

    /// The names of the files that are there, the oldest first.
    pub(super) fn names(&self) -> io::Result<Vec<Uuid>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // What has no id as its name is not of the spool's files.
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            names.extend(name.and_then(|name| name.parse::<Uuid>().ok()));
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl<B: Bunch> Writer<B> {
    pub(super) fn new(room: Room) -> Self {
        Self {
            name: Uuid::now_v7(),
            file: None,
            size: 0,
            appended: 0,
            full: Vec::new(),
            kept: Vec::new(),
            at_hand: VecDeque::new(),
            room,
        }
    }

    /// The file that is written.
    pub(super) fn file(&self) -> Uuid {
        self.name
    }

    /// Bytes that the disk did not take.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Records at hand.
    pub(super) fn at_hand(&self) -> usize {
        self.at_hand.iter().map(|at_hand| at_hand.bunch.len()).sum()
    }

    /// Adds a record, whose line ends in a line break; gives its number, or none when the disk does not take it.
    pub(super) fn append(&mut self, files: &Files, line: &[u8], record: &B::Record) -> Option<u64> {
        if !self.write(files, line) {
            return None;
        }
        self.appended += 1;
        let (file, end) = (self.name, self.size);
        let begin = end - line.len() as u64;
        let Room { bunches, bunch, .. } = self.room;
        let goes_on = |last: &AtHand<B>| (last.file, last.end) == (file, begin) && last.bunch.len() < bunch;
        if !self.at_hand.back().is_some_and(goes_on) && self.at_hand.len() < bunches {
            self.at_hand.push_back(AtHand { file, begin, end: begin, bunch: B::default() });
        }
        if let Some(last) = self.at_hand.back_mut().filter(|last| goes_on(last)) {
            last.bunch.add(record);
            last.end = end;
        }
        Some(self.appended)
    }

    /// Gives the first bunch at hand, where it follows what is read.
    pub(super) fn give(&mut self, marks: &mut Marks) -> Option<B> {
        // What is read in part or beyond is read on from the lines.
        while self.at_hand.pop_front_if(|next| next.begin < marks.offset(next.file)).is_some() {}
        let next = self.at_hand.pop_front_if(|next| next.begin == marks.offset(next.file))?;
        marks.advance(Mark { file: next.file, offset: next.end });
        Some(next.bunch)
    }

    /// Where in this file that begins which is at hand, where any of it is.
    pub(super) fn at_hand_from(&self, file: Uuid) -> Option<u64> {
        self.at_hand.iter().find(|at_hand| at_hand.file == file).map(|at_hand| at_hand.begin)
    }

    /// Files that have to be forced to the disk.
    pub(super) fn unforced(&mut self) -> io::Result<Vec<File>> {
        let file = self.file.as_ref().map(File::try_clone).transpose()?;
        Ok(std::mem::take(&mut self.full).into_iter().chain(file).collect())
    }

    fn write(&mut self, files: &Files, line: &[u8]) -> bool {
        if self.size >= FILE_SIZE {
            self.begin_next();
        }
        if !self.retry(files) {
            return self.keep(line);
        }
        match self.put(files, line) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = %error, "A usage record waits in memory: the spool cannot be written");
                self.keep(line)
            }
        }
    }

    /// Writes what was kept; false where the disk still does not take it.
    pub(super) fn retry(&mut self, files: &Files) -> bool {
        let kept = std::mem::take(&mut self.kept);
        let is_written = kept.is_empty() || self.put(files, &kept).is_ok();
        if !is_written {
            self.kept = kept;
        }
        is_written
    }

    fn put(&mut self, files: &Files, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().create(true).append(true).open(files.path(self.name))?;
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
                self.begin_next();
                Err(error)
            }
        }
    }

    fn keep(&mut self, line: &[u8]) -> bool {
        if self.kept.len() + line.len() <= self.room.bytes {
            self.kept.extend_from_slice(line);
        } else {
            metrics::counter!("wharfinger_usage_records_lost_total").increment(1);
        }
        false
    }

    /// Lines go on in a new file.
    pub(super) fn begin_next(&mut self) {
        self.name = Uuid::now_v7();
        self.full.extend(self.file.take());
        self.size = 0;
    }
}
