use crate::support::TestApp;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use wharfinger::audit;
use wharfinger::auth::Actor;
use wharfinger::catalog::Mark;

#[tokio::test]
async fn who_follows_the_log_while_many_write_misses_nothing() {
    let app = TestApp::start().await;
    let catalog = app.handles.catalog.clone();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let catalog = catalog.clone();
            tokio::spawn(async move {
                for n in 0..15 {
                    let new = json!({"name": format!("asset-{writer}-{n}"), "kind": "rest"});
                    catalog
                        .register(&Actor::system("test"), "default", serde_json::from_value(new).unwrap())
                        .await
                        .unwrap();
                }
            })
        })
        .collect();

    let (mut mark, mut seen) = (Mark::default(), HashSet::new());
    for _ in 0..400 {
        for change in catalog.all_changes(mark, 7).await.unwrap() {
            assert!(change.mark > mark, "the log goes forward only");
            mark = change.mark;
            seen.insert(change.asset_id);
        }
        if seen.len() == 120 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(seen.len(), 120);
    assert_eq!(catalog.newest_mark().await.unwrap(), mark);
}

#[tokio::test]
async fn every_write_is_audited_with_who_and_what() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test").with_request_id("r-1"));
    let new = json!({"name": "a", "kind": "rest", "title": "Before"});
    let made = catalog.register(&admin, "default", serde_json::from_value(new).unwrap()).await.unwrap();
    let patch = serde_json::from_value(json!({"title": "After"})).unwrap();
    catalog.update(&admin, "default", "a", patch, None).await.unwrap();
    catalog.delete(&admin, "default", "a", None).await.unwrap();

    let mut conn = catalog.db().read.acquire().await.unwrap();
    let records = audit::of_subject(&mut conn, made.asset.asset_id.0, None, 10).await.unwrap();

    let verbs: Vec<_> = records.iter().map(|record| record.verb.as_str()).collect();
    assert_eq!(verbs, ["asset.delete", "asset.update", "asset.register"]);
    assert_eq!(records[1].before, Some(json!({"title": "Before"})));
    assert_eq!(records[1].after, Some(json!({"title": "After"})));
    assert!(records.iter().all(|record| record.actor == "system test" && record.request_id.as_deref() == Some("r-1")));
}

#[tokio::test]
async fn an_import_twice_changes_nothing_and_a_rejected_line_loses_no_other() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    let lines = [
        r#"{"id":"x/one","kind":"mcp","name":"x/one","title":"One","description":"First.","tools":[{"name":"t","description":"d"}],"tags":["a"]}"#,
        r#"{"kind":"toaster","name":"two"}"#,
        r#"{"kind":"rest","name":"three","name":"three"}"#,
        r#"{"kind":"rest","name":"four","workspace":"made-by-import"}"#,
    ];
    let numbered: Vec<_> = lines.iter().enumerate().map(|(at, line)| (at + 1, line.as_bytes())).collect();

    let first = catalog.import(&admin, "default", &numbered, false).await.unwrap();
    let second = catalog.import(&admin, "default", &numbered, false).await.unwrap();

    let told = |done: &[wharfinger::catalog::Imported]| -> Vec<String> {
        done.iter()
            .map(|line| match &line.result {
                Ok(outcome) => format!("{outcome:?}"),
                Err(problem) => problem.detail.clone(),
            })
            .collect()
    };
    let first = told(&first);
    assert_eq!((first[0].as_str(), first[3].as_str()), ("Registered", "Registered"));
    assert!(first[1].contains("toaster") && first[2].contains("stands twice"), "{first:?}");
    let second = told(&second);
    assert_eq!((second[0].as_str(), second[3].as_str()), ("Unchanged", "Unchanged"));
    assert_eq!(catalog.find(&admin, "made-by-import", "four").await.unwrap().version_count, 1);
}
