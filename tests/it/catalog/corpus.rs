use crate::support::{TestApp, shared};
use std::collections::BTreeMap;
use std::time::Instant;
use wharfinger::auth::Actor;
use wharfinger::catalog::{Imported, Outcome};

const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";

async fn import_file(app: &TestApp, text: &str) -> Vec<Imported> {
    let lines: Vec<_> = text.lines().enumerate().map(|(at, line)| (at + 1, line.as_bytes())).collect();
    let mut done = Vec::with_capacity(lines.len());
    for batch in lines.chunks(100) {
        done.extend(app.handles.catalog.import(&Actor::system("test"), "default", batch, false).await.unwrap());
    }
    done
}

fn counts(done: &[Imported]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in done {
        let word = line.result.as_ref().map_or_else(|_| "Rejected".to_owned(), |outcome| format!("{outcome:?}"));
        *counts.entry(word).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn every_real_server_is_taken_and_taken_once() {
    let Some(folder) = shared() else { return };
    let text = std::fs::read_to_string(folder.join("corpus/mcp-servers/servers.jsonl")).unwrap();
    let app = TestApp::start().await;

    let began = Instant::now();
    let first = import_file(&app, &text).await;
    eprintln!("{} lines in {:.1?}", first.len(), began.elapsed());
    let second = import_file(&app, &text).await;

    assert_eq!(counts(&first), BTreeMap::from([("Registered".to_owned(), 5_789)]));
    assert_eq!(counts(&second), BTreeMap::from([("Unchanged".to_owned(), 5_789)]));
}

#[tokio::test]
async fn another_registrys_entries_keep_their_versions_dates_and_latest_flags() {
    let Some(folder) = shared() else { return };
    let text = std::fs::read_to_string(folder.join("corpus/mcp-servers/official-snapshot-2025-12-12.jsonl")).unwrap();
    let app = TestApp::start().await;

    let done = import_file(&app, &text).await;

    let rejected: Vec<_> = done.iter().filter(|line| line.result.is_err()).map(|line| line.line).collect();
    let entry = |line: usize| serde_json::from_str::<serde_json::Value>(text.lines().nth(line - 1).unwrap()).unwrap();
    let is_latest = |line: &&usize| entry(**line)["_meta"][OFFICIAL]["isLatest"] == true;
    // Eight servers whose latest entry breaks the schema, and three older entries that do.
    assert_eq!((rejected.iter().filter(is_latest).count(), rejected.len()), (8, 11), "{rejected:?}");
    assert!(done.iter().all(|line| line.name.is_some()), "every line is named");
    assert!(done.iter().all(|line| !matches!(line.result, Ok(Outcome::Unchanged))));
    let stored: Vec<(String, String, bool, time::OffsetDateTime, time::OffsetDateTime)> = sqlx::query_as(
        "select a.name, v.name, v.is_latest, v.published_at, v.updated_at from version v join asset a using (asset_id)",
    )
    .fetch_all(&app.handles.catalog.db().read)
    .await
    .unwrap();
    let stored: BTreeMap<_, _> = stored.into_iter().map(|row| ((row.0, row.1), (row.2, row.3))).collect();
    // A server whose latest entry is not taken has another latest here.
    let without_latest: Vec<_> =
        rejected.iter().filter(is_latest).map(|line| entry(*line)["server"]["name"].clone()).collect();
    let mut wrong = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(at, _)| !rejected.contains(&(at + 1))) {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let official = &entry["_meta"][OFFICIAL];
        let key = (text(&entry["server"]["name"]), text(&entry["server"]["version"]));
        let published = time::OffsetDateTime::parse(
            official["publishedAt"].as_str().unwrap(),
            &time::format_description::well_known::Rfc3339,
        );
        let is_latest = official["isLatest"] == true || without_latest.contains(&entry["server"]["name"]);
        let expected = (is_latest, published.unwrap());
        if stored.get(&key) != Some(&expected) {
            wrong.push(format!("line {}: {key:?} is {:?}, the file says {expected:?}", at + 1, stored.get(&key)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stored.len(), wrong.join("\n"));
}
