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
