//! Which folder an index lives in. A data directory may serve several processes: each takes a numbered place of its own
//! and holds its lock; inside, the file `current` names the folder of the index in use.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Most processes that share a data directory.
const PLACES: usize = 64;
const CURRENT: &str = "current";

/// A place of this process; others may have it when this is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    _lock: File,
}

impl Place {
    /// The first place below `folder` that no other process holds.
    pub(super) fn take(folder: &Path) -> io::Result<Self> {
        for number in 0..PLACES {
            let folder = folder.join(number.to_string());
            fs::create_dir_all(&folder)?;
            let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(io::Error::other(format!("all {PLACES} places in {} are taken", folder.display())))
    }

    /// The folder of the index in use, when there is one.
    pub(super) fn current(&self) -> Option<PathBuf> {
        let name = fs::read_to_string(self.folder.join(CURRENT)).ok()?;
        let is_plain = name.starts_with("index-") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        Some(self.folder.join(name)).filter(|folder| is_plain && folder.is_dir())
    }

    /// A new, empty folder that is not in use yet.
    pub(super) fn fresh(&self) -> io::Result<PathBuf> {
        let folder = self.folder.join(format!("index-{}", uuid::Uuid::now_v7().simple()));
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Takes `folder` into use and removes all others.
    pub(super) fn set_current(&self, folder: &Path) -> io::Result<()> {
        let name = folder.file_name().unwrap_or_default();
        let unfinished = self.folder.join("current.part");
        fs::write(&unfinished, name.as_encoded_bytes())?;
        fs::rename(&unfinished, self.folder.join(CURRENT))?;
        for other in fs::read_dir(&self.folder)? {
            let other = other?;
            let is_index = other.file_name().as_encoded_bytes().starts_with(b"index-");
            if is_index && other.file_name() != name {
                fs::remove_dir_all(other.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_take_two_places_and_a_free_one_is_taken_again() {
        let data = tempfile::tempdir().unwrap();
        let first = Place::take(data.path()).unwrap();

        let second = Place::take(data.path()).unwrap();
        assert_ne!(first.folder, second.folder);
        let freed = first.folder.clone();
        drop(first);

        assert_eq!(Place::take(data.path()).unwrap().folder, freed);
    }

    #[test]
    fn taking_a_folder_into_use_removes_the_others() {
        let data = tempfile::tempdir().unwrap();
        let place = Place::take(data.path()).unwrap();
        assert_eq!(place.current(), None);
        let (old, new) = (place.fresh().unwrap(), place.fresh().unwrap());
        place.set_current(&old).unwrap();

        let new = { place.fresh().unwrap_or(new) };
        place.set_current(&new).unwrap();

        assert_eq!(place.current(), Some(new));
        assert!(!old.exists());
    }

    #[test]
    fn a_damaged_name_leads_nowhere() {
        let data = tempfile::tempdir().unwrap();
        let place = Place::take(data.path()).unwrap();

        for damaged in ["../..", "index-../..", "", "\0"] {
            fs::write(place.folder.join(CURRENT), damaged).unwrap();
            assert_eq!(place.current(), None, "{damaged:?}");
        }
    }
}
