//! The program as its own process, as an operator runs it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How long a start may take on a busy machine with an unoptimised build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; dropping it kills it.
pub struct Program {
    pub child: Child,
    pub url: String,
    /// Printed on a first start.
    pub admin_key: Option<String>,
    pub http: reqwest::Client,
}

/// The built program with these settings and none of the environment's.
pub fn program(settings: &[(&str, &str)]) -> Command {
    let mut command = without_settings(Command::new(env!("CARGO_BIN_EXE_wharfinger")));
    command.env("WHARFINGER_LISTEN", "127.0.0.1:0").envs(settings.iter().copied()).kill_on_drop(true);
    command
}

/// A command that sees none of the settings that the tests were started with.
pub fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHARFINGER_")) {
        command.env_remove(name);
    }
    command
}

impl Program {
    /// Starts serving on a free port and waits until it says that it is ready.
    pub async fn serve(settings: &[(&str, &str)]) -> Self {
        Self::serve_as(program(settings)).await
    }

    /// As [`Program::serve`], by a command of one's own.
    pub async fn serve_as(command: Command) -> Self {
        Self::serve_with_log(command).await.0
    }

    /// As [`Program::serve_as`], with what it logs: all of it, once it has ended.
    pub async fn serve_with_log(mut command: Command) -> (Self, JoinHandle<String>) {
        let mut child = command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut log = tokio::spawn(read_all(child.stderr.take().unwrap()));
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("Wharfinger is ready at ") {
                    return url.to_owned();
                }
            }
            panic!("the program ended: {}", (&mut log).await.unwrap());
        };
        let url = tokio::time::timeout(PATIENCE, ready).await.expect("ready in time");
        // The key, where there is one, is printed in the same breath.
        let next = tokio::time::timeout(Duration::from_millis(300), lines.next_line()).await;
        let admin_key =
            next.ok().and_then(|line| line.unwrap()).and_then(|line| Some(line.split_once("whf_")?.1.to_owned()));
        wharfinger::base::use_tls();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        (Self { child, url, admin_key: admin_key.map(|rest| format!("whf_{rest}")), http }, log)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        rustix::process::kill_process(id.expect("it runs"), signal).unwrap();
    }

    /// Kills it, and waits until it is gone: until then it holds its data directory.
    pub async fn kill(mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.child.wait().await.unwrap();
    }

    /// Stops it in order; gives whether it ended well, and how long that took.
    pub async fn stop(mut self) -> (bool, Duration) {
        let begun = std::time::Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("stops in time").unwrap();
        (status.success(), begun.elapsed())
    }

    /// Runs a command of the program against this one, with a key.
    pub async fn command(&self, key: &str, arguments: &[&str]) -> Output {
        let settings = [("WHARFINGER_URL", self.url.as_str()), ("WHARFINGER_KEY", key)];
        program(&settings).args(arguments).output().await.unwrap()
    }
}

async fn read_all(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.ok();
    text
}

/// A data directory that is removed with its value.
pub struct Home(pub PathBuf);

impl Home {
    pub fn new(purpose: &str) -> Self {
        Self(super::test_folder(purpose))
    }

    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
