//! Our extensions.

use super::*;

#[tokio::test]
async fn the_extensions_are_listed() {
    let app = TestApp::start().await;

    let list = app.stranger().get("/v0.1/x").await.expect(200).json();

    for extension in list["extensions"].as_array().unwrap() {
        app.stranger().get(extension["path"].as_str().unwrap()).await.expect(200);
    }
    assert!(!list["extensions"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_search_answers_with_entries_and_facets() {
    let app = TestApp::start().await;
    let all = [("com.example/alpha", "1.0.0"), ("com.example/alpha", "2.0.0"), ("com.example/beta", "1.0.0")];
    app.admin().publish_all(&app, &all).await;
    let rest = serde_json::from_value(json!({"name": "alpha-api", "kind": "rest"})).unwrap();
    let admin = app.actor(&app.admin()).await;
    app.handles.catalog.register(&admin, "default", rest).await.unwrap();

    let answer = found(&app, "/v0.1/x/search?q=alpha", 1).await;

    assert_eq!(entries(&answer), ["com.example/alpha 2.0.0"]);
    assert_eq!(answer["servers"][0]["_meta"][OFFICIAL]["isLatest"], true);
    assert!(answer["servers"][0]["_meta"]["dev.wharfinger/search"]["score"].is_number());
    assert!(answer["facets"].is_object() && answer["degraded"].is_array());
    found(&app, "/workspaces/default/v0.1/x/search?q=alpha", 1).await;
    assert_eq!(app.stranger().get("/v0.1/x/search?limit=0").await.status, 422);
}

/// The answer once it has `count` entries: the search follows the catalog within two seconds.
async fn found(app: &TestApp, path: &str, count: usize) -> Value {
    for _ in 0..40 {
        let answer = app.stranger().get(path).await.expect(200).json();
        if answer["servers"].as_array().unwrap().len() == count {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} does not have {count} entries within two seconds");
}

#[tokio::test]
async fn the_feed_tells_every_change_once_from_mark_to_mark() {
    let app = TestApp::start().await;
    app.admin()
        .publish_all(&app, &[("com.example/a1", "1.0.0"), ("com.example/b1", "1.0.0"), ("com.example/a1", "2.0.0")])
        .await;
    let feed = async |query: &str| {
        app.stranger().get(&format!("/v0.1/x/dev.wharfinger/changes{query}")).await.expect(200).json()
    };

    let first = feed("?limit=2").await;
    assert_eq!(first["changes"][0]["name"], "com.example/a1");
    assert_eq!(first["changes"].as_array().unwrap().len(), 2);
    let rest = feed(&format!("?cursor={}", first["metadata"]["nextCursor"].as_str().unwrap())).await;
    assert_eq!(rest["changes"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&rest["changes"][0]["verb"], &rest["metadata"]["nextCursor"]),
        (&json!("publish-version"), &Value::Null)
    );

    let mark = rest["metadata"]["mark"].as_str().unwrap();
    assert_eq!(feed(&format!("?cursor={mark}")).await["changes"], json!([]));
    app.admin().delete(&at("com.example/b1", "1.0.0")).await.expect(200);
    let news = feed(&format!("?cursor={mark}")).await;
    assert_eq!(
        (&news["changes"][0]["name"], &news["changes"][0]["verb"]),
        (&json!("com.example/b1"), &json!("delete-version"))
    );
    assert_eq!(app.stranger().get("/v0.1/x/changes?cursor=foreign").await.status, 400);
}
