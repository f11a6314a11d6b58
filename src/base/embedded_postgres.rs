//! The private Postgres of a start without a database URL: found, initialised, started, watched and stopped by us.
//!
//! It listens on a socket in a folder only its account may enter, never on TCP; the folder's mode is the authentication.
//! Either process may be killed at any time: a Postgres that outlived us is taken over, one that died is started again.

mod install;

use anyhow::{Context, Result, bail};
use install::{Account, Installation};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// The role we connect as.
const ROLE: &str = "wharfinger";
/// A socket's path may have 107 bytes; `/.s.PGSQL.5432` takes 14 of them.
const LONGEST_SOCKET_FOLDER: usize = 90;
/// How long a start may take, recovery after a crash included.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A server's log longer than this is put aside at the next start.
const LOG_LIMIT: u64 = 16 << 20;

/// A running private Postgres. Dropping it leaves the server running; [`EmbeddedPostgres::stop`] ends it.
pub struct EmbeddedPostgres {
    place: Place,
    /// Whether a server that was already running was taken over.
    pub adopted: bool,
    stop: CancellationToken,
    watcher: tokio::task::JoinHandle<Result<()>>,
}

/// Where everything lies and under which account it runs.
#[derive(Clone)]
struct Place {
    installation: Installation,
    account: Option<Account>,
    data: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    tuning: Vec<(String, String)>,
}

impl EmbeddedPostgres {
    /// Starts the server whose data lies below `home`, or takes over the one that runs there.
    ///
    /// `bin` is the folder of the programs, where the usual places are not to be searched. `tuning` are settings of the
    /// server beside our own.
    ///
    /// # Errors
    /// When no programs are found, a folder cannot be prepared, or the server does not come up within two minutes; the
    /// text says what to do.
    pub async fn start(home: &Path, bin: Option<&Path>, tuning: &[(&str, &str)]) -> Result<Self> {
        let place = Place::prepare(home, bin, tuning)?;
        let (child, adopted) = place.up().await?;
        let stop = CancellationToken::new();
        let watcher = tokio::spawn(watch(place.clone(), child, stop.clone()));
        Ok(Self { place, adopted, stop, watcher })
    }

    /// How to reach `database` on this server.
    #[must_use]
    pub fn options(&self, database: &str) -> PgConnectOptions {
        self.place.options(database)
    }

    /// How to reach a database of the server that another process runs for `home`; does not start one.
    #[must_use]
    pub fn options_of_running(home: &Path, database: &str) -> PgConnectOptions {
        options(&socket_folder(home), database)
    }

    /// The process id of the server, as it wrote it down.
    #[must_use]
    pub fn process_id(&self) -> Option<i32> {
        self.place.postmaster().map(|pid| pid.as_raw_nonzero().get())
    }

    /// Stops the server in order; data is safe either way.
    ///
    /// # Errors
    /// When the server does not end within half a minute.
    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.watcher.await.context("the watcher of the private Postgres failed")?
    }
}

/// Starts the server again whenever it ends, until told to stop; then stops it.
async fn watch(place: Place, mut child: Option<Child>, stop: CancellationToken) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return place.down(child).await,
            () = place.ended(&mut child) => {}
        }
        tracing::error!("The private Postgres ended; starting it again");
        metrics::counter!("wharfinger_embedded_postgres_restarts_total").increment(1);
        match place.up().await {
            Ok((started, _)) => child = started,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "The private Postgres did not start; trying again");
                child = None;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

