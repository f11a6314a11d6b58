//! The private Postgres is ours from its first file to its last signal.

use crate::support::test_folder;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{ConnectOptions, PgConnection};
use std::{path::Path, time::Duration};
use wharfinger::base::EmbeddedPostgres;

async fn start(home: &Path) -> EmbeddedPostgres {
    EmbeddedPostgres::start(home, None, &[("fsync", "off")]).await.unwrap()
}

async fn connect(server: &EmbeddedPostgres) -> PgConnection {
    server.options("postgres").connect().await.unwrap()
}

fn is_running(process: i32) -> bool {
    Pid::from_raw(process).is_some_and(|pid| test_kill_process(pid).is_ok())
}

#[tokio::test]
async fn it_listens_on_a_private_socket_and_never_on_tcp() {
    let home = test_folder("socket");
    let server = start(&home).await;

    let mut conn = connect(&server).await;
    let addresses: String = sqlx::query_scalar("show listen_addresses").fetch_one(&mut conn).await.unwrap();
    let folder: String = sqlx::query_scalar("show unix_socket_directories").fetch_one(&mut conn).await.unwrap();
    drop(conn);

    assert_eq!(addresses, "");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&folder).unwrap());
    assert_eq!(mode & 0o777, 0o700, "{folder}");
    server.stop().await.unwrap();
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn killed_it_comes_back_with_every_committed_row() {
    let home = test_folder("killed");
    let server = start(&home).await;
    let mut conn = connect(&server).await;
    sqlx::raw_sql("create table kept (n int); insert into kept values (1), (2)").execute(&mut conn).await.unwrap();
    drop(conn);

    let before = server.process_id().unwrap();
    kill_process(Pid::from_raw(before).unwrap(), Signal::KILL).unwrap();
    let mut rows = 0i64;
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Ok(mut conn) = server.options("postgres").connect().await {
            rows = sqlx::query_scalar("select count(*) from kept").fetch_one(&mut conn).await.unwrap();
            break;
        }
    }

    assert_eq!(rows, 2);
    assert_ne!(server.process_id().unwrap(), before);
    server.stop().await.unwrap();
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_server_left_behind_by_a_killed_program_is_taken_over_and_stopped_in_the_end() {
    let home = test_folder("left-behind");
    // The runtime ends with everything on it, as a killed program does; the server goes on.
    let place = home.clone();
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { start(&place).await.process_id().unwrap() })
    })
    .join()
    .unwrap();
    assert!(is_running(process));

    let server = start(&home).await;

    assert!(server.adopted);
    assert_eq!(server.process_id(), Some(process));
    server.stop().await.unwrap();
    // Its parent is this test, which does not wait for it: gone or a zombie is the same here.
    assert!(!home.join("postgres/postmaster.pid").exists());
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_start_that_was_killed_half_way_is_begun_again() {
    let home = test_folder("half-way");
    let half = home.join("postgres.new-1");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15\n").unwrap();

    let server = start(&home).await;

    assert!(!half.exists());
    server.stop().await.unwrap();
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_no_hindrance() {
    let home = test_folder(&"long-".repeat(20));
    let server = start(&home).await;

    let mut conn = connect(&server).await;
    let folder: String = sqlx::query_scalar("show unix_socket_directories").fetch_one(&mut conn).await.unwrap();
    drop(conn);

    assert!(folder.len() <= 90, "{folder}");
    server.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::remove_dir_all(home).unwrap();
}
