use super::{find, harbour, names, register};
use crate::support::TestApp;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use wharfinger::auth::Actor;
use wharfinger::embed::Embedder;
use wharfinger::search::{Degraded, Readiness, Search};

/// A second process over the same catalog, with indexes of its own below `folder`.
fn replica(app: &TestApp, folder: &Path) -> Search {
    Search::new(app.handles.catalog.clone(), Embedder::hashed(), folder.to_owned())
}

async fn finds(search: &Search, text: &str) -> usize {
    let request = wharfinger::search::Request { text: text.into(), ..Default::default() };
    search.find(&Actor::system("test"), &request).await.unwrap().items.len()
}

/// Waits until it is so, for twenty seconds at most.
async fn until(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

async fn change_database(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(&app.handles.db.write).await.unwrap();
}

/// Lets every insertion into a table fail, until the trigger `refuse` is dropped.
async fn refuse(app: &TestApp, table: &str, when: &str) {
    change_database(app, "create sequence refused").await;
    // What a sequence counts survives the statement that fails.
    let function = "create function refuse() returns trigger language plpgsql as $$
                    begin perform nextval('refused'); raise exception 'refused'; end $$";
    change_database(app, function).await;
    let trigger =
        format!("create trigger refuse before insert on {table} for each row {when} execute function refuse()");
    sqlx::query(sqlx::AssertSqlSafe(trigger)).execute(&app.handles.db.write).await.unwrap();
}

/// How many insertions have failed.
async fn refused(app: &TestApp) -> i64 {
    let count = "select case when is_called then last_value else 0 end from refused";
    sqlx::query_scalar(count).fetch_one(&app.handles.db.write).await.unwrap()
}

/// The folder of the index in use.
fn index_of(folder: &Path) -> PathBuf {
    let place = folder.join("0");
    place.join(fs::read_to_string(place.join("current")).unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn an_index_that_was_kept_is_used_again() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    register(&app, "default", &harbour()).await;
    let first = replica(&app, folder.path());
    first.catch_up().await.unwrap();
    let kept = index_of(folder.path());
    drop(first);

    register(&app, "default", &[json!({"name": "late", "kind": "rest", "title": "Latecomer"})]).await;
    let second = replica(&app, folder.path());
    second.catch_up().await.unwrap();

    assert_eq!(index_of(folder.path()), kept, "it was not made again");
    assert_eq!((finds(&second, "latecomer").await, finds(&second, "github").await), (1, 1));
}

#[tokio::test]
async fn every_sort_of_damage_is_noticed_and_mended() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    register(&app, "default", &harbour()).await;
    let start = || async {
        let search = replica(&app, folder.path());
        search.catch_up().await.unwrap();
        search
    };
    drop(start().await);
    let count = files(&index_of(folder.path())).len();
    assert!(count > 5, "an index has several files");

    for at in 0..count {
        for damage in ["flip", "cut", "empty", "delete"] {
            let index = index_of(folder.path());
            let Some(file) = files(&index).into_iter().nth(at) else { continue };
            let mut bytes = fs::read(&file).unwrap();
            match damage {
                "delete" => fs::remove_file(&file).unwrap(),
                "empty" => fs::write(&file, b"").unwrap(),
                "cut" => fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
                _ => {
                    let middle = bytes.len() / 2;
                    if let Some(byte) = bytes.get_mut(middle) {
                        *byte ^= 0x55;
                    }
                    fs::write(&file, &bytes).unwrap();
                }
            }

            let search = start().await;

            assert_eq!(finds(&search, "github").await, 1, "{damage} {}", file.display());
            assert_eq!(search.status().await.unwrap().lexical, Readiness::Ready);
        }
    }
}

#[tokio::test]
async fn the_index_of_another_installation_is_not_believed() {
    let (app, other) = (TestApp::start().await, TestApp::start().await);
    let folder = tempfile::tempdir().unwrap();
    register(&app, "default", &harbour()).await;
    register(&other, "default", &[json!({"name": "elsewhere", "kind": "rest", "title": "Elsewhere"})]).await;
    replica(&other, folder.path()).catch_up().await.unwrap();
    let foreign = index_of(folder.path());

    let search = replica(&app, folder.path());
    search.catch_up().await.unwrap();

    assert_ne!(index_of(folder.path()), foreign);
    assert_eq!((finds(&search, "github").await, finds(&search, "elsewhere").await), (1, 0));
}

#[tokio::test]
async fn an_index_deleted_under_a_running_service_goes_on_answering_and_is_made_again() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    register(&app, "default", &harbour()).await;
    let search = replica(&app, folder.path());
    search.catch_up().await.unwrap();

    fs::remove_dir_all(index_of(folder.path())).unwrap();

    assert_eq!(finds(&search, "github").await, 1);
    register(&app, "default", &[json!({"name": "late", "kind": "rest", "title": "Latecomer"})]).await;
    search.catch_up().await.unwrap();
    assert_eq!((finds(&search, "github").await, finds(&search, "latecomer").await), (1, 1));
    assert!(index_of(folder.path()).join("meta.json").is_file());
}

