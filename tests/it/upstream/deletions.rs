//! A reading of everything honours what was deleted upstream: what is marked so, and what is simply not there any more. What
//! is suspiciously much waits for a person.

use super::{downstream, entries, last_run, point_at, run, sync};
use crate::support::{Browser, TestApp};
use axum::extract::{Path, Query, State};
use axum::{Json, Router, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const UPSTREAM: &str = "/api/v1/workspaces/default/upstreams/official";

/// A registry that forgets: it marks nothing as deleted, and lists what it has, two a page.
#[derive(Clone, Default)]
struct Forgetful(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    entries: Vec<Value>,
    /// Whether it answers 400 to `include_deleted`.
    is_strict: bool,
    /// Whether its second page is an error.
    is_broken: bool,
    /// What it does not list and has all the same.
    unlisted: Vec<Value>,
    /// What it was asked.
    asked: Vec<String>,
}

impl Forgetful {
    async fn start() -> (Self, String) {
        let own = Self::default();
        let one = "/v0.1/servers/{name}/versions/{version}";
        let app = Router::new().route("/v0.1/servers", get(list)).route(one, get(find)).route("/file.jsonl", get(file));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = app.with_state(own.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (own, url)
    }

    fn change(&self, change: impl FnOnce(&mut Shelf)) {
        change(&mut self.0.lock().unwrap());
    }

    /// Has these of the servers that `entry` makes.
    fn has(&self, numbers: impl IntoIterator<Item = usize>) {
        self.change(|shelf| shelf.entries = numbers.into_iter().map(entry).collect());
    }
}

fn entry(number: usize) -> Value {
    json!({"server": {"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": name(number), "title": format!("Server {number}"), "description": "Reads", "version": "1.0.0"}})
}

fn name(number: usize) -> String {
    format!("com.acme/server-{number:02}")
}

async fn list(
    State(own): State<Forgetful>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, StatusCode> {
    let mut shelf = own.0.lock().unwrap();
    let mut asked: Vec<_> = query.keys().cloned().collect();
    asked.sort();
    shelf.asked.push(asked.join(" "));
    if shelf.is_strict && query.contains_key("include_deleted") {
        return Err(StatusCode::BAD_REQUEST);
    }
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    if shelf.is_broken && from > 0 {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let page: Vec<_> = shelf.entries.iter().skip(from).take(2).cloned().collect();
    let next = Some(from + 2).filter(|next| *next < shelf.entries.len()).map(|next| next.to_string());
    Ok(Json(json!({"servers": page, "metadata": {"count": page.len(), "nextCursor": next}})))
}

async fn find(
    State(own): State<Forgetful>,
    Path((name, _)): Path<(String, String)>,
) -> Result<Json<Value>, StatusCode> {
    let shelf = own.0.lock().unwrap();
    let found = shelf.entries.iter().chain(&shelf.unlisted).find(|entry| entry["server"]["name"] == name.as_str());
    found.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn file(State(own): State<Forgetful>) -> String {
    let shelf = own.0.lock().expect("no holder of this lock can panic");
    shelf.entries.iter().map(|entry| format!("{entry}\n")).collect()
}

async fn sync_everything(here: &TestApp) -> Value {
    here.admin().post(&format!("{UPSTREAM}/sync"), &json!({"everything": true})).await.expect(202);
    run(here).await
}

/// The names of what is served.
async fn served(here: &TestApp) -> Vec<String> {
    entries(here, false).await.into_iter().map(|(name, ..)| name).collect()
}

fn names(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_of_everything_takes_over_the_deletions_that_an_upstream_marks() {
    let there = TestApp::start().await;
    for number in 0..3 {
        there.admin().post("/v0.1/publish", &entry(number)["server"]).await.expect(200);
    }
    let here = downstream().await;
    point_at(&here, &there.url, json!({})).await;
    run(&here).await;
    let path = format!("/v0.1/servers/{}/versions/1.0.0/status", name(1).replace('/', "%2F"));
    there.admin().patch(&path, &json!({"status": "deleted", "statusMessage": "Unsafe"})).await.expect(200);

    let deletion = sync_everything(&here).await;

    assert_eq!((&deletion["state"], &deletion["deleted"]), (&json!("succeeded"), &json!(1)), "{deletion}");
    assert_eq!(deletion.get("note"), None, "{deletion}");
    assert_eq!(served(&here).await, names([0, 2]));
    let kept = here.stranger().get(&path.replace("/status", "?include_deleted=true")).await.expect(200).json();
    let told = &kept["_meta"]["io.modelcontextprotocol.registry/official"];
    assert_eq!((&told["status"], &told["statusMessage"]), (&json!("deleted"), &json!("Unsafe")));
    assert_eq!(sync_everything(&here).await["deleted"], 0);
    there.admin().patch(&path, &json!({"status": "active"})).await.expect(200);
    sync_everything(&here).await;
    assert_eq!(entries(&here, true).await, entries(&there, true).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_no_longer_lists_is_deleted_and_comes_back_with_it() {
    for is_strict in [false, true] {
        let (there, url) = Forgetful::start().await;
        there.change(|shelf| shelf.is_strict = is_strict);
        there.has(0..7);
        let here = downstream().await;
        point_at(&here, &url, json!({})).await;
        let first = run(&here).await;
        assert_eq!((&first["state"], &first["registered"]), (&json!("succeeded"), &json!(7)), "{is_strict}: {first}");

        // What was deleted by a person stays so, whatever the upstream does.
        let own = format!("/v0.1/servers/{}/versions/1.0.0/status", name(6).replace('/', "%2F"));
        here.admin().patch(&own, &json!({"status": "deleted"})).await.expect(200);
        there.has([0, 1, 2, 4, 5, 6]);
        let second = sync_everything(&here).await;
        assert_eq!((&second["deleted"], &second["pages"]), (&json!(1), &json!(3)), "{second}");
        assert_eq!(served(&here).await, names([0, 1, 2, 4, 5]));
        let history = format!("/api/v1/workspaces/default/assets/{}/history", name(3).replace('/', "%2F"));
        let history = here.admin().get(&history).await.expect(200).json();
        let last = &history["items"][0];
        assert_eq!(
            (&last["verb"], &last["actor"]),
            (&json!("asset.delete-version"), &json!("system upstream official")),
            "{history}"
        );

        there.has(0..7);
        let third = sync_everything(&here).await;
        assert_eq!((&third["updated"], &third["deleted"]), (&json!(1), &json!(0)), "{third}");
        assert_eq!(served(&here).await, names(0..6));

        // Asked for what changed, it may leave out what it likes.
        there.has([0, 1]);
        assert_eq!(sync(&here).await["deleted"], 0);
        assert_eq!(served(&here).await, names(0..6));
        there.change(|shelf| {
            let first = ["include_deleted limit", "limit"];
            assert_eq!(shelf.asked[..2].iter().any(|asked| asked == first[1]), is_strict, "{:?}", shelf.asked);
            assert_eq!(shelf.asked[0], first[0]);
            assert!(
                shelf
                    .asked
                    .iter()
                    .filter(|asked| asked.contains("updated_since"))
                    .all(|asked| !asked.contains("include_deleted"))
            );
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_list_passes_over_and_is_there_when_asked_for_is_not_deleted() {
    let (there, url) = Forgetful::start().await;
    there.has(0..10);
    let here = downstream().await;
    point_at(&here, &url, json!({})).await;
    run(&here).await;

    there.has(0..8);
    there.change(|shelf| shelf.unlisted.push(entry(8)));
    let read = sync_everything(&here).await;

    assert_eq!((&read["state"], &read["deleted"]), (&json!("succeeded"), &json!(1)), "{read}");
    assert_eq!(served(&here).await, names(0..9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_breaks_off_deletes_nothing_nor_does_the_one_that_goes_on_from_there() {
    let (there, url) = Forgetful::start().await;
    there.has(0..10);
    let here = downstream().await;
    point_at(&here, &url, json!({})).await;
    run(&here).await;

    there.has([0, 1, 3, 4, 5, 6, 7, 8, 9]);
    there.change(|shelf| shelf.is_broken = true);
    let broken = sync_everything(&here).await;
    assert_eq!((&broken["state"], &broken["deleted"]), (&json!("failed"), &json!(0)), "{broken}");
    there.change(|shelf| shelf.is_broken = false);
    let rest = sync(&here).await;
    assert_eq!((&rest["resumed"], &rest["state"], &rest["deleted"]), (&json!(true), &json!("succeeded"), &json!(0)));
    assert!(rest["note"].as_str().unwrap().contains("cannot tell what is no longer there"), "{rest}");
    assert_eq!(served(&here).await, names(0..10));

    assert_eq!(sync_everything(&here).await["deleted"], 1);
    assert_eq!(served(&here).await, names([0, 1, 3, 4, 5, 6, 7, 8, 9]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_lost_everything_or_much_deletes_nothing_before_a_person_says_so() {
    for (kind, path) in [("registry", ""), ("file", "/file.jsonl")] {
        let (there, url) = Forgetful::start().await;
        there.has(0..12);
        let here = downstream().await;
        point_at(&here, &format!("{url}{path}"), json!({"kind": kind})).await;
        run(&here).await;

        for left in [0, 6] {
            there.has(0..left);
            let suspicious = sync_everything(&here).await;
            assert_eq!((&suspicious["state"], &suspicious["deleted"]), (&json!("succeeded"), &json!(0)));
            let note = suspicious["note"].as_str().unwrap();
            assert!(note.contains(&format!("Of 12 versions that came from this upstream {}", 12 - left)), "{note}");
            assert_eq!(here.admin().get(UPSTREAM).await.json()["missing"], 12 - left);
            assert_eq!(served(&here).await, names(0..12), "{kind}");
        }

        // What a person saw is what may go, and no more; and only once.
        here.admin().post(&format!("{UPSTREAM}/sync"), &json!({"maxDeletions": 5})).await.expect(202);
        assert_eq!(run(&here).await["deleted"], 0);
        let base = here.url.clone();
        let mut browser = Browser::new();
        let page = browser.open(&format!("{base}/signin")).await.expect(200);
        browser.send(&page, "/signin", &[("key", &here.admin_key)]).await.expect(200);
        let page = browser.open(&format!("{base}/workspaces/default/upstreams")).await.expect(200);
        assert!(
            page.text.contains("6 versions are</b>") || page.text.contains("6 versions are no longer there."),
            "{}",
            page.text
        );
        let action = "/workspaces/default/upstreams/official/delete-missing";
        browser.send(&page, action, &[]).await.expect(200);
        let accepted = run(&here).await;
        assert_eq!((&accepted["deleted"], &accepted["state"]), (&json!(6), &json!("succeeded")), "{accepted}");
        assert_eq!(served(&here).await, names(0..6));
        assert_eq!(here.admin().get(UPSTREAM).await.json()["missing"], 0);
        let page = browser.open(&format!("{base}/workspaces/default/upstreams")).await.expect(200);
        assert!(!page.text.contains("no longer there"), "{}", page.text);
        there.has(0..2);
        assert_eq!(sync_everything(&here).await["deleted"], 0);
        assert!(last_run(&here).await["note"].is_string());
    }
}
