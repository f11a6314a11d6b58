//! Which Postgres programs are used, and under which account.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder with `postgres` and `initdb`.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    pub(super) bin: PathBuf,
}

/// Folders with one folder a version.
const VERSIONED: &[&str] = &[
    "/usr/lib/postgresql",
    "/usr/local/lib/postgresql",
    "/usr/pgsql",
    "/opt/homebrew/opt",
    "/usr/local/opt",
    "/Applications/Postgres.app/Contents/Versions",
];

/// The oldest version whose SQL we use.
const OLDEST: u32 = 14;

impl Installation {
    /// The programs to use for `data`: of the version that made it where it exists, else the newest found first.
    ///
    /// # Errors
    /// When there are none that fit; the text says what to install.
    pub(super) fn find(bin: Option<&Path>, data: &Path) -> Result<Self> {
        let made_by = fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse::<u32>().ok());
        let mut seen = Vec::new();
        for folder in candidates(bin) {
            let Some(version) = version(&folder) else { continue };
            if made_by.map_or(version >= OLDEST, |wanted| wanted == version) {
                return Ok(Self { bin: folder });
            }
            seen.push(format!("{version} in {}", folder.display()));
        }
        match (made_by, seen.is_empty()) {
            (Some(wanted), _) => bail!(
                "the private Postgres below {} was made by version {wanted}, whose programs were not found (found: {}); \
                 install that version beside the others, or give its folder as WHARFINGER_POSTGRES_BIN",
                data.display(),
                if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
            ),
            (None, true) => bail!(
                "no Postgres programs were found; `make setup` installs them (Debian: apt-get install postgresql), or set \
                 WHARFINGER_POSTGRES_BIN to their folder, or WHARFINGER_DATABASE_URL to a server"
            ),
            (None, false) => bail!("Postgres {OLDEST} or newer is needed; found: {}", seen.join(", ")),
        }
    }
}

/// Folders that may hold the programs, best first.
fn candidates(bin: Option<&Path>) -> Vec<PathBuf> {
    if let Some(bin) = bin {
        return vec![bin.to_owned()];
    }
    let mut versioned: Vec<(u32, PathBuf)> = VERSIONED
        .iter()
        .filter_map(|root| fs::read_dir(root).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.trim_start_matches("postgresql@").parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    versioned.sort_unstable_by(|a, b| b.cmp(a));
    let versioned = versioned.into_iter().map(|(_, folder)| folder);
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    versioned.chain(std::env::split_paths(&on_path)).collect()
}

/// The major version of the programs in `folder`, where both are there and run.
fn version(folder: &Path) -> Option<u32> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split(") ").nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// An account without rights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account the server is to run as, where it is not our own: Postgres refuses to run as root.
    ///
    /// # Errors
    /// When we are root and the system has neither the account `postgres` nor `nobody`.
    pub(super) fn for_postgres() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let found = ["postgres", "nobody"].iter().find_map(|name| read_account(&accounts, name));
        found.map(Some).context(
            "Postgres does not run as root, and there is no account `postgres` or `nobody` it could run as; \
             create one or start Wharfinger as an ordinary user",
        )
    }
}

fn read_account(accounts: &str, name: &str) -> Option<Account> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Account { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_by_its_whole_name() {
        let accounts = "postgres2:x:7:7::/:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n";

        assert!(read_account(accounts, "postgres").is_none());
        let nobody = read_account(accounts, "nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
    }

    #[test]
    fn a_folder_without_programs_is_told_with_what_to_do() {
        let empty = tempfile::tempdir().unwrap();

        let message = Installation::find(Some(empty.path()), empty.path()).unwrap_err().to_string();
        assert!(message.contains("make setup"), "{message}");
    }

    #[test]
    fn data_of_a_version_that_is_not_installed_is_not_touched_by_another() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("PG_VERSION"), "9\n").unwrap();

        let message = Installation::find(None, data.path()).unwrap_err().to_string();
        assert!(message.contains("was made by version 9"), "{message}");
    }
}
