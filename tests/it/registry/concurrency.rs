//! Many at once: one latest, and syncs that miss nothing.

use super::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn of_many_published_at_once_all_are_there_and_the_highest_is_the_latest() {
    let app = TestApp::start_running().await;
    let (admin, name) = (app.admin(), "com.example/busy");

    let publishing = (0..16).map(|minor| {
        let admin = admin.clone();
        async move { admin.publish(&server(name, &format!("1.0.{minor}"))).await.status }
    });
    let statuses = futures::future::join_all(publishing).await;

    assert_eq!(statuses, [200; 16]);
    let list = app.stranger().get("/v0.1/servers/com.example%2Fbusy/versions").await.json();
    assert_eq!(entries(&list).len(), 16);
    assert_eq!(latest(&list), ["1.0.15"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_same_version_published_at_once_one_is_taken() {
    let app = TestApp::start_running().await;
    let admin = app.admin();

    let publishing = (0..8).map(|_| {
        let admin = admin.clone();
        async move { admin.publish(&server("com.example/busy", "1.0.0")).await.status }
    });
    let mut statuses = futures::future::join_all(publishing).await;

    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400, 400, 400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_servers_published_at_once_one_gets_the_address_all_want() {
    let app = TestApp::start_running().await;
    let admin = app.admin();

    let publishing = (0..6).map(|number| {
        let admin = admin.clone();
        let document = with_remote(&format!("com.example/s{number}"), "1.0.0", "https://example.com/mcp");
        async move { admin.publish(&document).await.status }
    });
    let mut statuses = futures::future::join_all(publishing).await;

    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400]);
}

/// A copy of a registry, kept as aggregators keep one: all of it by cursor first, then what `updated_since` brings.
#[derive(Default)]
struct Mirror {
    entries: BTreeMap<(String, String), Value>,
    newest: String,
}

impl Mirror {
    async fn sync(&mut self, app: &TestApp) {
        let since = if self.newest.is_empty() {
            "limit=7&include_deleted=true".to_owned()
        } else {
            format!("limit=7&updated_since={}", self.newest)
        };
        // The first sync starts from before the first page: what changes behind the cursor comes with the next.
        let full = self.newest.is_empty();
        let (mut query, mut newest) = (format!("?{since}"), self.newest.clone());
        loop {
            let list = app.stranger().list(&query).await.expect(200).json();
            for entry in list["servers"].as_array().unwrap() {
                let key = |member: &str| entry["server"][member].as_str().unwrap().to_owned();
                let updated = entry["_meta"][OFFICIAL]["updatedAt"].as_str().unwrap();
                if !full && updated > newest.as_str() {
                    newest = updated.to_owned();
                }
                self.entries.insert((key("name"), key("version")), entry.clone());
            }
            if full && newest.is_empty() {
                newest = list["metadata"]["dev.wharfinger/settledUntil"].as_str().unwrap().to_owned();
            }
            match list["metadata"]["nextCursor"].as_str() {
                Some(cursor) => query = format!("?limit=7&cursor={cursor}"),
                None => break,
            }
        }
        self.newest = newest;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mirror_is_exact_though_writers_were_busy_all_the_time() {
    let app = TestApp::start_running().await;
    let done = AtomicBool::new(false);
    for number in 0..10 {
        app.admin().publish(&server(&format!("com.example/s{number}"), "1.0.0")).await.expect(200);
    }

    let write = |seed: u32| {
        let app = &app;
        async move {
            let admin = app.admin();
            for step in 0..40_u32 {
                let name = format!("com.example/s{}", (seed * 7 + step * 3) % 10);
                match step % 4 {
                    0 | 1 => admin.publish(&server(&name, &format!("1.{seed}.{step}"))).await.expect(200),
                    2 => admin.set_status(&name, "1.0.0", json!({"status": "deleted"})).await,
                    _ => admin.set_status(&name, "1.0.0", json!({"status": "active"})).await,
                };
            }
        }
    };
    let writers = async {
        futures::future::join_all((1..=4).map(write)).await;
        done.store(true, Ordering::Release);
    };
    let mirrors = futures::future::join_all((0..2).map(|_| async {
        let (mut mirror, mut syncs) = (Mirror::default(), 0);
        while !done.load(Ordering::Acquire) {
            mirror.sync(&app).await;
            syncs += 1;
        }
        mirror.sync(&app).await;
        (mirror, syncs)
    }));
    let ((), mirrors) = tokio::join!(writers, mirrors);

    let mut truth = Mirror::default();
    truth.sync(&app).await;
    for (mirror, syncs) in mirrors {
        assert!(syncs > 2, "the mirror was kept while writers were busy");
        assert_eq!(mirror.entries.len(), truth.entries.len());
        for (key, entry) in &truth.entries {
            assert_eq!(mirror.entries.get(key), Some(entry), "{key:?}");
        }
        let latest = mirror.entries.values().filter(|entry| entry["_meta"][OFFICIAL]["isLatest"] == true).count();
        assert_eq!(latest, 10, "one a server");
    }
}
