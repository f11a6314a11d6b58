//! Too few file descriptors: new connections wait, nothing spins, and it passes.

use crate::support::{Home, Program, fresh_database_url, without_settings};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::Command;

/// CPU time of a process so far.
fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test]
async fn without_descriptors_it_waits_and_recovers() {
    if !std::path::Path::new("/proc/self/stat").exists() {
        eprintln!("skipped: CPU time is read from /proc");
        return;
    }
    let (home, url) = (Home::new("starved"), fresh_database_url(true).await);
    let mut command = without_settings(Command::new("sh"));
    command.args(["-c", "ulimit -n 96; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_wharfinger")]).kill_on_drop(true);
    command.env("WHARFINGER_DATA_DIR", home.text()).env("WHARFINGER_DATABASE_URL", url);
    command.env("WHARFINGER_LISTEN", "127.0.0.1:0").env("WHARFINGER_DATABASE_CONNECTIONS", "4");
    let program = Program::serve_as(command).await;
    let address = program.url.trim_start_matches("http://").to_owned();
    let process = program.child.id().unwrap();

    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = cpu(process);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = cpu(process) - before;
    drop(held);

    assert!(spent < Duration::from_millis(600), "{spent:?} of CPU in 2 s of having nothing");
    let answer = program.http.get(format!("{}/healthz", program.url)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(program.stop().await.0);
}