#[tokio::test]
async fn two_processes_share_a_data_directory() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    register(&app, "default", &harbour()).await;

    let (first, second) = (replica(&app, folder.path()), replica(&app, folder.path()));
    first.catch_up().await.unwrap();
    second.catch_up().await.unwrap();

    assert_eq!((finds(&first, "github").await, finds(&second, "github").await), (1, 1));
}

#[tokio::test]
async fn a_new_index_can_be_asked_for_while_the_old_one_serves() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let search = &app.handles.search;

    assert_eq!(search.reindex(&Actor::anonymous()).await.unwrap_err().status.as_u16(), 401);
    search.reindex(&Actor::system("test")).await.unwrap();
    assert_eq!(finds(search, "github").await, 1);
    search.catch_up().await.unwrap();

    assert_eq!((finds(search, "github").await, search.is_ready()), (1, true));
}

#[tokio::test]
async fn a_first_reading_that_fails_is_begun_again_from_nothing() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    register(&app, "default", &harbour()).await;
    let search = replica(&app, folder.path());
    change_database(&app, "alter table passages rename to passages_gone").await;
    search.catch_up().await.unwrap_err();
    assert!(!search.is_ready());
    app.admin().delete("/api/v1/workspaces/default/assets/weather").await;

    change_database(&app, "alter table passages_gone rename to passages").await;
    search.catch_up().await.unwrap();

    let all = search.find(&Actor::system("test"), &wharfinger::search::Request::default()).await.unwrap();
    assert_eq!((search.is_ready(), all.total), (true, 2));
}

#[tokio::test]
async fn a_wished_index_that_could_not_be_made_is_tried_again_while_the_old_one_serves() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    register(&app, "default", &harbour()).await;
    let search = replica(&app, folder.path());
    search.catch_up().await.unwrap();
    let old = index_of(folder.path());
    refuse(&app, "instance", "when (new.name = 'id')").await;

    search.reindex(&Actor::system("test")).await.unwrap();
    search.catch_up().await.unwrap();
    assert_eq!(refused(&app).await, 1);
    assert_eq!((finds(&search, "github").await, index_of(folder.path())), (1, old.clone()));
    assert_eq!(search.status().await.unwrap().lexical, Readiness::Rebuilding);
    change_database(&app, "drop trigger refuse on instance").await;

    let is_ready = async || {
        search.catch_up().await.unwrap();
        search.status().await.unwrap().lexical == Readiness::Ready
    };
    until(is_ready).await;
    assert_ne!(index_of(folder.path()), old);
}

#[tokio::test]
async fn assets_without_vectors_are_queued_again_after_the_database_failed() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let new = serde_json::from_value(harbour()[0].clone()).unwrap();
    app.handles.catalog.register(&Actor::system("test"), "default", new).await.unwrap();
    change_database(&app, "delete from job").await;
    refuse(&app, "job", "").await;
    let stop = CancellationToken::new();
    tokio::spawn(replica(&app, folder.path()).run(stop.clone()));
    until(async || refused(&app).await > 0).await;

    change_database(&app, "drop trigger refuse on job").await;

    let waits = async || wharfinger::queue::waiting(&app.handles.db.read, "asset-changed").await.unwrap() > 0;
    until(waits).await;
    stop.cancel();
}

#[tokio::test]
async fn vectors_that_could_not_be_made_are_tried_again_with_a_new_index() {
    let app = TestApp::start().await;
    let new = serde_json::from_value(harbour()[0].clone()).unwrap();
    app.handles.catalog.register(&Actor::system("test"), "default", new).await.unwrap();
    change_database(&app, "update job set attempts = 8, dead_at = run_at").await;

    app.admin().post("/api/v1/reindex", &json!({})).await.expect(202);

    let db = &app.handles.db.read;
    let waiting = wharfinger::queue::waiting(db, "asset-changed").await.unwrap();
    assert_eq!((waiting, wharfinger::queue::dead(db).await.unwrap()), (1, 0));
}

#[tokio::test]
async fn before_anything_is_read_the_database_compares_texts() {
    let app = TestApp::start().await;
    let new = serde_json::from_value(harbour()[2].clone()).unwrap();
    app.handles.catalog.register(&Actor::system("test"), "default", new).await.unwrap();

    let found = find(&app, &Actor::anonymous(), "weather").await;

    assert_eq!(names(&found), ["weather"]);
    assert_eq!(found.degraded, [Degraded::Semantic, Degraded::Lexical]);
}
