//! The text of a key ring, and the file it is kept in.

use super::{Kek, SealError};
use crate::base::Sealed;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The keys of a text; separated by lines or commas.
pub(super) fn parse(text: &str, place: &str) -> Result<Vec<Kek>, SealError> {
    let mut keys: Vec<Kek> = Vec::new();
    let uncommented = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let written = uncommented.flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty());
    for (number, line) in written.enumerate() {
        let wrong = |what: &str| SealError::Ring(format!("{place}, key {}: {what}", number + 1));
        let (id, key) = line.split_once(':').ok_or_else(|| wrong("write `id:key`"))?;
        if id.is_empty() || id.len() > 63 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(wrong("an id has 1 to 63 letters, digits, '-', '_' and '.'"));
        }
        let bytes = STANDARD.decode(key.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key =
            bytes.ok_or_else(|| wrong("a key is 32 random bytes in base64; `openssl rand -base64 32` makes one"))?;
        if keys.iter().any(|kek| kek.id == id) {
            return Err(wrong("this id stands there twice"));
        }
        keys.push(Kek { id: id.to_owned(), key: Sealed::new(key) });
    }
    if keys.is_empty() { Err(SealError::Ring(format!("{place} holds no key"))) } else { Ok(keys) }
}

pub(super) fn parse_file(file: &Path) -> Result<Vec<Kek>, SealError> {
    let unreadable = |error: std::io::Error| SealError::Ring(format!("cannot read {}: {error}", file.display()));
    let mode = std::fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SealError::Ring(format!(
            "{} can be read by others; `chmod 600` it, and change its keys if others may have read them",
            file.display()
        )));
    }
    parse(&std::fs::read_to_string(file).map_err(unreadable)?, &file.display().to_string())
}

/// The keys of the file; a first start makes it.
pub(super) fn read_or_make(file: &Path) -> Result<Vec<Kek>, SealError> {
    if file.exists() {
        return parse_file(file);
    }
    let failed = |error: std::io::Error| SealError::Ring(format!("cannot write {}: {error}", file.display()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|_| SealError::NoRandom)?;
    let text = format!(
        "# Keys that seal the credentials in the database. Without them those cannot be read: back this file up, apart\n\
         # from the database. To change the key put a new line `id:key` first, then run `wharfinger rewrap`.\n\
         key-{}:{}\n",
        hex::encode(&uuid::Uuid::new_v4().as_bytes()[..4]),
        STANDARD.encode(key),
    );
    // Written beside and renamed: a start that is killed leaves no half file. `create_new` on the link keeps the first.
    let part = file.with_extension(format!("part-{}", std::process::id()));
    let mut made =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(failed)?;
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
    let linked = std::fs::hard_link(&part, file);
    let removed = std::fs::remove_file(&part);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => removed.map_err(failed)?,
    }
    parse_file(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_makes_the_file_and_later_ones_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("encryption-keys");

        let made = read_or_make(&file).unwrap();
        let read = read_or_make(&file).unwrap();

        assert_eq!((made[0].id.as_str(), made[0].key.expose()), (read[0].id.as_str(), read[0].key.expose()));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(parse_file(&file).is_err(), "others may read it");
    }

    #[test]
    fn what_is_no_key_is_told_without_showing_it() {
        for wrong in
            ["", "# nothing", "AAAA", "a:c2hvcnQ=", "a b:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "a:canary"]
        {
            let Err(error) = parse(wrong, "FILE") else { panic!("{wrong} was taken") };
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