impl Place {
    fn prepare(home: &Path, bin: Option<&Path>, tuning: &[(&str, &str)]) -> Result<Self> {
        let home = std::path::absolute(home)?;
        fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        let account = Account::for_postgres()?;
        let data = home.join("postgres");
        let installation = Installation::find(bin, &data)?;
        if account.is_some() {
            may_be_entered(&home)?;
        }
        let socket = socket_folder(&home);
        private_folder(&socket, account)?;
        let tuning = tuning.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Self { installation, account, data, socket, log: home.join("postgres.log"), tuning })
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        options(&self.socket, database)
    }

    /// Makes the server run: takes over one that answers, else starts one. The child is none when it was taken over.
    async fn up(&self) -> Result<(Option<Child>, bool)> {
        if self.answers().await {
            return Ok((None, true));
        }
        if !self.data.join("PG_VERSION").exists() {
            self.initialise().await?;
        }
        let begun = Instant::now();
        loop {
            let mut child = self.spawn()?;
            let status = loop {
                if self.answers().await {
                    return Ok((Some(child), false));
                }
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if begun.elapsed() > READY_WITHIN {
                    child.kill().await?;
                    bail!("the private Postgres did not become ready in time; see {}", self.log.display());
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            };
            // A server that was killed leaves children and a lock file for a moment, and one that is just starting
            // cannot be connected to yet: both look like this, and both pass.
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("the private Postgres ended with {status}; the reason stands in {}", self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            if self.answers().await {
                return Ok((None, true));
            }
        }
    }

    async fn answers(&self) -> bool {
        let connection = tokio::time::timeout(Duration::from_secs(2), self.options("postgres").connect()).await;
        match connection {
            Ok(Ok(connection)) => connection.close().await.is_ok(),
            _ => false,
        }
    }

    /// Initialises into a folder of its own and renames it, so that a start that is killed half-way leaves nothing that
    /// looks finished.
    async fn initialise(&self) -> Result<()> {
        let home = self.data.parent().context("the data folder has a parent")?;
        for entry in fs::read_dir(home)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("postgres.new-") {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let fresh = home.join(format!("postgres.new-{}", std::process::id()));
        private_folder(&fresh, self.account)?;
        let mut complaint = String::new();
        // The second locale is for systems that do not know the first; it sorts the same, and folds only ASCII.
        for locale in ["--locale=C.UTF-8", "--no-locale"] {
            let output = self
                .command("initdb")
                .arg("-D")
                .arg(&fresh)
                .args(["-U", ROLE, "--auth=trust", "--encoding=UTF8", "--no-instructions", locale])
                .args(self.tuning.iter().any(|(name, value)| name == "fsync" && value == "off").then_some("--no-sync"))
                .output()
                .await
                .context("initdb could not be started")?;
            if output.status.success() {
                if self.data.exists() {
                    fs::remove_dir(&self.data).with_context(|| {
                        format!("{} exists but holds no database; move it away", self.data.display())
                    })?;
                }
                return Ok(fs::rename(&fresh, &self.data)?);
            }
            complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        }
        bail!("initdb failed: {complaint}")
    }

    fn spawn(&self) -> Result<Child> {
        if fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_LIMIT) {
            fs::rename(&self.log, self.log.with_extension("log.1"))?;
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(&self.data)
            .args(["-c", "listen_addresses="])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.socket.display()))
            .args(["-c", "max_connections=100", "-c", "shared_buffers=128MB", "-c", "log_min_messages=warning"]);
        for (name, value) in &self.tuning {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in a terminal reaches the whole group; Postgres must outlive our own orderly stop.
            .process_group(0)
            .spawn()
            .context("postgres could not be started")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.installation.bin.join(program));
        // PGDATA, PGPORT and the like of a stranger's environment mean another server.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("HOME", "/");
        for name in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// The server's process, as it wrote it down.
    fn postmaster(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
    }

    /// Returns when the server has ended: our own child at once, one taken over within half a second.
    async fn ended(&self, child: &mut Option<Child>) {
        match child {
            Some(child) => {
                if let Err(error) = child.wait().await {
                    tracing::error!(error = %error, "The private Postgres cannot be waited for");
                }
            }
            None => {
                while self.postmaster().is_some_and(is_alive) {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// Orderly stop: SIGINT ends sessions and checkpoints; after half a minute SIGQUIT leaves the rest to recovery.
    async fn down(&self, mut child: Option<Child>) -> Result<()> {
        let Some(postmaster) = self.postmaster() else { return Ok(()) };
        for (signal, patience) in [(Signal::INT, 30), (Signal::QUIT, 10)] {
            if kill_process(postmaster, signal).is_err() {
                return Ok(());
            }
            let ended = async {
                match &mut child {
                    Some(child) => child.wait().await.map(|_| ()),
                    None => {
                        while is_alive(postmaster) {
                            tokio::time::sleep(Duration::from_millis(25)).await;
                        }
                        Ok(())
                    }
                }
            };
            if let Ok(outcome) = tokio::time::timeout(Duration::from_secs(patience), ended).await {
                return Ok(outcome?);
            }
        }
        bail!("the private Postgres did not end; its process id is {}", postmaster.as_raw_nonzero())
    }
}

fn options(socket: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(socket).port(5432).username(ROLE).database(database)
}

fn is_alive(process: Pid) -> bool {
    match test_kill_process(process) {
        Ok(()) => true,
        // It exists and is not ours to signal.
        Err(error) => io::Error::from(error).kind() == io::ErrorKind::PermissionDenied,
    }
}

/// Where the socket lies: below `home`, or where that path is too long in a folder of the system named after it.
fn socket_folder(home: &Path) -> PathBuf {
    let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    let below = home.join("run");
    if below.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        return below;
    }
    use sha2::{Digest, Sha256};
    let digest = hex::encode(&Sha256::digest(home.as_os_str().as_encoded_bytes())[..8]);
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute() && folder.as_os_str().len() <= LONGEST_SOCKET_FOLDER - 40)
        .unwrap_or_else(|| PathBuf::from("/tmp"))
        .join(format!("wharfinger-{digest}"))
}

/// Makes a folder that only the server's account may enter. In a shared place somebody else could have made it first:
/// such a folder is refused.
fn private_folder(path: &Path, account: Option<Account>) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot create {}", path.display()));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    let us = rustix::process::geteuid().as_raw();
    let owners = [us, account.map_or(us, |account| account.uid)];
    if !found.is_dir() || !owners.contains(&found.uid()) {
        bail!("{} belongs to somebody else; remove it or choose another data directory", path.display());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    if let Some(account) = account {
        std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))?;
    }
    Ok(())
}

/// As root the server runs under another account, which must be able to walk to its data.
fn may_be_entered(home: &Path) -> Result<()> {
    for folder in home.ancestors() {
        if fs::metadata(folder)?.mode() & 0o001 == 0 {
            bail!(
                "Postgres does not run as root, and the account it runs as cannot enter {}; choose another data \
                 directory (WHARFINGER_DATA_DIR), or allow entering: chmod o+x {}",
                folder.display(),
                folder.display()
            );
        }
    }
    Ok(())
}
