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

/// Lines that were not taken to the end.
struct Torn {
    /// Bytes of those that were.
    whole: usize,
    error: io::Error,
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
            Err(Torn { error, .. }) => {
                tracing::warn!(error = %error, "A usage record waits in memory: the spool cannot be written");
                self.keep(line)
            }
        }
    }

    /// Writes what was kept; false where the disk still does not take it.
    pub(super) fn retry(&mut self, files: &Files) -> bool {
        let mut kept = std::mem::take(&mut self.kept);
        let Err(Torn { whole, .. }) = self.put(files, &kept) else { return true };
        // What stands in the file is read from there: written once more, it would count twice.
        self.kept = kept.split_off(whole);
        false
    }

    fn put(&mut self, files: &Files, bytes: &[u8]) -> Result<(), Torn> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().create(true).append(true).open(files.path(self.name));
                self.file.insert(opened.map_err(|error| Torn { whole: 0, error })?)
            }
        };
        let written = written(file, bytes);
        match &written {
            Ok(()) => self.size += bytes.len() as u64,
            // Half a line may be there: what follows begins in a new file, and the half is passed over.
            Err(_) => self.begin_next(),
        }
        written
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

/// Writes these lines; where they are not taken to the end, tells how much of them is there in whole lines.
fn written(file: &mut File, lines: &[u8]) -> Result<(), Torn> {
    let mut at = 0;
    while at < lines.len() {
        let error = match file.write(&lines[at..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(some) => {
                at += some;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        let whole = memchr::memrchr(b'\n', &lines[..at]).map_or(0, |end| end + 1);
        return Err(Torn { whole, error });
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_full_disk_took_of_the_kept_lines_is_not_written_again() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::of(home.path());
        let mut writer = Writer::<Vec<()>>::new(Room { bunches: 0, bunch: 1, bytes: 1 << 20 });
        let lines: Vec<String> = (0..40_000).map(|number| format!("{number:05}\n")).collect();
        writer.kept = lines.concat().into();
        // A pipe whose reader leaves in the middle of a line.
        let (mut reader, sender) = io::pipe().unwrap();
        symlink(format!("/proc/self/fd/{}", sender.as_raw_fd()), files.path(writer.file())).unwrap();
        let reading = std::thread::spawn(move || reader.read_exact(&mut vec![0; 100_001]));

        assert!(!writer.retry(&files));
        reading.join().unwrap().unwrap();
        assert!(writer.retry(&files));

        let written = fs::read_to_string(files.path(writer.file())).unwrap();
        let first: usize = written[..5].parse().unwrap();
        assert!(first >= 100_001 / 6, "from {first} on");
        assert_eq!(written, lines[first..].concat());
    }
}
