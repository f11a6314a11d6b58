//! Where an index keeps its files: in memory for reading, on disk for the next start.
//!
//! Reads never touch the disk again after opening. With mapped files, one that is truncated under a running service ends
//! the process by a signal; here it is noticed at the next start, and until then nothing is lost. The price is memory as
//! large as the index, some 25 MB for 100,000 assets. Writes are not forced to the disk: the index can be made again,
//! files carry checksums that are looked at when it is opened, and a commit is some twenty times quicker.

use std::{
    fmt, fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, RamDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
    error::{DeleteError, LockError, OpenReadError, OpenWriteError},
};

/// A folder that is read once and written through.
#[derive(Clone)]
pub(super) struct WriteThrough {
    folder: PathBuf,
    memory: RamDirectory,
}

impl fmt::Debug for WriteThrough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteThrough({})", self.folder.display())
    }
}

impl WriteThrough {
    /// Reads all files of `folder`, which is made where it is missing.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let memory = RamDirectory::default();
        for file in fs::read_dir(folder)? {
            let file = file?;
            if file.file_type()?.is_file() {
                memory.atomic_write(Path::new(&file.file_name()), &fs::read(file.path())?)?;
            }
        }
        Ok(Self { folder: folder.to_owned(), memory })
    }
}

impl Directory for WriteThrough {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.memory.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        match fs::remove_file(self.folder.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() })
            }
            _ => self.memory.delete(path),
        }
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.memory.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let failed = |error| OpenWriteError::wrap_io_error(error, path.to_owned());
        let file = fs::File::create(self.folder.join(path)).map_err(failed)?;
        let memory = self.memory.open_write(path)?;
        Ok(BufWriter::new(Box::new(Both { memory, file: BufWriter::new(file) })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.memory.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let unfinished = self.folder.join(path).with_extension("part");
        fs::write(&unfinished, data)?;
        fs::rename(&unfinished, self.folder.join(path))?;
        self.memory.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// The folder has one owner, who holds its lock (`place.rs`); a lock file would outlive a killed process.
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.memory.watch(callback)
    }
}

/// One file, written twice.
struct Both {
    memory: WritePtr,
    file: BufWriter<fs::File>,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.memory.write_all(bytes)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.memory.flush()
    }
}

impl TerminatingWrite for Both {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.file.flush()?;
        self.memory.flush()?;
        self.memory.terminate_ref(token)
    }
}
